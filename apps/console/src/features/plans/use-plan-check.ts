// What is wrong with the plan while it is drawn: our own rules at once, the server's when the hand rests.
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { validatePlan } from '@understudy/contract/plan-editing'
import type { PlanFinding, PlanTimetable } from '@understudy/contract/recovery-plan'
import { useMemo } from 'react'
import { client } from '../../api/client.ts'
import { joinFindings } from './joined-findings.ts'
import { bodyOf, type Names, type Plan } from './plan-draft.ts'
import type { StartKind } from './plan-kinds.ts'

const restMilliseconds = 500

export type PlanChecked = {
  readonly findings: readonly PlanFinding[]
  /** Of the plan as it was a moment ago; null: its order cannot be kept, or nobody has answered yet. */
  readonly timetable: PlanTimetable | null
  /** The server has seen this very plan. */
  readonly settled: boolean
  readonly error: unknown
}

export function usePlanCheck(plan: Plan, names: Names, kind: StartKind): PlanChecked {
  const [rested] = useDebouncedValue(plan, restMilliseconds)
  const own = useMemo(() => validatePlan(plan, names) as readonly PlanFinding[], [plan, names])
  const { data, error, isPlaceholderData } = useQuery({
    queryKey: [['plans', 'check'], kind, rested],
    queryFn: async ({ signal }) => ({
      checked: rested,
      answer: await client.plans.check({ plan: bodyOf(rested), kind }, { signal }),
    }),
    placeholderData: keepPreviousData,
    // Every rest of the hand is a plan of its own: nobody comes back to them.
    gcTime: 10_000,
    retry: false,
  })
  const findings = useMemo(
    () =>
      data
        ? joinFindings({
            own,
            ownThen:
              data.checked === plan ? own : (validatePlan(data.checked, names) as readonly PlanFinding[]),
            servers: data.answer.findings,
          })
        : own,
    [own, data, plan, names],
  )
  return {
    findings,
    timetable: data?.answer.timetable ?? null,
    settled: rested === plan && !isPlaceholderData && data !== undefined,
    error,
  }
}
