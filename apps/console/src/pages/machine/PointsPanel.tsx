import { Skeleton, Stack, Text } from '@mantine/core'
import { IconTimeline } from '@tabler/icons-react'
import type { Protection } from '@understudy/contract/protection'
import type { RecoveryPoint } from '@understudy/contract/recovery-point'
import type { ReactNode } from 'react'
import { PointActions } from '../../features/failover/PointActions.tsx'
import { PointDetails } from '../../features/recovery-points/PointDetails.tsx'
import { PointTable } from '../../features/recovery-points/PointTable.tsx'
import { TimeLine } from '../../features/recovery-points/TimeLine.tsx'
import type { usePoints } from '../../features/recovery-points/use-points.ts'
import { formatCount } from '../../lib/format.ts'
import { EmptyState } from '../../ui/EmptyState.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'

type PointsPanelProps = {
  readonly protection: Protection
  readonly points: ReturnType<typeof usePoints>
  readonly selected: RecoveryPoint | null
  readonly flow: ReactNode
  readonly onSelect: (pointId: string) => void
  readonly withTable: boolean
}

/** The time line, what is selected on it, and what can be done from there. */
export function PointsPanel({ protection, points, selected, flow, onSelect, withTable }: PointsPanelProps) {
  const { timed, complete, error, adopt } = points
  return (
    <Panel
      title="Recovery points"
      actions={
        timed && (
          <Text size="xs" c="var(--ink-quiet)" className="number">
            {formatCount(timed.length)}
            {complete ? '' : ' newest'} {timed.length === 1 ? 'point' : 'points'}
          </Text>
        )
      }
    >
      <ProblemAlert error={error} title="The recovery points could not be read" />
      {!timed && !error && <Skeleton h={190} />}
      {timed?.length === 0 && (
        <EmptyState icon={IconTimeline} title="No recovery point yet">
          The first one is sealed when the first copy is complete. From then on there is one every few
          seconds.
        </EmptyState>
      )}
      {timed && timed.length > 0 && (
        <Stack gap="md">
          <TimeLine points={timed} selectedId={selected?.id ?? null} onSelect={onSelect} />
          {selected ? (
            <PointDetails
              key={selected.id}
              protectionId={protection.id}
              point={selected}
              onChanged={adopt}
              actions={<PointActions protection={protection} point={selected} flow={flow} />}
            />
          ) : (
            <Text size="sm" c="var(--ink-quiet)">
              Click on the line or use the arrow keys to choose a point: to look at it, test it or fail over
              to it. Drag to move, Ctrl and wheel to zoom.
            </Text>
          )}
          {withTable && <PointTable points={timed} selectedId={selected?.id ?? null} onSelect={onSelect} />}
        </Stack>
      )}
    </Panel>
  )
}
