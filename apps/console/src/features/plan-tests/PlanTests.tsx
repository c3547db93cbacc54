import { Stack } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { Readiness } from '@understudy/contract/plan-tests'
import { api } from '../../api/client.ts'
import { Panel } from '../../ui/Panel.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { ReadinessReasons } from '../../ui/ReadinessMark.tsx'
import { RoutePending } from '../../ui/RoutePending.tsx'
import { ScheduleForm } from './ScheduleForm.tsx'
import { TestHistory } from './TestHistory.tsx'

type PlanTestsProps = { readonly planId: string; readonly readiness: Readiness }

/** How far one may rely on the plan, when it is tested by itself, and what its tests have shown. */
export function PlanTests({ planId, readiness }: PlanTestsProps) {
  const settings = useQuery(api.plans.testSettings.queryOptions({ input: { id: planId } }))
  const scheduled = useQuery(api.plans.scheduledTests.queryOptions({ input: { id: planId, limit: 100 } }))
  const runs = useQuery(api.planRuns.list.queryOptions({ input: { planId, limit: 200 } }))
  const error = settings.error ?? scheduled.error ?? runs.error
  if (!settings.data) return error ? <ProblemAlert error={error} /> : <RoutePending />
  return (
    <Stack gap="md">
      <Panel title="Readiness">
        <ReadinessReasons readiness={readiness} />
      </Panel>
      <Panel title="Scheduled tests">
        <ScheduleForm key={settings.data.revision} settings={settings.data} />
      </Panel>
      <Panel title="Tests so far" flush>
        {scheduled.data && runs.data ? (
          <TestHistory scheduled={scheduled.data.items} runs={runs.data.items} />
        ) : (
          error && <ProblemAlert error={error} />
        )}
      </Panel>
    </Stack>
  )
}
