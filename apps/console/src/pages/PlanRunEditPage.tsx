import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { useCallback, useMemo } from 'react'
import { api } from '../api/client.ts'
import { isActive } from '../features/plan-runs/run-words.ts'
import { clearNames } from '../features/plans/clear-names.ts'
import type { ItemId } from '../features/plans/plan-draft.ts'
import { RunWorkshop } from '../features/plans/RunWorkshop.tsx'
import { allProtections } from '../features/protections/load-all.ts'
import { LinkAnchor } from '../ui/LinkAnchor.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RoutePending } from '../ui/RoutePending.tsx'

/** What is still to come of a run, in the editor. */
export function PlanRunEditPage() {
  const { planId, runId } = useParams({ from: '/signed-in/plans/$planId/runs/$runId/edit' })
  const { item = null } = useSearch({ from: '/signed-in/plans/$planId/runs/$runId/edit' })
  const navigate = useNavigate()
  const { data: run, error } = useQuery({
    ...api.planRuns.get.queryOptions({ input: { id: runId } }),
    // What begins is locked as soon as it does.
    refetchInterval: (query) => (query.state.data && isActive(query.state.data) ? 2000 : false),
  })
  const protections = useQuery(allProtections)
  const names = useMemo(() => clearNames(protections.data), [protections.data])
  const onItem = useCallback(
    (id: ItemId | null) =>
      void navigate({
        to: '/plans/$planId/runs/$runId/edit',
        params: { planId, runId },
        search: { item: id ?? undefined },
        replace: true,
        resetScroll: false,
      }),
    [navigate, planId, runId],
  )
  const problem = error ?? protections.error
  if (!run || !protections.data) return problem ? <ProblemAlert error={problem} /> : <RoutePending />
  return (
    <RunWorkshop
      key={runId}
      run={run}
      names={names}
      item={item}
      onItem={onItem}
      onDone={() => void navigate({ to: '/plans/$planId/runs/$runId', params: { planId, runId } })}
      back={
        <LinkAnchor to="/plans/$planId/runs/$runId" params={{ planId, runId }} underline="always">
          Back to the run
        </LinkAnchor>
      }
    />
  )
}
