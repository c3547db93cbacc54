import { Stack, Text } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import type { Overview } from '@understudy/contract/overview'
import { formatDuration } from '../../lib/format.ts'
import { fillOf, inkOf, type Tone } from '../../ui/tone.ts'

type Row = Overview['worstLag'][number]

/** Lag of the machines furthest from their target; the line in the middle is the target. */
export function WorstLag({
  rows,
  machineOf,
}: {
  readonly rows: readonly Row[]
  readonly machineOf: (protectionId: string) => string | null
}) {
  if (rows.length === 0)
    return (
      <Text size="sm" c="var(--ink-quiet)">
        No machine replicates now.
      </Text>
    )
  return (
    <Stack gap={10}>
      {rows.map((row) => {
        const machineId = machineOf(row.protectionId)
        return (
          <div key={row.protectionId}>
            <div style={{ display: 'flex', justifyContent: 'space-between', gap: 10 }}>
              {machineId === null ? (
                <Text size="sm">{row.name}</Text>
              ) : (
                <Link className="plain" to="/machines/$machineId" params={{ machineId }}>
                  <Text size="sm" span>
                    {row.name}
                  </Text>
                </Link>
              )}
              <Text size="sm" className="number" c={inkOf(toneOf(row))}>
                {row.lagSeconds === null ? 'no point yet' : formatDuration(row.lagSeconds)}
                <Text span size="xs" c="var(--ink-quiet)">
                  {' '}
                  of {formatDuration(row.lagTargetSeconds)}
                </Text>
              </Text>
            </div>
            <div
              aria-hidden
              style={{
                position: 'relative',
                height: 6,
                borderRadius: 3,
                background: 'var(--line)',
                marginTop: 4,
              }}
            >
              <div
                style={{
                  height: '100%',
                  borderRadius: 3,
                  width: `${shareOf(row) * 50}%`,
                  maxWidth: '100%',
                  background: fillOf(toneOf(row)),
                }}
              />
              <div
                style={{
                  position: 'absolute',
                  left: '50%',
                  top: -2,
                  width: 2,
                  height: 10,
                  background: 'var(--ink-quiet)',
                }}
              />
            </div>
          </div>
        )
      })}
    </Stack>
  )
}

const shareOf = (row: Row): number =>
  row.lagSeconds === null ? 2 : Math.min(2, row.lagSeconds / Math.max(1, row.lagTargetSeconds))
const toneOf = (row: Row): Tone => (shareOf(row) <= 1 ? 'good' : shareOf(row) < 2 ? 'at-risk' : 'bad')
