// When a plan is tested by itself, as somebody has set it.
import { Refusal } from '@understudy/base/errors'
import { isSameValue } from '@understudy/domain/recovery-plans/same-value'
import { wordsOfSchedule } from '@understudy/domain/recovery-plans/schedule-words'
import {
  checkTestSettings,
  nextTestAt,
  noTestSettings,
  type TestSettings,
} from '@understudy/domain/recovery-plans/test-schedule'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import { loadPlan } from '../recovery-plans/save-plan.ts'
import type { SaveTestSettingsRequest } from '../requests.ts'

/** As they are set, or as they are when nobody has set anything. */
export async function testSettingsOf(
  { stores }: Pick<EngineParts, 'stores'>,
  planId: TestSettings['planId'],
): Promise<TestSettings> {
  return (await stores.tests.find(planId)) ?? noTestSettings(planId)
}

/** Of another schedule what is due from now on counts; a time that has passed today does not come again. */
export async function saveTestSettings(
  parts: EngineParts,
  request: SaveTestSettingsRequest,
): Promise<TestSettings> {
  const { planId, testEveryDays, schedule, revision, by } = request
  checkTestSettings({ testEveryDays, schedule })
  const { plan } = await loadPlan(parts, planId)
  const known = await testSettingsOf(parts, planId)
  const now = parts.clock.now()
  const next: TestSettings = {
    planId,
    testEveryDays,
    schedule,
    revision: revision + 1,
    ...(isSameValue(known.schedule, schedule)
      ? // What is due already, and waits, stays due.
        { nextAt: known.nextAt, waitsFor: known.waitsFor }
      : { nextAt: schedule === null ? null : nextTestAt(schedule, now), waitsFor: null }),
    changedAt: now,
  }
  if (!(await parts.stores.tests.save(next)))
    throw new Refusal({
      code: 'test-schedule/edited-meanwhile',
      message: 'Somebody else has changed the schedule meanwhile',
      remedy: 'Look at it as it is now, and change it again.',
    })
  parts.live.changed('plans', planId)
  const words =
    schedule === null
      ? 'has no schedule of tests'
      : `is tested ${wordsOfSchedule(schedule)}${schedule.enabled ? '' : ', which is switched off'}`
  await recordEvent(parts, {
    severity: 'info',
    code: 'recovery-plan/test-schedule',
    message: `"${plan.name}" ${words}; ${by} has set it. A test is due every ${testEveryDays} days`,
    subject: { id: planId, name: plan.name },
    facts: { schedule, testEveryDays, revision: next.revision },
  })
  return next
}
