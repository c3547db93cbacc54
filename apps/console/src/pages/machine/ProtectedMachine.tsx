import { Alert, Group, Modal, Skeleton, Stack, Tabs, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconShieldOff } from '@tabler/icons-react'
import { useNavigate, useSearch } from '@tanstack/react-router'
import type { Machine } from '@understudy/contract/machine'
import type { Protection, ProtectionAction } from '@understudy/contract/protection'
import { lazy, Suspense, useMemo } from 'react'
import { ActionBar } from '../../features/failover/ActionBar.tsx'
import { DecisionButtons } from '../../features/failover/DecisionButtons.tsx'
import { RunList } from '../../features/failover/RunList.tsx'
import { GroupNote } from '../../features/groups/GroupNote.tsx'
import { DiskEditor, NetworkEditor, PolicyEditor } from '../../features/protections/HardwareEditors.tsx'
import { LivePath } from '../../features/protections/LivePath.tsx'
import { PaceNote } from '../../features/protections/PaceNote.tsx'
import { ProtectionStatus } from '../../features/protections/ProtectionStatus.tsx'
import { SeedNote } from '../../features/protections/SeedNote.tsx'
import { SiteFlow } from '../../features/protections/SiteFlow.tsx'
import { wordsOfAction } from '../../features/protections/state-words.ts'
import { bulkCopiesOf } from '../../features/recovery-points/bulk-copies.ts'
import { usePoints } from '../../features/recovery-points/use-points.ts'
import { readable } from '../../lib/format.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { PageHeader } from '../../ui/PageHeader.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { ReadinessMark } from '../../ui/ReadinessMark.tsx'
import { SimulatedBadge } from '../../ui/SimulatedBadge.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'
import { LastCycle } from './LastCycle.tsx'
import { MachineEvents, MachineJobs } from './MachineRecords.tsx'
import { PointsPanel } from './PointsPanel.tsx'
import { RunningNow } from './RunningNow.tsx'

// The chart library is a third of this page's script; the page is there before it.
const HistoryCharts = lazy(async () => {
  const { HistoryCharts: loaded } = await import('../../features/protections/HistoryCharts.tsx')
  return { default: loaded }
})

// Few sites are in Azure, and the form brings the schema of a site along.
const AzureAdapters = lazy(async () => {
  const { AzureAdapters: loaded } = await import('../../features/sites/AzureAdapters.tsx')
  return { default: loaded }
})

// Looked at before the bad day, not on it.
const BootPreparation = lazy(async () => {
  const { BootPreparation: loaded } = await import('../../features/protections/BootPreparation.tsx')
  return { default: loaded }
})

const tabs = ['overview', 'points', 'disks', 'network', 'boot', 'runs', 'jobs', 'events'] as const
const labels: Record<(typeof tabs)[number], string> = {
  overview: 'Overview',
  points: 'Recovery points',
  disks: 'Disks',
  network: 'Network',
  boot: 'Boot preparation',
  runs: 'Tests and failovers',
  jobs: 'Jobs',
  events: 'Events',
}

/** What these states mean is told in a place of their own. */
const hasOwnNote: readonly Protection['state'][] = ['failedOver', 'awaitingSeed']

/** What is asked right beside what it is about: the decision on a failover, the end of a test, the way back. */
function elsewhere(protection: Protection): readonly ProtectionAction[] {
  const actions: ProtectionAction[] = []
  if (protection.state === 'failedOver') actions.push('commit', 'change-point', 'roll-back')
  if (protection.state === 'committed') actions.push('reprotect')
  if (protection.test !== null) actions.push('clean-up-test')
  return actions
}

type ProtectedMachineProps = {
  readonly protection: Protection
  /** Null: the inventory does not hold it (any more). */
  readonly machine: Machine | null
}

