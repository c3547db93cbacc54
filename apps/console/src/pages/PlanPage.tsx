import { Box } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { lazy, Suspense, useCallback, useMemo } from 'react'
import { api } from '../api/client.ts'
import { PlanRunList } from '../features/plan-runs/PlanRunList.tsx'
import { RunningTwice } from '../features/plan-runs/RunningTwice.tsx'
import { StartPlan } from '../features/plan-runs/StartPlan.tsx'
import { clearNames } from '../features/plans/clear-names.ts'
import { type PlanView, PlanWorkshop } from '../features/plans/PlanWorkshop.tsx'
import { allProtections } from '../features/protections/load-all.ts'
import { Panel } from '../ui/Panel.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RoutePending } from '../ui/RoutePending.tsx'

// A tab of its own, which few look at who edit or run the plan.
const PlanTests = lazy(async () => {
  const { PlanTests: loaded } = await import('../features/plan-tests/PlanTests.tsx')
  return { default: loaded }
})

export function PlanPage() {
  const { planId } = useParams({ from: '/signed-in/plans/$planId' })
  const view = useSearch({ from: '/signed-in/plans/$planId' })
  const navigate = useNavigate()
  const { data: detail, error } = useQuery(api.plans.get.queryOptions({ input: { id: planId } }))
  const protections = useQuery(allProtections)
  const names = useMemo(() => clearNames(protections.data), [protections.data])
  const change = useCallback(
    (next: PlanView) =>
      void navigate({
        from: '/plans/$planId',
        to: '/plans/$planId',
        search: (before) => ({ ...before, ...next }),
        replace: true,
        resetScroll: false,
      }),
    [navigate],
  )
  if (!detail || !protections.data) {
    const problem = error ?? protections.error
    return problem ? <ProblemAlert error={problem} /> : <RoutePending />
  }
  return (
    <>
      {detail.runningTwice.length > 0 && (
        <Box mb="md">
          <RunningTwice planId={planId} machines={detail.runningTwice} runId={detail.lastRun?.id ?? null} />
        </Box>
      )}
      <PlanWorkshop
        key={planId}
        detail={detail}
        names={names}
        view={view}
        onView={change}
        onRemoved={() => void navigate({ to: '/plans' })}
        start={(blocked) => <StartPlan planId={planId} name={detail.name} blocked={blocked} compact />}
        runs={<RunsOfPlan planId={planId} />}
        tests={
          <Suspense fallback={<RoutePending />}>
            <PlanTests planId={planId} readiness={detail.readiness} />
          </Suspense>
        }
      />
    </>
  )
}

function RunsOfPlan({ planId }: { readonly planId: string }) {
  const { data, error } = useQuery(api.planRuns.list.queryOptions({ input: { planId, limit: 200 } }))
  if (!data) return error ? <ProblemAlert error={error} /> : <RoutePending />
  return (
    <Panel flush aria-label="Runs">
      <PlanRunList runs={data.items} empty="It has never been run. A test touches nothing: begin with one." />
    </Panel>
  )
}
