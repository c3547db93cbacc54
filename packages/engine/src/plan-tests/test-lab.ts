// For tests only: a plan over the machine of a lab, with a schedule.
import { weekdays } from '@understudy/domain/calendar/weekday'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PlanGroup } from '@understudy/domain/recovery-plans/plan'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import { defaultTestSchedule, type TestSchedule } from '@understudy/domain/recovery-plans/test-schedule'
import { by, type Lab } from '../engine-lab.ts'
import { group, machine, plan } from '../recovery-plans/plan-lab.ts'

/** The clock of a lab begins at midnight. */
export const tenPast: TestSchedule = {
  ...defaultTestSchedule,
  days: { kind: 'week', weekdays },
  minuteOfDay: 10,
  windowMinutes: 30,
}

export async function scheduledPlan(
  { engine }: Pick<Lab, 'engine'>,
  protectionId: ProtectionId,
  wanted: {
    readonly schedule?: Partial<TestSchedule>
    readonly name?: string
    readonly groups?: readonly PlanGroup[]
  } = {},
): Promise<PlanId> {
  const groups = wanted.groups ?? [group('all', { machines: [machine('m-web', protectionId)] })]
  const kept = await engine.plans.create(plan(groups, { name: wanted.name ?? 'Web shop' }), { by })
  const planId = kept.plan.id
  const schedule = { ...tenPast, ...wanted.schedule }
  await engine.plans.saveTestSettings({ by, planId, testEveryDays: 30, schedule, revision: 0 })
  return planId
}