export function ProtectedMachine({ protection, machine }: ProtectedMachineProps) {
  const { tab = 'overview', point: pointId } = useSearch({ from: '/signed-in/machines/$machineId' })
  const navigate = useNavigate({ from: '/machines/$machineId' })
  const [editing, { open: edit, close: stopEditing }] = useDisclosure()
  const points = usePoints({
    protectionId: protection.id,
    sourceSiteId: protection.source.id,
    expected: protection.pointCount > 0,
  })
  const selected = points.timed?.find(({ point }) => point.id === pointId)?.point ?? null
  const bulk = useMemo(() => bulkCopiesOf(points.timed ?? []), [points.timed])
  const flow = <SiteFlow protection={protection} />
  const show = (value: string | null): void => {
    const chosen = tabs.find((each) => each === value)
    if (chosen) void navigate({ search: (before) => ({ ...before, tab: chosen }), replace: true })
  }
  const select = (id: string): void =>
    void navigate({ search: (before) => ({ ...before, point: id }), replace: true, resetScroll: false })
  const pointsPanel = (withTable: boolean) => (
    <PointsPanel
      protection={protection}
      points={points}
      selected={selected}
      flow={flow}
      onSelect={select}
      withTable={withTable}
    />
  )
  return (
    <>
      <PageHeader
        title={protection.name}
        badges={
          <>
            <ProtectionStatus protection={protection} />
            <ReadinessMark readiness={protection.readiness} of={protection.name} />
            {protection.simulated && <SimulatedBadge />}
          </>
        }
        note={
          <Group gap={16} wrap="wrap">
            {flow}
            <Text span size="sm">
              policy{' '}
              <LinkAnchor to="/policies" search={{ edit: protection.policyId }} underline="always">
                {protection.policyName}
              </LinkAnchor>
            </Text>
            {protection.group && (
              <Text span size="sm">
                group{' '}
                <LinkAnchor to="/groups" search={{ edit: protection.group.id }} underline="always">
                  {protection.group.name}
                </LinkAnchor>
              </Text>
            )}
          </Group>
        }
        actions={
          <ActionBar
            protection={protection}
            words={wordsOfAction}
            point={selected}
            flow={flow}
            onEdit={edit}
            elsewhere={elsewhere(protection)}
          />
        }
      />
      <Stack gap="md">
        <SeedNote protection={protection} />
        <PaceNote protection={protection} />
        {protection.stateNote && !hasOwnNote.includes(protection.state) && (
          <Alert color={protection.state === 'broken' ? 'red' : 'blue'} variant="light">
            {readable(protection.stateNote)}
          </Alert>
        )}
        {protection.state === 'committed' && (
          <Alert
            color="yellow"
            variant="light"
            icon={<IconShieldOff size={18} />}
            title={`${protection.name} runs at ${protection.target.name} and is not protected there`}
          >
            <Text size="sm" mb="sm">
              Reprotect replicates it in the other direction, so that it can come back.
            </Text>
            <DecisionButtons
              protection={protection}
              actions={['reprotect']}
              words={wordsOfAction}
              point={null}
              flow={flow}
            />
          </Alert>
        )}
        <RunningNow protection={protection} point={selected} flow={flow} />
        <Tabs value={tab} onChange={show} keepMounted={false}>
          <Tabs.List mb="md">
            {tabs.map((each) => (
              <Tabs.Tab key={each} value={each}>
                {labels[each]}
              </Tabs.Tab>
            ))}
          </Tabs.List>
          <Tabs.Panel value="overview">
            <Stack gap="md">
              <Panel title="Replication now">
                <LivePath protection={protection} />
                {protection.group && <GroupNote groupId={protection.group.id} protectionId={protection.id} />}
              </Panel>
              {pointsPanel(false)}
              <Suspense fallback={<Skeleton h={230} />}>
                <HistoryCharts protection={protection} bulk={bulk} />
              </Suspense>
              <LastCycle protection={protection} machine={machine} />
            </Stack>
          </Tabs.Panel>
          <Tabs.Panel value="points">{pointsPanel(true)}</Tabs.Panel>
          <Tabs.Panel value="disks">
            <Panel title="Disks" flush>
              <DiskEditor protection={protection} />
            </Panel>
          </Tabs.Panel>
          <Tabs.Panel value="network">
            <Stack gap="md">
              <Panel title="Network adapters" flush>
                <NetworkEditor protection={protection} />
              </Panel>
              {protection.target.platform === 'azure' && (
                <Suspense fallback={<Skeleton h={230} />}>
                  <AzureAdapters siteId={protection.target.id} adapters={protection.hardware.adapters} />
                </Suspense>
              )}
            </Stack>
          </Tabs.Panel>
          <Tabs.Panel value="boot">
            <Suspense fallback={<Skeleton h={230} />}>
              <BootPreparation protection={protection} />
            </Suspense>
          </Tabs.Panel>
          <Tabs.Panel value="runs">
            <Panel title="Tests and failovers" flush>
              <RunList protection={protection} />
            </Panel>
          </Tabs.Panel>
          <Tabs.Panel value="jobs">
            <MachineJobs protectionId={protection.id} />
          </Tabs.Panel>
          <Tabs.Panel value="events">
            <MachineEvents protectionId={protection.id} />
          </Tabs.Panel>
        </Tabs>
      </Stack>
      {editing && <EditDialog protection={protection} onClose={stopEditing} />}
    </>
  )
}

type EditDialogProps = { readonly protection: Protection; readonly onClose: () => void }

function EditDialog({ protection, onClose }: EditDialogProps) {
  useFocusBack()
  return (
    <Modal opened onClose={onClose} title={`Edit the protection of ${protection.name}`}>
      <PolicyEditor protection={protection} onDone={onClose} />
      <Text size="xs" c="var(--ink-quiet)" mt="sm">
        Disks and networks are edited in their tabs.
      </Text>
    </Modal>
  )
}
