// The alerts about tests of plans: raised when one fails, does not begin or is overdue, resolved by the next good one.
import { toIso } from '@understudy/base/instant'
import { hasPassed, lastTestOf } from '@understudy/domain/recovery-plans/last-test'
import { machinesOf } from '@understudy/domain/recovery-plans/plan-items'
import type { PlanRun } from '@understudy/domain/recovery-plans/plan-run'
import { type ScheduledTest, TEST_EVERY_DAYS } from '@understudy/domain/recovery-plans/test-schedule'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, resolveAlert, type Subject } from '../events/report.ts'
import type { PlanVersion } from '../ports/plan-stores.ts'

export const TEST_FAILED = 'recovery-plan/test-failed'
export const TEST_MISSED = 'recovery-plan/test-missed'
export const TEST_OVERDUE = 'recovery-plan/test-overdue'

const DAY = 86_400_000
const RECENT = { limit: 20, cursor: null }

const subjectOf = ({ planId, planName }: ScheduledTest): Subject => ({ id: planId, name: planName })

export const raiseNotBegun = (
  parts: EngineParts,
  test: ScheduledTest,
  why: { readonly kind: 'skip'; readonly reason: string } | { readonly kind: 'miss' },
): Promise<void> =>
  raiseAlert(parts, {
    severity: 'warning',
    code: TEST_MISSED,
    message:
      why.kind === 'skip'
        ? `The scheduled test of "${test.planName}" of ${toIso(test.dueAt)} was skipped: ${why.reason}`
        : `The scheduled test of "${test.planName}" of ${toIso(test.dueAt)} was missed: no server was there to begin it in time`,
    remedy:
      'Test the plan by hand when nothing stands in the way, or wait for the next time. A wider window gives it longer to begin.',
    subject: subjectOf(test),
    facts: { dueAt: test.dueAt },
  })

export const raiseFailed = (parts: EngineParts, test: ScheduledTest, what: string): Promise<void> =>
  raiseAlert(parts, {
    severity: 'warning',
    code: TEST_FAILED,
    message: `The scheduled test of "${test.planName}" of ${toIso(test.dueAt)} ${what}`,
    remedy: 'Open the run and its report, mend what failed, and test again.',
    subject: subjectOf(test),
    facts: { planRunId: test.planRunId, dueAt: test.dueAt },
  })

/** Of every plan: what is overdue is told, and what a good test has settled is resolved. */
export async function watchTests(parts: EngineParts): Promise<void> {
  const { stores } = parts
  const [plans, settings, failed, missed, overdue] = await Promise.all([
    stores.plans.list(),
    stores.tests.list(),
    stores.alerts.openSubjects(TEST_FAILED),
    stores.alerts.openSubjects(TEST_MISSED),
    stores.alerts.openSubjects(TEST_OVERDUE),
  ])
  const every = new Map(settings.map(({ planId, testEveryDays }) => [planId, testEveryDays]))
  for (const kept of plans) {
    const { id, name } = kept.plan
    const subject = { id, name }
    const filter = { planId: id, kinds: ['test'] as const }
    const { rows } = await stores.planRuns.list(filter, RECENT)
    const last = lastTestOf(rows)
    if (last?.passed && failed.has(id)) await resolveAlert(parts, TEST_FAILED, subject)
    if (last?.passed && missed.has(id)) {
      const alert = await stores.alerts.findOpen(TEST_MISSED, id)
      if (alert !== null && alert.raisedAt < last.at) await resolveAlert(parts, TEST_MISSED, subject)
    }
    const days = every.get(id) ?? TEST_EVERY_DAYS
    const words = await overdueWords(parts, kept, { tests: rows, days })
    if (words === null) {
      if (overdue.has(id)) await resolveAlert(parts, TEST_OVERDUE, subject)
      continue
    }
    await raiseAlert(parts, {
      severity: 'warning',
      code: TEST_OVERDUE,
      message: `A test of "${name}" is overdue: one is due every ${days} days, and ${words}`,
      remedy: 'Test the plan, or give it a schedule of tests.',
      subject,
    })
  }
}

/** Null: it is not. A plan without machines has nothing to test. */
async function overdueWords(
  { stores, clock }: EngineParts,
  { plan, savedAt }: PlanVersion,
  { tests, days }: { readonly tests: readonly PlanRun[]; readonly days: number },
): Promise<string | null> {
  if (machinesOf(plan).length === 0) return null
  const passed = tests.find(hasPassed)
  const dueSince = clock.now() - days * DAY
  if (passed) {
    const at = passed.endedAt ?? passed.startedAt
    return at >= dueSince ? null : `the last one that passed was on ${toIso(at).slice(0, 10)}`
  }
  // Whoever has just drawn it has the time of one period.
  const versions = await stores.plans.versions(plan.id)
  return (versions.at(-1)?.savedAt ?? savedAt) >= dueSince ? null : 'none has passed yet'
}
