// A chart over time on canvas (uPlot), with its numbers as text for who cannot see it.
import 'uplot/dist/uPlot.min.css'
import { Box, useComputedColorScheme, VisuallyHidden } from '@mantine/core'
import { useElementSize } from '@mantine/hooks'
import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import { formatTick } from '../lib/format.ts'
import classes from './LineChart.module.css'

type LineChartProps = {
  /** What the chart shows, in words with its numbers: the text alternative. */
  readonly summary: string
  /** Seconds since 1970, ascending. */
  readonly times: readonly number[]
  readonly values: readonly (number | null)[]
  readonly label: string
  readonly format: (value: number) => string
  /** Round steps of the value axis. */
  readonly unit: 'seconds' | 'bytes'
  /** A dashed line at this value. */
  readonly target?: number | undefined
  /** CSS variable of the line. */
  readonly ink: '--busy-fill' | '--good-fill' | '--accent'
  readonly height?: number
}

export function LineChart(props: LineChartProps) {
  const { summary, times, values, label, format, unit, target, ink, height = 168 } = props
  const scheme = useComputedColorScheme('dark')
  const { ref: frame, width } = useElementSize()
  const host = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const hasTarget = target !== undefined
  const words = useRef(format)
  words.current = format

  useEffect(() => {
    if (!host.current || width === 0 || scheme === undefined) return
    const style = getComputedStyle(host.current)
    const color = (name: string): string => style.getPropertyValue(name).trim()
    const axis: uPlot.Axis = {
      stroke: color('--ink-quiet'),
      font: "11px 'Inter Variable', system-ui, sans-serif",
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
    }
    const made = new uPlot(
      {
        width,
        height,
        // To the right room for half of the last label of the time axis.
        padding: [10, 30, 0, 0],
        cursor: { y: false, drag: { x: true, y: false } },
        legend: { show: true, live: true },
        scales: { y: { range: (_, _low, high) => [0, Math.max(high * 1.12, least[unit])] } },
        axes: [
          {
            ...axis,
            // Labels with seconds are this wide.
            space: 72,
            values: (_, ticks, _axis, _space, step) => ticks.map((tick) => formatTick(tick * 1000, step)),
          },
          {
            ...axis,
            size: 66,
            values: (_, ticks) => ticks.map((tick) => words.current(tick)),
            splits: (_, _axis, _low, high) => fewSplits(high, unit),
          },
        ],
        series: [
          { label: 'Time' },
          {
            label,
            stroke: color(ink),
            fill: `color-mix(in srgb, ${color(ink)} 14%, transparent)`,
            width: 1.6,
            points: { show: false },
            value: (_, value) => (value === null || value === undefined ? '–' : words.current(value)),
          },
          ...(hasTarget
            ? [
                {
                  label: 'Target',
                  stroke: color('--at-risk-fill'),
                  dash: [5, 4],
                  width: 1.2,
                  points: { show: false },
                  value: (_: uPlot, value: number | null) => (value === null ? '–' : words.current(value)),
                },
              ]
            : []),
        ],
      },
      [[], []],
      host.current,
    )
    plot.current = made
    return () => {
      made.destroy()
      plot.current = null
    }
  }, [width, height, scheme, label, ink, hasTarget, unit])

  useEffect(() => {
    if (width === 0 || scheme === undefined) return
    const rows: uPlot.AlignedData = hasTarget
      ? [[...times], [...values], times.map(() => target)]
      : [[...times], [...values]]
    plot.current?.setData(rows)
  }, [times, values, target, hasTarget, width, scheme])

  return (
    <Box ref={frame} mih={height + 26}>
      <VisuallyHidden>{summary}</VisuallyHidden>
      <div ref={host} className={classes.chart} aria-hidden="true" />
    </Box>
  )
}

/** So high the axis is at least: below it lie halves of a byte and of a second, which nobody looks for. */
const least = { seconds: 1, bytes: 1024 } as const

const roundSeconds = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400,
]

/** Four or five round steps from zero: minutes as minutes, bytes in powers of two. */
function fewSplits(high: number, unit: 'seconds' | 'bytes'): number[] {
  const wanted = Math.max(high / 4, 0.001)
  const step =
    unit === 'bytes'
      ? 2 ** Math.ceil(Math.log2(wanted))
      : (roundSeconds.find((each) => each >= wanted) ?? wanted)
  return Array.from({ length: Math.floor(high / step) + 1 }, (_, index) => index * step)
}
