import { useQuery } from '@tanstack/react-query'
import type { Alert } from '@understudy/contract/event'
import { api } from '../api/client.ts'
import { LinkAnchor } from '../ui/LinkAnchor.tsx'

/** Leads to the site, machine, group, plan, run or agent that an alert is about; plain words where none is known (any more). */
export function AlertSubject({ alert: { code, subjectId, subjectName } }: { readonly alert: Alert }) {
  const { data: sites } = useQuery(api.sites.list.queryOptions())
  // As the overview asks for them: one answer serves every line.
  const { data: protections } = useQuery(api.protections.list.queryOptions({ input: { limit: 500 } }))
  const { data: plans } = useQuery({
    ...api.plans.list.queryOptions(),
    enabled: code.startsWith('recovery-plan/'),
  })
  const { data: run } = useQuery({
    ...api.planRuns.get.queryOptions({ input: { id: subjectId ?? '' } }),
    enabled: code.startsWith('plan-run/') && subjectId !== null,
    retry: false,
  })
  const { data: agents } = useQuery({
    ...api.agents.list.queryOptions({ input: {} }),
    enabled: code.startsWith('agent/'),
  })
  const agent = agents?.items.find(({ id }) => id === subjectId)
  if (agent)
    return (
      <LinkAnchor to="/sites/$siteId" params={{ siteId: agent.siteId }} search={{ tab: 'agents' }} inherit>
        {subjectName}
      </LinkAnchor>
    )
  if (run)
    return (
      <LinkAnchor to="/plans/$planId/runs/$runId" params={{ planId: run.planId, runId: run.id }} inherit>
        {subjectName}
      </LinkAnchor>
    )
  if (sites?.items.some(({ id }) => id === subjectId))
    return (
      <LinkAnchor to="/sites/$siteId" params={{ siteId: subjectId ?? '' }} inherit>
        {subjectName}
      </LinkAnchor>
    )
  const protection = protections?.items.find(({ id }) => id === subjectId)
  if (protection)
    return (
      <LinkAnchor to="/machines/$machineId" params={{ machineId: protection.machineId }} inherit>
        {subjectName}
      </LinkAnchor>
    )
  if (code.startsWith('group/'))
    return (
      <LinkAnchor to="/groups" search={{ edit: subjectId ?? '' }} inherit>
        {subjectName}
      </LinkAnchor>
    )
  // The alerts of plans are about their tests.
  if (code.startsWith('recovery-plan/') && plans?.items.some(({ id }) => id === subjectId))
    return (
      <LinkAnchor to="/plans/$planId" params={{ planId: subjectId ?? '' }} search={{ tab: 'tests' }} inherit>
        {subjectName}
      </LinkAnchor>
    )
  return subjectName
}
