import { VisuallyHidden } from '@mantine/core'
import type { Policy } from '@understudy/contract/policy'
import { marksOf, wordsOfRetention, wordsOfSpan } from './retention-words.ts'

type RetentionPictureProps = Pick<Policy, 'retention' | 'intervalSeconds'>

const width = 420
const height = 44

/** What is kept, now on the right: each mark a point, each tier a stretch of equal width. */
export function RetentionPicture({ retention, intervalSeconds }: RetentionPictureProps) {
  const tiers = marksOf(retention, intervalSeconds, 40)
  const share = width / Math.max(1, tiers.length)
  return (
    <div>
      <VisuallyHidden>{wordsOfRetention(retention)}</VisuallyHidden>
      <svg
        viewBox={`0 0 ${width} ${height}`}
        width="100%"
        style={{ display: 'block', maxWidth: 560 }}
        aria-hidden="true"
      >
        {tiers.map(({ tier, from, ages }, index) => {
          const right = width - index * share
          const x = (age: number): number =>
            right - ((age - from) / Math.max(1, tier.forSeconds - from)) * (share - 6) - 2
          return (
            <g key={tier.forSeconds}>
              <rect
                x={right - share + 2}
                y={2}
                width={share - 4}
                height={24}
                rx={4}
                fill="var(--panel-quiet)"
                stroke="var(--line)"
              />
              {ages.map((age) => (
                <line
                  key={age}
                  x1={x(age)}
                  x2={x(age)}
                  y1={7}
                  y2={21}
                  stroke="var(--accent)"
                  strokeWidth={1.3}
                />
              ))}
              <text x={right - share + 4} y={40} fontSize={10.5} fill="var(--ink-quiet)">
                {wordsOfSpan(tier.forSeconds)} ago
              </text>
            </g>
          )
        })}
        <text x={width - 4} y={40} fontSize={10.5} textAnchor="end" fill="var(--ink-quiet)">
          now
        </text>
      </svg>
    </div>
  )
}
