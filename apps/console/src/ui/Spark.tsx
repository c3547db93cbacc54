import { memo } from 'react'
import { thinOut } from './thin-out.ts'

type SparkProps = {
  readonly values: readonly number[]
  /** A dashed line: what the values are measured against. */
  readonly target?: number
  readonly width?: number
  readonly height?: number
  readonly ink: string
}

/** The last minutes of a number as one small line. Decoration: the number itself is always written beside it. */
export const Spark = memo(function Spark({ values, target, width = 64, height = 18, ink }: SparkProps) {
  if (values.length < 2) return <svg width={width} height={height} aria-hidden="true" />
  const drawn = thinOut(values, Math.ceil(width / 2))
  const top = Math.max(...drawn, target ?? 0, 0.001)
  const y = (value: number): number => height - 1 - (value / top) * (height - 3)
  const step = width / (drawn.length - 1)
  const path = drawn.map((value, index) => `${(index * step).toFixed(1)},${y(value).toFixed(1)}`).join(' ')
  return (
    <svg width={width} height={height} aria-hidden="true" style={{ display: 'block', flexShrink: 0 }}>
      {target !== undefined && (
        <line
          x1={0}
          x2={width}
          y1={y(target)}
          y2={y(target)}
          stroke="var(--ink-quiet)"
          strokeWidth={0.8}
          strokeDasharray="2 3"
        />
      )}
      <polyline points={path} fill="none" stroke={ink} strokeWidth={1.4} />
    </svg>
  )
})
