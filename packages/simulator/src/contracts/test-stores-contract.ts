// What every implementation of the stores of scheduled tests and evidence must do. Apply it to memory and to the database alike.
import { createHash, randomUUID } from 'node:crypto'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import type { PlanRun, PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import {
  defaultTestSchedule,
  noTestSettings,
  type ScheduledTest,
  type TestSettings,
} from '@understudy/domain/recovery-plans/test-schedule'
import type { Stores } from '@understudy/engine/ports/stores'
import type { Evidence } from '@understudy/engine/ports/test-stores'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sampleActivities, sampleGroup, sampleMachine, samplePlan, samplePlanRun } from '../sample-plans.ts'

type TestStores = Pick<Stores, 'plans' | 'planRuns' | 'tests' | 'evidence'>

/** Empty stores for one test. `again`: the same data through another process, where there is such a thing. */
export type TestStoresHarness = {
  readonly stores: TestStores
  readonly again?: () => Promise<TestStores>
  close(): Promise<void>
}

const noon = Date.parse('2026-01-01T12:00:00Z')
const minute = 60_000
const day = 24 * 60 * minute
const all = { limit: 100, cursor: null }
const rounds = Array.from({ length: 5 }, (_, index) => index)
type Current = () => { readonly here: TestStores; readonly there: () => Promise<TestStores> }

export function testStoresContract(name: string, make: () => Promise<TestStoresHarness>): void {
  describe(`stores of scheduled tests and evidence: ${name}`, () => {
    let harness: TestStoresHarness
    beforeEach(async () => {
      harness = await make()
    })
    afterEach(async () => {
      await harness.close()
    })
    const current: Current = () => ({
      here: harness.stores,
      there: async () => (harness.again ? await harness.again() : harness.stores),
    })
    settingsTests(current)
    claimTests(current)
    historyTests(current)
    evidenceTests(current)
    dueTests(current)
  })
}

async function newPlan({ plans }: TestStores): Promise<PlanId> {
  const id = randomUUID() as PlanId
  const plan = samplePlan([sampleGroup('data', { machines: [sampleMachine('db')] })], { id, name: id })
  await plans.create({ plan, version: 1, savedAt: noon, savedBy: 'ada', comment: '' })
  return id
}

const settingsOf = (planId: PlanId, more: Partial<TestSettings> = {}): TestSettings => ({
  ...noTestSettings(planId),
  schedule: defaultTestSchedule,
  revision: 1,
  nextAt: noon,
  changedAt: noon - day,
  ...more,
})

const testOf = (planId: PlanId, more: Partial<ScheduledTest> = {}): ScheduledTest => ({
  planId,
  planName: 'Shop',
  dueAt: noon,
  state: 'beginning',
  planRunId: randomUUID() as PlanRunId,
  beginBy: noon + 60 * minute,
  keepMinutes: 5,
  giveUpMinutes: 240,
  note: null,
  passed: null,
  settledAt: null,
  ...more,
})

async function scheduled(stores: TestStores, more: Partial<TestSettings> = {}): Promise<PlanId> {
  const planId = await newPlan(stores)
  await stores.tests.save(settingsOf(planId, more))
  return planId
}

const next = { revision: 1, nextAt: noon + 7 * day }

function settingsTests(current: Current): void {
  test('settings come back as they were saved, by whoever began with the newest ones and by nobody else', async () => {
    const { here } = current()
    const planId = await newPlan(here)
    expect(await here.tests.find(planId)).toBeNull()
    const first = settingsOf(planId)
    expect(await here.tests.save(settingsOf(planId, { revision: 2 }))).toBe(false)
    expect(await here.tests.save(first)).toBe(true)
    expect(await here.tests.save(settingsOf(planId, { testEveryDays: 9 }))).toBe(false)
    expect(await here.tests.find(planId)).toEqual(first)
    const second = settingsOf(planId, { revision: 2, schedule: null, nextAt: null, testEveryDays: 7 })
    expect(await here.tests.save(second)).toBe(true)
    expect(await here.tests.list()).toEqual([second])
  })
  test('settings of a plan that is not there are refused, and go with their plan', async () => {
    const { here } = current()
    await expect(here.tests.save(settingsOf('none' as PlanId))).rejects.toMatchObject({
      code: 'recovery-plan/not-found',
    })
    const planId = await scheduled(here)
    await here.plans.remove(planId)
    expect(await here.tests.find(planId)).toBeNull()
    expect(await here.tests.list()).toEqual([])
  })
  test('what a test waits for is noted as long as that one is due', async () => {
    const { here } = current()
    const planId = await scheduled(here)
    await here.tests.noteWaiting(planId, noon + 1, 'nothing')
    expect((await here.tests.find(planId))?.waitsFor).toBeNull()
    await here.tests.noteWaiting(planId, noon, 'a failover')
    expect((await here.tests.find(planId))?.waitsFor).toBe('a failover')
    expect(await here.tests.claim(testOf(planId), next, null)).toBe('claimed')
    expect((await here.tests.find(planId))?.waitsFor).toBeNull()
  })
}

