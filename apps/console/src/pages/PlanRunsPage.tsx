import { useQuery } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { api } from '../api/client.ts'
import { PlanRunList } from '../features/plan-runs/PlanRunList.tsx'
import { StartPlan } from '../features/plan-runs/StartPlan.tsx'
import { formatDuration } from '../lib/format.ts'
import { PageHeader } from '../ui/PageHeader.tsx'
import { Panel } from '../ui/Panel.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RoutePending } from '../ui/RoutePending.tsx'

/** All runs of a plan, and where the next one is started. */
export function PlanRunsPage() {
  const { planId } = useParams({ from: '/signed-in/plans/$planId/runs' })
  const { data: plan } = useQuery({
    ...api.plans.get.queryOptions({ input: { id: planId } }),
    retry: false,
  })
  const { data: runs, error } = useQuery(api.planRuns.list.queryOptions({ input: { planId, limit: 200 } }))
  if (!runs) return error ? <ProblemAlert error={error} /> : <RoutePending />
  // A run outlives its plan.
  const name = plan?.name ?? runs.items[0]?.planName ?? 'a plan that has gone'
  return (
    <>
      <PageHeader
        title={`Runs of ${name}`}
        note={
          plan
            ? `${plan.machineCount} machines, ${plan.stepCount} steps, ${plan.predictedSeconds === null ? 'not runnable as it is' : `about ${formatDuration(Math.round(plan.predictedSeconds))}`}`
            : 'The plan has been removed; its runs stay.'
        }
        actions={plan && <StartPlan planId={plan.id} name={plan.name} />}
      />
      <Panel flush aria-label="Runs">
        <PlanRunList
          runs={runs.items}
          empty="It has never been run. A test touches nothing: begin with one."
        />
      </Panel>
    </>
  )
}
