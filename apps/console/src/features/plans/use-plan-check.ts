// What is wrong with the plan while it is drawn: our own rules at once, the server's when the hand rests.
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, replaceEqualDeep, useQuery } from '@tanstack/react-query'
import { validatePlan } from '@understudy/contract/plan-editing'
import type { PlanFinding, PlanTimetable } from '@understudy/contract/recovery-plan'
import { useMemo, useRef } from 'react'
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
    queryKey: [['plans', 'check'], kind, numberOf(rested)],
    queryFn: async ({ signal }) => ({
      checked: rested,
      answer: await client.plans.check({ plan: bodyOf(rested), kind }, { signal }),
    }),
    placeholderData: keepPreviousData,
    // Every rest of the hand is a plan of its own: nobody comes back to them.
    gcTime: 10_000,
    retry: false,
  })
  const joined = useMemo(
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
  // While nothing new is wrong, the same lists as before: no lane is drawn again for them.
  const former = useRef(joined)
  former.current = replaceEqualDeep(former.current, joined)
  return {
    findings: former.current,
    timetable: data?.answer.timetable ?? null,
    settled: rested === plan && !isPlaceholderData && data !== undefined,
    error,
  }
}

/** A plan is never changed, only made anew: a number tells two of them apart, where the text of two hundred machines would cost time. */
const numbers = new WeakMap<Plan, number>()
let last = 0
function numberOf(plan: Plan): number {
  const known = numbers.get(plan)
  if (known !== undefined) return known
  last += 1
  numbers.set(plan, last)
  return last
}
