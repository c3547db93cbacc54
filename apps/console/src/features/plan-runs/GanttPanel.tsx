import { ActionIcon, Button, Group, SegmentedControl, Tooltip } from '@mantine/core'
import { useViewportSize } from '@mantine/hooks'
import { IconZoomIn, IconZoomOut, IconZoomReset } from '@tabler/icons-react'
import type { PlanRun } from '@understudy/contract/recovery-plan'
import { useMemo, useState } from 'react'
import { Panel } from '../../ui/Panel.tsx'
import { useNow } from '../../ui/use-now.ts'
import classes from './Gantt.module.css'
import { Gantt } from './Gantt.tsx'
import type { Span } from './gantt-layout.ts'
import { isActive } from './run-words.ts'

type GanttPanelProps = {
  readonly run: PlanRun
  readonly usual: ReadonlyMap<string, Span>
  readonly opened: string | null
  readonly onOpen: (itemId: string) => void
  /** Readable rows, or the whole plan at once. */
  readonly rows: 'readable' | 'all'
  readonly onRows: (rows: 'readable' | 'all') => void
}

const mostZoom = 32

/** The run over time, with its zoom and legend. */
export function GanttPanel({ run, usual, opened, onOpen, rows, onRows }: GanttPanelProps) {
  const [zoom, setZoom] = useState(1)
  const [goToNow, setGoToNow] = useState(0)
  const { height } = useViewportSize()
  const live = isActive(run)
  const now = useNow(1000)
  const until = run.endedAt === null ? now : Date.parse(run.endedAt)
  const target = run.followsUp === null ? run.targetRtoSeconds : null
  const facts = useMemo(
    () => ({
      groups: run.plan.groups,
      activities: run.activities,
      startedAt: Date.parse(run.startedAt),
      until,
      usual,
      // A target far away would press everything else to the edge.
      atLeastSeconds: target !== null && target < (run.predictedSeconds ?? 0) * 2.5 ? target : 0,
    }),
    [run, until, usual, target],
  )
  return (
    <Panel
      title="Timetable"
      flush
      actions={
        <Group gap="xs" wrap="nowrap">
          <SegmentedControl
            size="xs"
            aria-label="Rows"
            data={[
              { value: 'readable', label: 'Readable rows' },
              { value: 'all', label: 'Whole plan' },
            ]}
            value={rows}
            onChange={(value) => onRows(value === 'all' ? 'all' : 'readable')}
          />
          {live && (
            <Button variant="default" size="compact-sm" onClick={() => setGoToNow(goToNow + 1)}>
              Go to now
            </Button>
          )}
          <Zoom zoom={zoom} onZoom={setZoom} />
        </Group>
      }
    >
      <Gantt
        facts={facts}
        targetSeconds={target}
        live={live}
        zoom={zoom}
        fitHeight={rows === 'all' ? Math.max(240, height * 0.58) : null}
        opened={opened}
        onOpen={onOpen}
        goToNow={goToNow}
      />
      <Legend hasUsual={usual.size > 0} hasTarget={target !== null} />
    </Panel>
  )
}

function Zoom({ zoom, onZoom }: { readonly zoom: number; readonly onZoom: (zoom: number) => void }) {
  const buttons = [
    { label: 'Zoom out', icon: IconZoomOut, to: Math.max(1, zoom / 2) },
    { label: 'Zoom to fit', icon: IconZoomReset, to: 1 },
    { label: 'Zoom in', icon: IconZoomIn, to: Math.min(mostZoom, zoom * 2) },
  ]
  return (
    <Group gap={2} wrap="nowrap" role="group" aria-label="Zoom">
      {buttons.map(({ label, icon: Mark, to }) => (
        <Tooltip key={label} label={label}>
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={label}
            aria-disabled={to === zoom}
            {...(to === zoom ? { 'data-disabled': true } : {})}
            onClick={() => onZoom(to)}
          >
            <Mark size={17} />
          </ActionIcon>
        </Tooltip>
      ))}
    </Group>
  )
}

function Legend({ hasUsual, hasTarget }: { readonly hasUsual: boolean; readonly hasTarget: boolean }) {
  return (
    <div className={classes.legend} aria-hidden="true">
      <span>
        <Sample fill="var(--busy-fill)" /> as it went
      </span>
      <span>
        <Sample fill="none" stroke="var(--off)" dashed /> as expected now
      </span>
      {hasUsual && (
        <span>
          <Sample fill="var(--off-fill)" faint /> as in earlier runs
        </span>
      )}
      <span>
        <Sample fill="none" stroke="var(--ink)" /> ◆ critical path: what it delays, delays the end
      </span>
      {hasTarget && <span style={{ color: 'var(--bad)' }}>┆ target</span>}
    </div>
  )
}

type SampleProps = {
  readonly fill: string
  readonly stroke?: string
  readonly dashed?: boolean
  readonly faint?: boolean
}

const Sample = ({ fill, stroke = 'none', dashed = false, faint = false }: SampleProps) => (
  <svg width={24} height={10} aria-hidden="true">
    <rect
      x={1}
      y={1}
      width={22}
      height={8}
      rx={2}
      fill={fill}
      opacity={faint ? 0.35 : 1}
      stroke={stroke}
      strokeWidth={1.6}
      strokeDasharray={dashed ? '3 2' : undefined}
    />
  </svg>
)
