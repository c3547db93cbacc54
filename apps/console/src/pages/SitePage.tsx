import { Alert, SimpleGrid, Stack, Tabs } from '@mantine/core'
import { IconAlertTriangle, IconArchive, IconRefresh, IconServer2 } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { formatBytes } from '@understudy/base/bytes'
import { roleOf } from '@understudy/contract/roles'
import type { Site } from '@understudy/contract/site'
import { api, client } from '../api/client.ts'
import { useRooms } from '../api/live.ts'
import { useWhyRefused } from '../api/session.ts'
import { SiteAgents } from '../features/agents/SiteAgents.tsx'
import { SiteDown } from '../features/plan-runs/SiteDown.tsx'
import { MachineList } from '../features/protections/MachineList.tsx'
import { ReplicaList } from '../features/protections/ReplicaList.tsx'
import { AzureFacts } from '../features/sites/AzureFacts.tsx'
import { EditSite } from '../features/sites/EditSite.tsx'
import { RemoveSite } from '../features/sites/RemoveSite.tsx'
import { SiteNetworks } from '../features/sites/SiteNetworks.tsx'
import { SiteStatus } from '../features/sites/SiteStatus.tsx'
import { SlowedDown, SlowedMachines } from '../features/sites/SlowedDown.tsx'
import { wordsOfPlatform } from '../features/sites/site-words.ts'
import { formatCount } from '../lib/format.ts'
import { ActionButton } from '../ui/ActionButton.tsx'
import { EmptyState } from '../ui/EmptyState.tsx'
import { LinkButton } from '../ui/LinkButton.tsx'
import { PageHeader } from '../ui/PageHeader.tsx'
import { Panel } from '../ui/Panel.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RoutePending } from '../ui/RoutePending.tsx'
import { RowSkeletons } from '../ui/RowSkeletons.tsx'
import { EmulatedBadge, KeepsReplicasBadge, SimulatedBadge } from '../ui/SimulatedBadge.tsx'
import { Stat } from '../ui/Stat.tsx'
import { toastProblem } from '../ui/toast-job.tsx'
import { When } from '../ui/When.tsx'

const tabs = ['machines', 'replicas', 'networks', 'agents', 'settings'] as const
const wordsOfTab: Record<(typeof tabs)[number], string> = {
  machines: 'Machines',
  replicas: 'Replicas kept here',
  networks: 'Networks',
  agents: 'Agents',
  settings: 'Settings',
}