function claimTests(current: Current): void {
  test('a test that is due is written down and the next one becomes due, in one act and once', async () => {
    const { here } = current()
    const planId = await scheduled(here)
    const due = testOf(planId)
    expect(await here.tests.claim(due, { ...next, revision: 2 }, null)).toBe('taken')
    expect(await here.tests.claim(testOf(planId, { dueAt: noon + 1 }), next, null)).toBe('taken')
    expect(await here.tests.open()).toEqual([])
    expect(await here.tests.claim(due, next, null)).toBe('claimed')
    expect(await here.tests.claim(testOf(planId), next, null)).toBe('taken')
    expect(await here.tests.open()).toEqual([due])
    expect(await here.tests.find(planId)).toMatchObject({ nextAt: next.nextAt, revision: 1 })
  })
  test.each(rounds)('of two processes at once one has it (%i)', async () => {
    const { here, there } = current()
    const other = await there()
    const planId = await scheduled(here)
    const claims = await Promise.all(
      [here, other].map(({ tests }) => tests.claim(testOf(planId), next, null)),
    )
    expect(claims.toSorted()).toEqual(['claimed', 'taken'])
    expect(await here.tests.open()).toHaveLength(1)
  })
  test.each(rounds)('no more are open at once than may be, whoever asks (%i)', async () => {
    const { here, there } = current()
    const other = await there()
    const plans = [await scheduled(here), await scheduled(here), await scheduled(here)]
    const claims = await Promise.all(
      plans.map((planId, index) => [here, other, here][index]?.tests.claim(testOf(planId), next, 1)),
    )
    expect(claims.toSorted()).toEqual(['claimed', 'full', 'full'])
    const [open] = await here.tests.open()
    await here.tests.move(open?.planId ?? plans[0] ?? ('' as PlanId), noon, 'beginning', 'skipped')
    const left = plans.find((planId) => planId !== open?.planId)
    expect(await here.tests.claim(testOf(left ?? ('' as PlanId)), next, 1)).toBe('claimed')
  })
  test('a time that was written down before is passed over', async () => {
    const { here } = current()
    const planId = await scheduled(here)
    const due = testOf(planId, { state: 'missed', planRunId: null })
    await here.tests.claim(due, next, null)
    // As after a clock that was set back.
    await here.tests.save(settingsOf(planId, { revision: 2, nextAt: noon }))
    expect(await here.tests.claim(testOf(planId), { ...next, revision: 2 }, null)).toBe('taken')
    expect(await here.tests.find(planId)).toMatchObject({ nextAt: next.nextAt })
    expect((await here.tests.history(planId, all)).rows).toEqual([due])
  })
  test('a test moves by compare and set, and only as the table allows', async () => {
    const { here } = current()
    const planId = await scheduled(here)
    await here.tests.claim(testOf(planId), next, null)
    expect(await here.tests.move(planId, noon, 'running', 'done')).toBe(false)
    expect(await here.tests.move(planId, noon, 'beginning', 'running')).toBe(true)
    const end = { note: 'Passed', passed: true, settledAt: noon + minute }
    expect(await here.tests.move(planId, noon, 'running', 'done', end)).toBe(true)
    await expect(
      Promise.resolve().then(() => here.tests.move(planId, noon, 'done', 'running')),
    ).rejects.toThrow()
    const { rows } = await here.tests.history(planId, all)
    expect(rows).toMatchObject([{ state: 'done', ...end }])
    expect(await here.tests.open()).toEqual([])
  })
}

function historyTests(current: Current): void {
  test('the history outlives its plan, comes from new to old in pages, and is trimmed but for what is open', async () => {
    const { here } = current()
    const planId = await scheduled(here)
    for (const turn of [0, 1, 2]) {
      const dueAt = noon + turn * day
      const state = turn === 1 ? 'beginning' : 'missed'
      await here.tests.claim(testOf(planId, { dueAt, state }), { revision: 1, nextAt: dueAt + day }, null)
    }
    await here.plans.remove(planId)
    const first = await here.tests.history(planId, { limit: 2, cursor: null })
    const rest = await here.tests.history(planId, { limit: 2, cursor: first.next })
    expect([...first.rows, ...rest.rows].map(({ dueAt }) => (dueAt - noon) / day)).toEqual([2, 1, 0])
    expect(rest.next).toBeNull()
    expect(await here.tests.trim(noon + 2 * day)).toBe(1)
    expect((await here.tests.history(planId, all)).rows).toHaveLength(2)
  })
}

const bundle = Buffer.from([80, 75, 3, 4, 0, 255, 128])
const evidenceOf = (planRunId: PlanRunId, more: Partial<Evidence> = {}): Evidence => ({
  planRunId,
  edition: 1,
  basis: 'as it stands',
  madeAt: noon,
  sha256: createHash('sha256').update(bundle).digest('hex'),
  bytes: bundle.length,
  files: [{ name: 'report.html', bytes: 3, sha256: 'ab' }],
  ...more,
})

