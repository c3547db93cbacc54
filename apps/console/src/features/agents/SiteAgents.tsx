import { Button, Group } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconPlugConnected, IconPlus } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { Agent } from '@understudy/contract/agent'
import { roleOf } from '@understudy/contract/roles'
import type { Site } from '@understudy/contract/site'
import { useState } from 'react'
import { api, client } from '../../api/client.ts'
import { useRooms } from '../../api/live.ts'
import { useWhyRefused } from '../../api/session.ts'
import { formatCount } from '../../lib/format.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { EmptyState } from '../../ui/EmptyState.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../../ui/RowSkeletons.tsx'
import { toastProblem } from '../../ui/toast-job.tsx'
import { AgentTable } from './AgentTable.tsx'
import { EnrolAgent } from './EnrolAgent.tsx'
import { SiteReceivers } from './SiteReceivers.tsx'

/** Beats change figures and no state: they are read again, not told one by one. */
const refetchInterval = 5000

/** The movers beside the disks of a site, and how one more is enrolled. */
export function SiteAgents({ site }: { readonly site: Pick<Site, 'id' | 'name' | 'platform'> }) {
  useRooms(['topic:agents'])
  const refused = useWhyRefused()(roleOf.agents.invite)
  const [enrolling, { open, close }] = useDisclosure()
  const [withRevoked, setWithRevoked] = useState(false)
  const { data, error } = useQuery({
    ...api.agents.list.queryOptions({ input: { siteId: site.id } }),
    refetchInterval,
  })
  if (error) return <ProblemAlert error={error} />
  if (!data) return <RowSkeletons rows={2} />
  // Receivers have a list of their own, until they are over.
  const servers = data.items.filter(({ roles, state }) => state === 'revoked' || !roles.includes('receiver'))
  const revoked = data.items.filter(({ state }) => state === 'revoked').length
  const shown = withRevoked ? servers : servers.filter(({ state }) => state !== 'revoked')
  const enrol = (
    <ActionButton reason={refused} leftSection={<IconPlus size={16} />} onClick={open}>
      Enrol an agent
    </ActionButton>
  )
  return (
    <>
      {shown.length === 0 ? (
        <EmptyState icon={IconPlugConnected} title="No agent at this site" action={enrol}>
          An agent is a program on a server of this site. It dials out to this control plane, by a proxy where
          there is one, and nothing has to be opened towards it.
        </EmptyState>
      ) : (
        <>
          <Group justify="flex-end" p={8}>
            <UpgradeAll siteId={site.id} agents={shown} />
            {enrol}
          </Group>
          <AgentTable agents={shown} />
        </>
      )}
      {revoked > 0 && (
        <Button variant="subtle" size="compact-sm" m={8} onClick={() => setWithRevoked(!withRevoked)}>
          {withRevoked ? 'Hide revoked ones' : `Show ${formatCount(revoked)} revoked`}
        </Button>
      )}
      {enrolling && <EnrolAgent site={site} agents={data.items} becomes="protected-server" onClose={close} />}
      {site.platform === 'physical' && <SiteReceivers site={site} agents={data.items} />}
    </>
  )
}

/** Nothing where fewer than two can be upgraded: each has a button of its own. */
function UpgradeAll({ siteId, agents }: { readonly siteId: string; readonly agents: readonly Agent[] }) {
  const queries = useQueryClient()
  const refused = useWhyRefused()(roleOf.agents.upgradeAll)
  const upgrade = useMutation({
    mutationFn: () => client.agents.upgradeAll({ id: siteId }),
    onError: (problem) => toastProblem('The agents could not be asked', problem),
    onSettled: () => queries.invalidateQueries({ queryKey: api.agents.key() }),
  })
  const able = agents.filter((agent) => agent.upgrade?.whyNot === null && !agent.waitsForAnswer).length
  if (able < 2) return null
  return (
    <ActionButton
      reason={refused}
      variant="default"
      loading={upgrade.isPending}
      onClick={() => upgrade.mutate()}
    >
      Upgrade all {formatCount(able)}
    </ActionButton>
  )
}