export function SitePage() {
  const { siteId } = useParams({ from: '/signed-in/sites/$siteId' })
  const search = useSearch({ from: '/signed-in/sites/$siteId' })
  const navigate = useNavigate()
  const queries = useQueryClient()
  const whyRefused = useWhyRefused()
  useRooms(['measurements'])
  const { data: site, error } = useQuery(api.sites.get.queryOptions({ input: { id: siteId } }))
  const refresh = useMutation({
    mutationFn: () => client.sites.refresh({ id: siteId }),
    onError: (problem) => toastProblem('The site could not be read', problem),
    onSettled: () => queries.invalidateQueries({ queryKey: api.key() }),
  })
  if (!site) return error ? <ProblemAlert error={error} /> : <RoutePending />
  // A site that only keeps replicas has neither machines nor networks to show, and no server for an agent; one that runs them may have no
  // inventory; one of servers with agents keeps nothing. One that cannot be opened can do nothing now, and is shown whole.
  const isOpen = site.canBeSource || site.canKeepReplicas || site.canBeTarget
  const isShown: Record<(typeof tabs)[number], boolean> = {
    machines: !isOpen || site.canBeSource,
    replicas: !isOpen || site.canKeepReplicas,
    networks: site.whyNoTarget === null && (!isOpen || site.canBeTarget),
    agents: !isOpen || site.canBeSource,
    settings: true,
  }
  const shownTabs = tabs.filter((each) => isShown[each])
  const hasMachines = shownTabs.includes('machines')
  // Where nothing runs yet, what is kept is what people come for.
  const isForReplicas = site.machineCount === 0 && site.replicaCount > 0
  const tab =
    shownTabs.find((each) => each === search.tab) ?? (isForReplicas ? 'replicas' : shownTabs[0]) ?? 'settings'
  const open = (value: string | null): void => {
    const chosen = tabs.find((each) => each === value)
    if (chosen)
      void navigate({ to: '/sites/$siteId', params: { siteId }, search: { tab: chosen }, replace: true })
  }
  return (
    <>
      <PageHeader
        title={site.name}
        badges={
          <>
            <SiteStatus site={site} />
            {site.simulated && <SimulatedBadge />}
            {site.emulated && <EmulatedBadge />}
            {site.whyNoTarget && <KeepsReplicasBadge />}
          </>
        }
        note={
          <>
            {wordsOfPlatform[site.platform]} · checked <When at={site.checkedAt} absent="never" />
          </>
        }
        actions={
          <>
            <ActionButton
              reason={whyRefused(roleOf.sites.refresh)}
              variant="default"
              leftSection={<IconRefresh size={16} />}
              loading={refresh.isPending}
              onClick={() => refresh.mutate()}
            >
              {hasMachines ? 'Read the inventory now' : 'Check it now'}
            </ActionButton>
            {hasMachines && (
              <SiteDown siteId={siteId} name={site.name} answers={site.health !== 'unreachable'} />
            )}
            <RemoveSite site={site} onRemoved={() => void navigate({ to: '/sites' })} />
          </>
        }
      />
      <Stack gap="md">
        {site.healthNote !== null && site.health !== 'healthy' && (
          <Alert
            color={site.health === 'unreachable' ? 'red' : 'yellow'}
            variant="light"
            icon={<IconAlertTriangle size={18} />}
            title={
              site.health === 'unreachable' ? 'This site does not answer' : 'Something is not right here'
            }
          >
            {site.healthNote}
          </Alert>
        )}
        {site.whyNoTarget && (
          <Alert
            color="blue"
            variant="light"
            icon={<IconArchive size={18} />}
            title={site.whyNoTarget.message}
          >
            {site.whyNoTarget.remedy}
          </Alert>
        )}
        {site.slowedDown && <SlowedMachines slowedDown={site.slowedDown} />}
        <Panel aria-label="In numbers">
          <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="md">
            {hasMachines && (
              <Stat
                label="Machines"
                value={formatCount(site.machineCount)}
                note={`${formatCount(site.protectedCount)} protected`}
              />
            )}
            {isShown.replicas && (
              <>
                <Stat label="Replicas kept here" value={formatCount(site.replicaCount)} />
                <Stat label="Stored here" value={formatBytes(site.storedBytes)} note="recovery points" />
              </>
            )}
            {!isShown.replicas ? null : site.slowedDown ? (
              <SlowedDown slowedDown={site.slowedDown} />
            ) : (
              <Stat
                label="Free"
                value={site.freeBytes === null ? '–' : formatBytes(site.freeBytes)}
                note={site.freeBytes === null ? 'not known now' : 'for replicas'}
              />
            )}
          </SimpleGrid>
        </Panel>
        <AzureFacts site={site} />
        <Panel flush aria-label={`Details of ${site.name}`}>
          <Tabs value={tab} onChange={open} keepMounted={false}>
            <Tabs.List px={8}>
              {shownTabs.map((each) => (
                <Tabs.Tab key={each} value={each}>
                  {wordsOfTab[each]}
                </Tabs.Tab>
              ))}
            </Tabs.List>
            <Tabs.Panel value="machines">
              <Machines site={site} />
            </Tabs.Panel>
            <Tabs.Panel value="replicas">
              <Replicas siteId={siteId} />
            </Tabs.Panel>
            <Tabs.Panel value="networks">
              <SiteNetworks siteId={siteId} />
            </Tabs.Panel>
            <Tabs.Panel value="agents">
              <SiteAgents site={site} />
            </Tabs.Panel>
            <Tabs.Panel value="settings" p="md">
              <EditSite key={site.id} site={site} />
            </Tabs.Panel>
          </Tabs>
        </Panel>
      </Stack>
    </>
  )
}

function Machines({ site }: { readonly site: Pick<Site, 'id' | 'health' | 'platform'> }) {
  const { id: siteId, health: siteHealth } = site
  const { data, error } = useQuery(api.machines.list.queryOptions({ input: { siteId, limit: 100 } }))
  const { data: protections } = useQuery(
    api.protections.list.queryOptions({ input: { sourceSiteId: siteId, limit: 500 } }),
  )
  if (error) return <ProblemAlert error={error} />
  if (!data) return <RowSkeletons />
  if (data.items.length === 0)
    return (
      <EmptyState icon={IconServer2} title="No machines found here">
        {site.platform === 'physical'
          ? 'A server appears when the agent on it is there. Enrol one under Agents, and start it.'
          : 'Machines appear by themselves once the platform shows them. Read the inventory now, or look at the folder or connection under Settings.'}
      </EmptyState>
    )
  return (
    <>
      <MachineList
        siteHealth={siteHealth}
        machines={data.items}
        protectionOf={(machine) => protections?.items.find((each) => each.id === machine.protectionId)}
      />
      {data.next !== null && (
        <LinkButton variant="subtle" m={8} to="/machines" search={{ siteId }}>
          All {data.total === null ? '' : formatCount(data.total)} machines of this site
        </LinkButton>
      )}
    </>
  )
}

function Replicas({ siteId }: { readonly siteId: string }) {
  const refused = useWhyRefused()(roleOf.protections.create)
  const { data, error } = useQuery(
    api.protections.list.queryOptions({ input: { targetSiteId: siteId, limit: 100 } }),
  )
  if (error) return <ProblemAlert error={error} />
  if (!data) return <RowSkeletons />
  if (data.items.length === 0)
    return (
      <EmptyState
        icon={IconServer2}
        title="No replicas are kept here"
        action={
          <LinkButton to="/protect" search={{ targetSiteId: siteId }} reason={refused}>
            Protect machines to here
          </LinkButton>
        }
      >
        Choose this site as the target when you protect a machine of another site.
      </EmptyState>
    )
  return <ReplicaList protections={data.items} />
}