async function endedRun(stores: TestStores, more: Partial<PlanRun> = {}): Promise<PlanRun> {
  const plan = samplePlan([sampleGroup('data', { machines: [sampleMachine('db')] })], {
    id: randomUUID() as PlanId,
  })
  const run = samplePlanRun(plan, { state: 'succeeded', endedAt: noon + minute, ...more })
  await stores.planRuns.create(run, sampleActivities(run), {})
  return run
}

function evidenceTests(current: Current): void {
  test('the first report of an edition stays, byte for byte, and goes with its run', async () => {
    const { here } = current()
    const { id } = await endedRun(here)
    const first = evidenceOf(id)
    expect(await here.evidence.save(first, bundle)).toBe(true)
    expect(await here.evidence.save(evidenceOf(id, { sha256: 'other' }), Buffer.from('other'))).toBe(false)
    expect(await here.evidence.bundle(id, 1)).toEqual(bundle)
    const second = evidenceOf(id, { edition: 2, basis: 'later' })
    expect(await here.evidence.save(second, bundle)).toBe(true)
    expect(await here.evidence.list(id)).toEqual([second, first])
    expect(await here.evidence.newest([id, 'none' as PlanRunId])).toEqual(new Map([[id, second]]))
    expect(await here.planRuns.trim(noon + day)).toBe(1)
    expect(await here.evidence.list(id)).toEqual([])
    expect(await here.evidence.bundle(id, 1)).toBeNull()
    expect(await here.evidence.save(evidenceOf(id), bundle)).toBe(false)
  })
  test.each(rounds)('of two processes at once one makes it (%i)', async () => {
    const { here, there } = current()
    const other = await there()
    const { id } = await endedRun(here)
    const saved = await Promise.all(
      [here, other].map(({ evidence }, index) =>
        evidence.save(evidenceOf(id, { sha256: `${index}` }), Buffer.from(`${index}`)),
      ),
    )
    expect(saved.toSorted()).toEqual([false, true])
    const kept = await here.evidence.bundle(id, 1)
    expect((await here.evidence.list(id))[0]?.sha256).toBe(kept?.toString())
  })
}

function dueTests(current: Current): void {
  const dueOf = async ({ evidence }: TestStores) =>
    (await evidence.due(10)).map(({ planRunId, edition }) => [planRunId, edition])
  const report = async ({ evidence }: TestStores): Promise<void> => {
    for (const due of await evidence.due(10)) await evidence.save(evidenceOf(due.planRunId, due), bundle)
  }
  test('a run is due for a report when it is over, and not once there is one', async () => {
    const { here } = current()
    const running = await endedRun(here, { state: 'running', endedAt: null })
    expect(await dueOf(here)).toEqual([])
    await here.planRuns.move(running.id, 'running', 'failed', { endedAt: noon })
    const other = await endedRun(here, { startedAt: running.startedAt + 1 })
    expect(await dueOf(here)).toEqual([
      [other.id, 1],
      [running.id, 1],
    ])
    expect(await here.evidence.due(1)).toHaveLength(1)
    await report(here)
    expect(await dueOf(here)).toEqual([])
  })
  test('what becomes of it afterwards makes it due again, once that is over', async () => {
    const { here } = current()
    const run = await endedRun(here, { state: 'failed' })
    await report(here)
    await here.planRuns.move(run.id, 'failed', 'running', { endedAt: null })
    expect(await dueOf(here)).toEqual([])
    const [activity] = await here.planRuns.activities(run.id)
    const from = { state: 'pending', attempt: 0, run: ['running'] } as const
    await here.planRuns.moveActivity(run.id, activity?.itemId as never, from, { state: 'skipped' })
    await here.planRuns.move(run.id, 'running', 'succeeded', { endedAt: noon })
    expect(await dueOf(here)).toEqual([[run.id, 2]])
    await report(here)
    const follow = { id: randomUUID() as PlanRunId, kind: 'clean-up', followsUp: run.id } as const
    const followUp: PlanRun = { ...run, ...follow, state: 'running', endedAt: null, changes: 0 }
    await here.planRuns.create(followUp, [], {})
    expect(await dueOf(here)).toEqual([])
    await here.planRuns.move(followUp.id, 'running', 'succeeded', { endedAt: noon })
    expect(await dueOf(here)).toEqual([[run.id, 3]])
    await report(here)
    expect(await dueOf(here)).toEqual([])
  })
  test('one of a scheduled test is due when that is done with it', async () => {
    const { here } = current()
    const planId = await scheduled(here)
    const run = await endedRun(here)
    await here.tests.claim(testOf(planId, { planRunId: run.id }), next, null)
    expect(await dueOf(here)).toEqual([])
    await here.tests.move(planId, noon, 'beginning', 'running')
    expect(await dueOf(here)).toEqual([])
    await here.tests.move(planId, noon, 'running', 'done')
    expect(await dueOf(here)).toEqual([[run.id, 1]])
  })
}
