import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import type { PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import type { SiteFailover, SiteFailoverId } from '@understudy/domain/recovery-plans/site-failover'
import { expect, test } from 'vitest'
import { by, type Lab, minute, newProtectedLab, protectOneMore, runningAt } from '../engine-lab.ts'
import { group, machine, script, step } from '../recovery-plans/plan-lab.ts'
import { scheduledPlan, tenPast } from './test-lab.ts'

const all = { limit: 50, cursor: null }
const historyOf = async (lab: Lab, planId: PlanId) => (await lab.stores.tests.history(planId, all)).rows
const testsOf = async (lab: Lab, planId: PlanId) =>
  (await lab.stores.planRuns.list({ planId, kinds: ['test'] }, all)).rows
const cleanUpsOf = async (lab: Lab, planId: PlanId) =>
  (await lab.stores.planRuns.list({ planId, kinds: ['clean-up'] }, all)).rows
const hour = 60 * minute

/** Time passes without a server, so that it costs none of ours. */
const away = async (lab: Lab, milliseconds: number): Promise<void> => {
  await lab.engine.stop()
  await lab.clock.advance(milliseconds - 2 * minute)
  await lab.restart()
  await lab.clock.advance(2 * minute)
}

test('a test begins when it is due, once, and is cleaned up after its time to look around', async () => {
  const { lab, protectionId } = await newProtectedLab()
  const planId = await scheduledPlan(lab, protectionId, { schedule: { keepMinutes: 15 } })
  const begin = (await lab.engine.plans.testSettings(planId)).nextAt ?? 0
  await lab.clock.advance(begin - lab.clock.now() - 1000)
  expect(await testsOf(lab, planId)).toEqual([])
  await lab.clock.advance(10 * minute)
  expect(await testsOf(lab, planId)).toMatchObject([
    { kind: 'test', state: 'succeeded', startedBy: 'the schedule', starterId: null },
  ])
  expect(runningAt(lab.b)).toHaveLength(1)
  expect(await lab.stores.evidence.due(10)).toEqual([])
  await lab.clock.advance(15 * minute)
  expect(runningAt(lab.b)).toHaveLength(0)
  expect(await cleanUpsOf(lab, planId)).toMatchObject([{ state: 'succeeded' }])
  expect(await historyOf(lab, planId)).toMatchObject([
    { state: 'done', dueAt: begin, passed: true, note: 'passed' },
  ])
  await lab.clock.advance(hour)
  expect(await testsOf(lab, planId)).toHaveLength(1)
  expect(await lab.openAlerts()).toEqual([])
})

test('a test that fails is cleaned up all the same, an alert tells, and the next good one resolves it', async () => {
  const { lab, protectionId } = await newProtectedLab()
  const planId = await scheduledPlan(lab, protectionId, {
    groups: [
      group('all', { machines: [machine('m-web', protectionId)], after: [step('smoke', script('smoke'))] }),
    ],
  })
  lab.steps.failNext('smoke')
  await lab.clock.advance(30 * minute)
  expect(await testsOf(lab, planId)).toMatchObject([{ state: 'failed' }])
  expect(runningAt(lab.b)).toHaveLength(0)
  expect(await historyOf(lab, planId)).toMatchObject([{ state: 'done', passed: false }])
  expect(await lab.openAlerts()).toEqual(['recovery-plan/test-failed'])
  const run = await lab.engine.plans.start({ by, planId, kind: 'test' })
  await lab.clock.advance(5 * minute)
  expect((await lab.stores.planRuns.find(run.id))?.state).toBe('succeeded')
  expect(await lab.openAlerts()).toEqual([])
})

test('a test whose plan went on behind a failure did not pass, and says what failed', async () => {
  const { lab, protectionId } = await newProtectedLab()
  const smoke = step('smoke', script('smoke'), { whenItFails: 'continue' })
  const planId = await scheduledPlan(lab, protectionId, {
    groups: [group('all', { machines: [machine('m-web', protectionId)], after: [smoke] })],
  })
  lab.steps.failNext('smoke')
  await lab.clock.advance(30 * minute)
  expect(await historyOf(lab, planId)).toMatchObject([
    { state: 'done', passed: false, note: 'it came to its end, but 1 failed, and the plan went on' },
  ])
})

test('a test that does not end is cancelled in time, which cleans it up, and counts as failed', async () => {
  const { lab, protectionId } = await newProtectedLab()
  const wait = step('wait', {
    kind: 'manual',
    instructions: 'Look',
    assigneeRole: 'operator',
    timeoutSeconds: 86_400,
    whenTimedOut: 'fail',
  })
  const planId = await scheduledPlan(lab, protectionId, {
    schedule: { giveUpMinutes: 60 },
    groups: [group('all', { machines: [machine('m-web', protectionId)], after: [wait] })],
  })
  await lab.clock.advance(50 * minute)
  expect(await testsOf(lab, planId)).toMatchObject([{ state: 'running' }])
  await lab.clock.advance(30 * minute)
  expect(await testsOf(lab, planId)).toMatchObject([{ state: 'cancelled' }])
  expect(runningAt(lab.b)).toHaveLength(0)
  expect(await historyOf(lab, planId)).toMatchObject([{ state: 'done', passed: false }])
  expect(await lab.openAlerts()).toEqual(['recovery-plan/test-failed'])
})

test('while anything fails over a test waits, and is skipped with that reason when its window ends', async () => {
  const { lab, protectionId } = await newProtectedLab()
  const other = await protectOneMore(lab, { name: 'mail' })
  const planId = await scheduledPlan(lab, protectionId)
  await lab.done(lab.engine.plannedFailover({ by, protectionId: other }))
  await lab.clock.advance(20 * minute)
  const words = 'A failover of "mail" is under way, or nobody has committed it yet'
  expect((await lab.engine.plans.testSettings(planId)).waitsFor).toBe(words)
  await lab.clock.advance(30 * minute)
  expect(await testsOf(lab, planId)).toEqual([])
  expect(await historyOf(lab, planId)).toMatchObject([{ state: 'skipped', planRunId: null, note: words }])
  expect(await lab.openAlerts()).toContain('recovery-plan/test-missed')
})

/** Its only plan waits for its turn, which never comes. */
const waitingSiteFailover = async (lab: Lab, planId: PlanId): Promise<SiteFailover> => {
  const { id: siteId, name: siteName } = lab.siteA
  const made = {
    id: 'site-is-down' as SiteFailoverId,
    siteId,
    siteName,
    state: 'running',
    revision: 1,
    plans: [
      {
        planId,
        planName: 'Mail',
        priority: 5,
        planRunId: 'run-to-come' as PlanRunId,
        state: 'waiting',
        why: null,
        atStart: null,
      },
    ],
    point: { kind: 'latest' },
    acceptUnfenced: false,
    atOnce: 0,
    startedBy: by,
    starterId: null,
    startedAt: lab.clock.now(),
    endedAt: null,
    stoppedBy: null,
  } as const
  await lab.stores.siteFailovers.create(made)
  return made
}

test('a test does not begin in the middle of the failover of a site, although it was claimed before that', async () => {
  const { lab, protectionId } = await newProtectedLab()
  const planId = await scheduledPlan(lab, protectionId)
  const { tests } = lab.stores
  const { claim } = tests
  let failover: SiteFailover | null = null
  Object.assign(tests, {
    claim: async (...given: Parameters<typeof claim>) => {
      const claimed = await claim(...given)
      failover = await waitingSiteFailover(lab, planId)
      return claimed
    },
  })
  await lab.clock.advance(20 * minute)
  expect(failover).not.toBeNull()
  expect(await testsOf(lab, planId)).toEqual([])
  await lab.engine.plans.stopSiteFailover('site-is-down' as SiteFailoverId, { by })
  await lab.clock.advance(10 * minute)
  expect(await testsOf(lab, planId)).toMatchObject([{ state: 'succeeded' }])
})

test('while a site is failed over a test waits, although no run goes on just then', async () => {
  const { lab, protectionId } = await newProtectedLab()
  const planId = await scheduledPlan(lab, protectionId)
  await waitingSiteFailover(lab, planId)
  await lab.clock.advance(20 * minute)
  expect((await lab.engine.plans.testSettings(planId)).waitsFor).toBe(
    'The failover of the site "A" is under way',
  )
})

test('a failover that has failed and can still go on is not kept from that by a test', async () => {
  const { lab, protectionId } = await newProtectedLab()
  const groups = [
    group('all', { before: [step('tell', script('tell'))], machines: [machine('m-web', protectionId)] }),
  ]
  const planId = await scheduledPlan(lab, protectionId, { groups })
  lab.steps.failNext('tell')
  const run = await lab.engine.plans.start({ by, planId, kind: 'planned' })
  await lab.clock.advance(20 * minute)
  expect((await lab.stores.planRuns.find(run.id))?.state).toBe('failed')
  expect((await lab.engine.plans.testSettings(planId)).waitsFor).toContain('has failed and can still go on')
  await lab.engine.plans.cancel(run.id, { by })
  await lab.clock.advance(10 * minute)
  expect(await testsOf(lab, planId)).toMatchObject([{ state: 'succeeded' }])
})

test('a test that is due and waits stays due when something else about it is changed', async () => {
  const { lab, protectionId, ask } = await newProtectedLab()
  const planId = await scheduledPlan(lab, protectionId)
  await lab.done(lab.engine.testFailover({ ...ask, choice: { kind: 'latest' } }))
  await lab.clock.advance(15 * minute)
  const { revision, schedule, nextAt } = await lab.engine.plans.testSettings(planId)
  await lab.engine.plans.saveTestSettings({ by, planId, testEveryDays: 7, schedule, revision })
  expect(await lab.engine.plans.testSettings(planId)).toMatchObject({ nextAt, testEveryDays: 7 })
  await lab.done(lab.engine.cleanUpTest(ask))
  await lab.clock.advance(10 * minute)
  expect(await historyOf(lab, planId)).toMatchObject([{ state: 'done', dueAt: nextAt, passed: true }])
})

test('an obstacle that goes within the window costs nothing', async () => {
  const { lab, protectionId, ask } = await newProtectedLab()
  const planId = await scheduledPlan(lab, protectionId)
  await lab.done(lab.engine.testFailover({ ...ask, choice: { kind: 'latest' } }))
  await lab.clock.advance(15 * minute)
  expect((await lab.engine.plans.testSettings(planId)).waitsFor).toContain('A test of "web" is up already')
  await lab.done(lab.engine.cleanUpTest(ask))
  await lab.clock.advance(10 * minute)
  expect(await historyOf(lab, planId)).toMatchObject([{ state: 'done', passed: true }])
})

test('a server that was down begins what is still in its window, and tells what it has missed', async () => {
  const { lab, protectionId } = await newProtectedLab()
  const planId = await scheduledPlan(lab, protectionId)
  // The windows of two days have ended, that of the third has not.
  await away(lab, 48 * hour + 20 * minute)
  await lab.clock.advance(3 * minute)
  expect(await historyOf(lab, planId)).toMatchObject([
    { state: 'done', passed: true },
    { state: 'missed', note: 'No server was there to begin it in time' },
    { state: 'missed' },
  ])
  expect(await testsOf(lab, planId)).toHaveLength(1)
})

test('no more tests are up at once than may be; the others follow within their window', async () => {
  const { lab, protectionId } = await newProtectedLab({ config: { concurrentScheduledTests: 1 } })
  const other = await protectOneMore(lab, { name: 'mail' })
  const plans = [
    await scheduledPlan(lab, protectionId, { schedule: { keepMinutes: 10 } }),
    await scheduledPlan(lab, other, { name: 'Mail' }),
  ]
  await lab.clock.advance(12 * minute)
  expect(runningAt(lab.b)).toHaveLength(1)
  await lab.clock.advance(20 * minute)
  const histories = await Promise.all(plans.map((planId) => historyOf(lab, planId)))
  expect(histories.flat()).toMatchObject([
    { state: 'done', passed: true },
    { state: 'done', passed: true },
  ])
  const [one, two] = await Promise.all(plans.map((planId) => testsOf(lab, planId)))
  const starts = [one, two].map((runs) => runs?.[0]?.startedAt ?? 0)
  expect(Math.abs((starts[0] ?? 0) - (starts[1] ?? 0))).toBeGreaterThan(9 * minute)
})

test('a plan that is not able to be tested is skipped with what stands in the way', async () => {
  const { lab, protectionId, ask } = await newProtectedLab()
  const planId = await scheduledPlan(lab, protectionId)
  await lab.done(lab.engine.endProtection({ ...ask, deleteReplica: true }))
  await lab.clock.advance(hour)
  const [skipped] = await historyOf(lab, planId)
  expect(skipped).toMatchObject({ state: 'skipped' })
  expect(skipped?.note).not.toBeNull()
})

test('a plan that no test has passed for longer than it wants is overdue, until one passes', async () => {
  const { lab, protectionId } = await newProtectedLab()
  const planId = await scheduledPlan(lab, protectionId, { schedule: { enabled: false } })
  await lab.engine.plans.saveTestSettings({ by, planId, testEveryDays: 1, schedule: null, revision: 1 })
  await away(lab, 23 * hour)
  expect(await lab.openAlerts()).toEqual([])
  await away(lab, 2 * hour)
  expect(await lab.openAlerts()).toEqual(['recovery-plan/test-overdue'])
  await lab.engine.plans.start({ by, planId, kind: 'test', settings: { cleanUp: 'when-done' } })
  await lab.clock.advance(10 * minute)
  expect(await lab.openAlerts()).toEqual([])
})

test('settings that somebody else has changed meanwhile are refused, and so is what would never be due', async () => {
  const { lab, protectionId } = await newProtectedLab()
  const planId = await scheduledPlan(lab, protectionId)
  const again = { by, planId, testEveryDays: 7, schedule: tenPast, revision: 0 }
  await expect(lab.engine.plans.saveTestSettings(again)).rejects.toMatchObject({
    code: 'test-schedule/edited-meanwhile',
  })
  const wrong = { ...again, schedule: { ...tenPast, timeZone: 'Nowhere' }, revision: 1 }
  await expect(lab.engine.plans.saveTestSettings(wrong)).rejects.toMatchObject({
    code: 'test-schedule/invalid',
  })
})
