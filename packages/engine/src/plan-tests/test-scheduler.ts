// Begins the tests that are due, and cleans up after them. Everything stands in rows: any number of processes look at once, and one that died
// between any two lines has left nothing that the next look does not find. The order of writes is in DESIGN.md.
import { isAbort, Outage, Refusal } from '@understudy/base/errors'
import type { EventId } from '@understudy/domain/events/event'
import { hasPassed } from '@understudy/domain/recovery-plans/last-test'
import { activePlanRunStates, type PlanRun, type PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import {
  beginByOf,
  judgeDue,
  nextTestAt,
  type ScheduledTest,
  type TestSchedule,
  type TestSettings,
} from '@understudy/domain/recovery-plans/test-schedule'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import { beginRun } from '../recovery-plans/begin-run.ts'
import { followUpsOf } from '../recovery-plans/boots-of-run.ts'
import { cleanUpAfter } from '../recovery-plans/clean-up-after.ts'
import { cancelRun } from '../recovery-plans/steer-run.ts'
import { createRecurring, type Recurring } from '../recurring.ts'
import { raiseFailed, raiseNotBegun, watchTests } from './test-alerts.ts'
import { whyNoTestNow } from './why-not-now.ts'

const EVERY_MILLISECONDS = 5000
/** Overdue is told in days. */
const ALERTS_EVERY_MILLISECONDS = 60_000
/** After a server that was down for long: so many missed ones of a plan are told in one look, the rest in the next. */
const AT_ONCE = 20

export const BY_SCHEDULE = 'the schedule'

export function createTestScheduler(parts: EngineParts): Recurring {
  let alertsAt = 0
  const what = { name: 'the schedule of tests', everyMilliseconds: EVERY_MILLISECONDS }
  return createRecurring(parts, what, async (signal) => {
    for (const test of await parts.stores.tests.open()) await quietly(parts, () => goOn(parts, test))
    for (const { planId } of await parts.stores.tests.list())
      for (let looks = 0; looks < AT_ONCE && !signal.aborted; looks += 1)
        if (!(await quietly(parts, () => lookAtDue(parts, planId)))) break
    if (parts.clock.now() < alertsAt) return
    alertsAt = parts.clock.now() + ALERTS_EVERY_MILLISECONDS
    await watchTests(parts)
  })
}

/** One plan must not hold up the tests of the others. */
async function quietly(parts: EngineParts, look: () => Promise<boolean>): Promise<boolean> {
  try {
    return await look()
  } catch (error) {
    if (!isAbort(error)) parts.log('warn', 'a scheduled test could not be looked at', { error })
    return false
  }
}

// What is due

/** True: something was settled, and another time may be due already. */
async function lookAtDue(parts: EngineParts, planId: TestSettings['planId']): Promise<boolean> {
  const settings = await parts.stores.tests.find(planId)
  const { schedule, nextAt } = settings ?? { schedule: null, nextAt: null }
  if (settings === null || schedule === null || nextAt === null || parts.clock.now() < nextAt) return false
  const kept = await parts.stores.plans.find(planId)
  if (kept === null) return false
  const obstacle = await whyNoTestNow(parts, kept.plan)
  const verdict = judgeDue({ settings, obstacle, now: parts.clock.now() })
  const due = dueTest(parts, { planId, planName: kept.plan.name, schedule, dueAt: nextAt })
  switch (verdict.kind) {
    case 'not-due':
      return false
    case 'wait':
      await noteWaiting(parts, settings, nextAt, verdict.reason)
      return false
    case 'begin':
      return await beginDue(parts, settings, due)
    case 'skip':
    case 'miss': {
      // Told before it is settled: a death in between has it told again and not forgotten.
      await tellNotBegun(parts, due, verdict)
      const state = verdict.kind === 'skip' ? 'skipped' : 'missed'
      const note = verdict.kind === 'skip' ? verdict.reason : MISSED
      const settled = { ...due, state, planRunId: null, note, settledAt: parts.clock.now() } as const
      const claimed = await parts.stores.tests.claim(settled, following(settings, due), null)
      if (claimed === 'claimed') parts.live.changed('plans', planId)
      return true
    }
  }
}

const MISSED = 'No server was there to begin it in time'

const dueTest = (
  { newId }: EngineParts,
  {
    planId,
    planName,
    schedule,
    dueAt,
  }: Pick<ScheduledTest, 'planId' | 'planName' | 'dueAt'> & { readonly schedule: TestSchedule },
): ScheduledTest => ({
  planId,
  planName,
  dueAt,
  state: 'beginning',
  planRunId: newId() as PlanRunId,
  beginBy: beginByOf(dueAt, schedule),
  keepMinutes: schedule.keepMinutes,
  giveUpMinutes: schedule.giveUpMinutes,
  note: null,
  passed: null,
  settledAt: null,
})

const following = ({ revision, schedule }: TestSettings, { dueAt }: ScheduledTest) => ({
  revision,
  nextAt: schedule === null ? null : nextTestAt(schedule, dueAt),
})

async function noteWaiting(
  parts: EngineParts,
  { planId, waitsFor }: TestSettings,
  dueAt: number,
  reason: string,
): Promise<void> {
  if (waitsFor === reason) return
  await parts.stores.tests.noteWaiting(planId, dueAt, reason)
  parts.live.changed('plans', planId)
}

async function beginDue(parts: EngineParts, settings: TestSettings, due: ScheduledTest): Promise<boolean> {
  const most = parts.config.concurrentScheduledTests
  const claimed = await parts.stores.tests.claim(due, following(settings, due), most)
  if (claimed === 'full') {
    const reason = `${most} other scheduled ${most === 1 ? 'test runs' : 'tests run'}, and no more may at once`
    await noteWaiting(parts, settings, due.dueAt, reason)
    return false
  }
  if (claimed === 'claimed') await goOn(parts, due)
  return true
}

// What has been claimed

async function goOn(parts: EngineParts, test: ScheduledTest): Promise<boolean> {
  const { planRunId } = test
  const run = planRunId === null ? null : await parts.stores.planRuns.find(planRunId)
  if (test.state === 'beginning') return await begin(parts, test, run)
  if (run === null) return await settle(parts, test, { passed: false, note: 'Its run has been removed' })
  if (activePlanRunStates.includes(run.state)) return await giveUpInTime(parts, test, run)
  return await cleanUp(parts, test, run)
}

/** Under the id that stands in the row: whoever repeats it begins nothing a second time. */
async function begin(parts: EngineParts, test: ScheduledTest, run: PlanRun | null): Promise<boolean> {
  const { planId, planRunId, beginBy } = test
  if (planRunId === null) return false
  if (run === null) {
    if (parts.clock.now() > beginBy) return await giveUpBeginning(parts, test)
    // It may have been claimed long before: by a process that died, or while somebody else ran the plan.
    const kept = await parts.stores.plans.find(planId)
    if (kept !== null && (await whyNoTestNow(parts, kept.plan)) !== null) return false
    try {
      await beginRun(parts, { by: BY_SCHEDULE, planRunId, planId, kind: 'test' })
    } catch (error) {
      if (error instanceof Outage || !(error instanceof Refusal)) throw error
      // Somebody has started the plan at this very moment: it may be over within the window.
      if (error.code === 'recovery-plan/running') return false
      return await notBegun(parts, test, { kind: 'skip', reason: error.message })
    }
  }
  const { tests } = parts.stores
  // One that was given up meanwhile, while this process stood still, has begun after all.
  const moved =
    (await tests.move(planId, test.dueAt, 'beginning', 'running')) ||
    (await tests.move(planId, test.dueAt, 'missed', 'running', { note: null, settledAt: null }))
  parts.live.changed('plans', planId)
  return moved
}

async function giveUpBeginning(parts: EngineParts, test: ScheduledTest): Promise<boolean> {
  const kept = await parts.stores.plans.find(test.planId)
  const reason = kept === null ? 'The plan has been removed' : await whyNoTestNow(parts, kept.plan)
  return await notBegun(parts, test, reason === null ? { kind: 'miss' } : { kind: 'skip', reason })
}

type NotBegun = { readonly kind: 'skip'; readonly reason: string } | { readonly kind: 'miss' }

async function notBegun(parts: EngineParts, test: ScheduledTest, why: NotBegun): Promise<boolean> {
  await tellNotBegun(parts, test, why)
  const to = why.kind === 'skip' ? 'skipped' : 'missed'
  const change = { note: why.kind === 'skip' ? why.reason : MISSED, settledAt: parts.clock.now() }
  const moved = await parts.stores.tests.move(test.planId, test.dueAt, 'beginning', to, change)
  parts.live.changed('plans', test.planId)
  return moved
}

async function tellNotBegun(parts: EngineParts, test: ScheduledTest, why: NotBegun): Promise<void> {
  await raiseNotBegun(parts, test, why)
  const words =
    why.kind === 'skip' ? `skipped: ${why.reason}` : 'missed: no server was there to begin it in time'
  await tellOnce(parts, test, { severity: 'warning', code: 'recovery-plan/test-not-begun', words })
}

/** Under an id of its own, so that whoever repeats it does not tell it twice. */
const tellOnce = (
  parts: EngineParts,
  { planId, planName, planRunId, dueAt }: ScheduledTest,
  {
    severity,
    code,
    words,
  }: { readonly severity: 'info' | 'warning'; readonly code: string; readonly words: string },
): Promise<void> =>
  recordEvent(
    parts,
    {
      severity,
      code,
      message: `The scheduled test of "${planName}" of ${new Date(dueAt).toISOString()} was ${words}`,
      subject: { id: planId, name: planName },
      facts: { planRunId, dueAt },
    },
    `${planId}-${dueAt}-${code.split('/')[1]}` as EventId,
  )

// What runs, and what is left of it

async function giveUpInTime(parts: EngineParts, test: ScheduledTest, run: PlanRun): Promise<boolean> {
  const until = run.startedAt + test.giveUpMinutes * 60_000
  if (parts.clock.now() < until || run.state === 'cancelling') return false
  await cancelRun(parts, run.id, { by: `${BY_SCHEDULE}, after ${test.giveUpMinutes} minutes` })
  return true
}

/** One that has failed is cleaned up as well: nobody may be there to do it. */
async function cleanUp(parts: EngineParts, test: ScheduledTest, run: PlanRun): Promise<boolean> {
  const cleanUpOf = async () =>
    (await followUpsOf(parts, run)).find(({ kind }) => kind === 'clean-up') ?? null
  let made = await cleanUpOf()
  if (made === null) {
    const endedAt = run.endedAt ?? run.startedAt
    if (parts.clock.now() < endedAt + test.keepMinutes * 60_000) return false
    // Refused while somebody else runs the plan, and tried again.
    await cleanUpAfter(parts, run, await parts.stores.planRuns.activities(run.id))
    made = await cleanUpOf()
  }
  if (made !== null && activePlanRunStates.includes(made.state)) return false
  return await settle(parts, test, verdictOf(run, made))
}

type Verdict = { readonly passed: boolean; readonly note: string }

function verdictOf(run: PlanRun, cleanUpRun: PlanRun | null): Verdict {
  const passed = hasPassed(run)
  const words = passed ? 'passed' : wordsOfEnd(run)
  if (cleanUpRun === null || cleanUpRun.state === 'succeeded') return { passed, note: words }
  return { passed: false, note: `${words}; its clean-up has ${cleanUpRun.state}: machines of it may be left` }
}

/** The state of a run whose plan went on behind a failure says nothing of it. */
const wordsOfEnd = ({ state, note }: PlanRun): string => {
  if (note === null) return state
  return state === 'succeeded' ? `it came to its end, but ${note}` : `${state}: ${note}`
}

async function settle(parts: EngineParts, test: ScheduledTest, { passed, note }: Verdict): Promise<boolean> {
  if (!passed) await raiseFailed(parts, test, `did not pass: ${note}`)
  const severity = passed ? 'info' : 'warning'
  await tellOnce(parts, test, { severity, code: 'recovery-plan/test-done', words: `done: ${note}` })
  const change = { passed, note, settledAt: parts.clock.now() }
  const moved = await parts.stores.tests.move(test.planId, test.dueAt, 'running', 'done', change)
  parts.live.changed('plans', test.planId)
  return moved
}
