// What every implementation of the stores of recovery plans must do. Apply it to memory and to the database alike.
import { randomUUID } from 'node:crypto'
import type { RunId } from '@understudy/domain/failover/failover'
import type { JobId } from '@understudy/domain/jobs/job'
import type { RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import type { ItemId, PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import {
  activePlanRunStates,
  type PlanActivity,
  type PlanRun,
  type PlanRunId,
  type PlanRunState,
  pendingActivity,
} from '@understudy/domain/recovery-plans/plan-run'
import type { ActivityChange, PlanRunStore, PlanVersion } from '@understudy/engine/ports/plan-stores'
import type { Stores } from '@understudy/engine/ports/stores'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  itemId,
  sampleActivities,
  sampleGroup,
  sampleMachine,
  samplePlan,
  samplePlanRun,
  sampleStep,
} from '../sample-plans.ts'

type PlanStores = Pick<Stores, 'plans' | 'planRuns'>

/** Empty stores for one test. `again`: the same data through another process, where there is such a thing. */
export type PlanStoresHarness = {
  readonly stores: PlanStores
  readonly again?: () => Promise<PlanStores>
  close(): Promise<void>
}

const noon = Date.parse('2026-01-01T12:00:00Z')
const minute = 60_000
const all = { limit: 100, cursor: null }

/** What an act at the same moment is repeated for: the two do not meet every time. */
const rounds = Array.from({ length: 10 }, (_, index) => index)

type Current = () => {
  readonly here: PlanStores
  /** The same rows, as another process has them. */
  readonly there: () => Promise<PlanStores>
}

export function planStoresContract(name: string, make: () => Promise<PlanStoresHarness>): void {
  describe(`stores of recovery plans: ${name}`, () => {
    let harness: PlanStoresHarness
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
    planTests(current)
    planSecretTests(current)
    planRunTests(current)
    planRunStateTests(current)
    activityTests(current)
    answerTests(current)
    bootTests(current)
    editTests(current)
    historyTests(current)
  })
}

const shopGroups = [
  sampleGroup('data', { machines: [sampleMachine('db'), sampleMachine('cache')] }),
  sampleGroup('web', { before: [sampleStep('approve')], machines: [sampleMachine('web')] }),
]
const [db, cache, approve, web] = ['db', 'cache', 'approve', 'web'].map(itemId) as [
  ItemId,
  ItemId,
  ItemId,
  ItemId,
]

const newPlan = (more: Partial<RecoveryPlan> = {}): RecoveryPlan =>
  samplePlan(shopGroups, { id: randomUUID() as PlanId, name: `plan ${randomUUID()}`, ...more })

const versionOf = (plan: RecoveryPlan, version = 1, more: Partial<PlanVersion> = {}): PlanVersion => ({
  plan,
  version,
  savedAt: noon + version * minute,
  savedBy: 'ada',
  comment: `version ${version}`,
  ...more,
})

const nameTaken = { name: 'Refusal', code: 'recovery-plan/name-taken' }
const running = { name: 'Refusal', code: 'recovery-plan/running' }

function planTests(current: Current): void {
  test('a plan comes back as it was created, and plans are listed by name', async () => {
    const { plans } = current().here
    const [b, a] = [versionOf(newPlan({ name: 'beta' })), versionOf(newPlan({ name: 'Alpha' }))]
    for (const each of [b, a]) await plans.create(each)
    expect(await plans.find(b.plan.id)).toEqual(b)
    expect(await plans.list()).toEqual([a, b])
    expect(await plans.find('none' as PlanId)).toBeNull()
  })
  test('a name that is taken is refused whatever its case, for a new plan and for a renamed one', async () => {
    const { plans } = current().here
    const [shop, mail] = [newPlan({ name: 'Shop' }), newPlan({ name: 'Mail' })]
    for (const plan of [shop, mail]) await plans.create(versionOf(plan))
    await expect(plans.create(versionOf(newPlan({ name: 'sHOP' })))).rejects.toMatchObject(nameTaken)
    await expect(plans.save(versionOf({ ...mail, name: 'shop' }, 2))).rejects.toMatchObject(nameTaken)
    expect(await plans.list()).toEqual([versionOf(mail), versionOf(shop)])
    expect(await plans.versions(mail.id)).toHaveLength(1)
    expect(await plans.save(versionOf({ ...shop, name: 'SHOP' }, 2))).toBe(true)
  })
  test('a plan is saved by whoever began with its newest version, and by nobody else', async () => {
    const { plans } = current().here
    const plan = newPlan()
    await plans.create(versionOf(plan))
    const second = versionOf({ ...plan, priority: 9, groups: [] }, 2, { savedBy: 'bob' })
    expect(await plans.save(second)).toBe(true)
    for (const version of [1, 2, 4]) expect(await plans.save(versionOf(plan, version))).toBe(false)
    expect(await plans.find(plan.id)).toEqual(second)
    expect(await plans.list()).toEqual([second])
    expect(await plans.save(versionOf(newPlan(), 2))).toBe(false)
  })
  test('every version stays as it was, from new to old', async () => {
    const { plans } = current().here
    const plan = newPlan()
    const saved = [1, 2, 3].map((version) => versionOf({ ...plan, priority: version }, version))
    const [first, ...later] = saved as [PlanVersion, ...PlanVersion[]]
    await plans.create(first)
    for (const each of later) await plans.save(each)
    expect(await plans.versions(plan.id)).toEqual(
      saved.map(({ plan: _plan, ...version }) => version).reverse(),
    )
    for (const each of saved) expect(await plans.version(plan.id, each.version)).toEqual(each)
    expect(await plans.version(plan.id, 4)).toBeNull()
    expect(await plans.versions('none' as PlanId)).toEqual([])
  })
  test('of many who save at the same moment one does', async () => {
    const { here, there } = current()
    const other = await there()
    const plan = newPlan()
    await here.plans.create(versionOf(plan))
    const saves = rounds.map((index) =>
      (index % 2 ? here : other).plans.save(versionOf(plan, 2, { savedBy: `person ${index}` })),
    )
    const saved = await Promise.all(saves)
    expect(saved.filter(Boolean)).toHaveLength(1)
    expect(await here.plans.find(plan.id)).toMatchObject({ savedBy: `person ${saved.indexOf(true)}` })
    expect(await here.plans.versions(plan.id)).toHaveLength(2)
  })
  test('a plan is removed with its versions and secrets, its runs stay, and its name is free', async () => {
    const { plans, planRuns } = current().here
    const plan = newPlan()
    await plans.create(versionOf(plan))
    await plans.changeSecrets(plan.id, { token: 'very-secret' })
    const run = await addRun(planRuns, plan, { state: 'succeeded', endedAt: noon })
    await plans.remove(plan.id)
    await plans.remove(plan.id)
    expect(await plans.find(plan.id)).toBeNull()
    expect(await plans.list()).toEqual([])
    expect(await plans.versions(plan.id)).toEqual([])
    expect(await plans.version(plan.id, 1)).toBeNull()
    expect(await plans.secrets(plan.id)).toEqual({})
    expect(await plans.save(versionOf(plan, 2))).toBe(false)
    expect(await planRuns.find(run.id)).toEqual(run)
    await plans.create(versionOf(newPlan({ name: plan.name })))
  })
  test('a plan with an active run is not removed', async () => {
    const { plans, planRuns } = current().here
    for (const state of activePlanRunStates) {
      const plan = newPlan()
      await plans.create(versionOf(plan))
      await addRun(planRuns, plan, { state })
      await expect(plans.remove(plan.id)).rejects.toMatchObject(running)
      expect(await plans.find(plan.id)).toEqual(versionOf(plan))
    }
    const plan = newPlan()
    await plans.create(versionOf(plan))
    for (const state of ['succeeded', 'failed', 'cancelled'] as const) await addRun(planRuns, plan, { state })
    await plans.remove(plan.id)
    expect(await plans.find(plan.id)).toBeNull()
  })
}

function planSecretTests(current: Current): void {
  test('secrets of a plan come back only when asked for; null takes one away, what is not named stays', async () => {
    const { plans } = current().here
    const plan = newPlan()
    await plans.create(versionOf(plan))
    expect(await plans.secrets(plan.id)).toEqual({})
    await plans.changeSecrets(plan.id, { token: 'one', password: 'two' })
    await plans.changeSecrets(plan.id, { token: null, key: 'three' })
    expect(await plans.secrets(plan.id)).toEqual({ password: 'two', key: 'three' })
    await plans.changeSecrets(plan.id, { password: 'four' })
    await plans.save(versionOf(plan, 2))
    expect(await plans.secrets(plan.id)).toEqual({ password: 'four', key: 'three' })
    expect(JSON.stringify([await plans.list(), await plans.version(plan.id, 1)])).not.toContain('three')
    const missing = plans.changeSecrets('none' as PlanId, { token: 'one' })
    await expect(missing).rejects.toMatchObject({ name: 'Refusal', code: 'recovery-plan/not-found' })
  })
  test('secrets that are changed at the same moment do not undo each other', async () => {
    const { here, there } = current()
    const other = await there()
    const plan = newPlan()
    await here.plans.create(versionOf(plan))
    const secrets = Object.fromEntries(rounds.map((index) => [`secret-${index}`, `value ${index}`]))
    await Promise.all(
      Object.entries(secrets).map(([name, value], index) =>
        (index % 2 ? here : other).plans.changeSecrets(plan.id, { [name]: value }),
      ),
    )
    expect(await here.plans.secrets(plan.id)).toEqual(secrets)
  })
}

/** With an activity for each item of its plan. */
async function addRun(
  planRuns: PlanRunStore,
  plan: RecoveryPlan = newPlan(),
  more: Partial<PlanRun> = {},
  secrets: Readonly<Record<string, string>> = {},
): Promise<PlanRun> {
  const run = samplePlanRun(plan, more)
  await planRuns.create(run, sampleActivities(run), secrets)
  return run
}

const activitiesOf = async (
  planRuns: PlanRunStore,
  id: PlanRunId,
): Promise<Readonly<Record<string, PlanActivity>>> =>
  Object.fromEntries((await planRuns.activities(id)).map((activity) => [activity.itemId, activity]))

const changesOf = async (planRuns: PlanRunStore, id: PlanRunId): Promise<number | undefined> =>
  (await planRuns.find(id))?.changes

const whole = { state: 'pending', attempt: 0, run: ['running'] } as const

const begun = {
  state: 'running',
  attempt: 1,
  jobId: 'job-1',
  startedAt: noon,
  deadline: noon + minute,
} as const

function planRunTests(current: Current): void {
  test('a run comes back as it was created, with its activities and secrets', async () => {
    const { planRuns } = current().here
    const run = samplePlanRun(newPlan(), {
      kind: 'unplanned',
      direction: 'reverse',
      point: { kind: 'at', instant: noon },
      note: 'A note',
    })
    const activities = sampleActivities(run).map((activity, index) =>
      index === 0 ? { ...activity, ...ended } : activity,
    )
    await planRuns.create(run, activities, { token: 'very-secret' })
    expect(await planRuns.find(run.id)).toEqual(run)
    expect(await activitiesOf(planRuns, run.id)).toEqual(
      Object.fromEntries(activities.map((activity) => [activity.itemId, activity])),
    )
    expect(await planRuns.secrets(run.id)).toEqual({ token: 'very-secret' })
    expect(await planRuns.find('none' as PlanRunId)).toBeNull()
    expect(await planRuns.activities('none' as PlanRunId)).toEqual([])
    expect(await planRuns.secrets('none' as PlanRunId)).toEqual({})
  })
  test('a run that is made again stays as it is', async () => {
    const { planRuns } = current().here
    const run = await addRun(planRuns)
    await planRuns.moveActivity(run.id, db, whole, begun)
    await planRuns.create({ ...run, note: 'other' }, sampleActivities(run), { token: 'late' })
    expect(await planRuns.find(run.id)).toEqual({ ...run, changes: 1 })
    expect((await activitiesOf(planRuns, run.id)).db).toMatchObject({ state: 'running' })
    expect(await planRuns.secrets(run.id)).toEqual({})
  })
  test('one run of a plan is active at a time, but for the clean-up of a test that is about to end', async () => {
    const { planRuns } = current().here
    for (const state of activePlanRunStates) {
      const plan = newPlan()
      const first = await addRun(planRuns, plan, { state })
      const second = samplePlanRun(plan)
      await expect(planRuns.create(second, sampleActivities(second), {})).rejects.toMatchObject(running)
      expect(await planRuns.find(second.id)).toBeNull()
      expect(await planRuns.activities(second.id)).toEqual([])
      const rollBack = samplePlanRun(plan, { kind: 'roll-back', followsUp: first.id })
      await expect(planRuns.create(rollBack, [], {})).rejects.toMatchObject(running)
      await addRun(planRuns, plan, { kind: 'clean-up', followsUp: first.id })
      const third = samplePlanRun(plan, { kind: 'clean-up', followsUp: first.id })
      await expect(planRuns.create(third, [], {})).rejects.toMatchObject(running)
    }
    await addRun(planRuns)
  })
  test('a run that is over or has stopped keeps no other from beginning', async () => {
    const { planRuns } = current().here
    for (const state of ['succeeded', 'failed', 'cancelled'] as const) {
      const plan = newPlan()
      await addRun(planRuns, plan, { state })
      await addRun(planRuns, plan)
    }
  })
  test('of many runs of a plan that begin at the same moment one does', async () => {
    const { here, there } = current()
    const other = await there()
    const plan = newPlan()
    const begin = (index: number) =>
      addRun((index % 2 ? here : other).planRuns, plan).then(
        () => 'begun',
        (error) => error.code,
      )
    const ends = await Promise.all(rounds.map(begin))
    expect(ends.filter((end) => end === 'begun')).toHaveLength(1)
    expect(new Set(ends)).toEqual(new Set(['begun', 'recovery-plan/running']))
    expect(await here.planRuns.active()).toHaveLength(1)
  })
  test('a run that is made twice at the same moment is made once', async () => {
    const { here, there } = current()
    const other = await there()
    const run = samplePlanRun(newPlan())
    await Promise.all(
      [here, other, here, other].map(({ planRuns }) => planRuns.create(run, sampleActivities(run), {})),
    )
    expect(await here.planRuns.activities(run.id)).toHaveLength(4)
  })
  test('runs are listed from new to old, by plan and state, in pages that neither repeat nor skip', async () => {
    const { planRuns } = current().here
    const plan = newPlan()
    const made: PlanRun[] = []
    for (const [index, state] of (
      ['failed', 'cancelled', 'succeeded', 'failed', 'running'] as const
    ).entries())
      made.push(await addRun(planRuns, plan, { state, startedAt: noon + Math.trunc(index / 2) * minute }))
    const other = await addRun(planRuns, newPlan(), { startedAt: noon - minute })
    const newestFirst = [...made].reverse()
    expect((await planRuns.list({}, all)).rows).toEqual([...newestFirst, other])
    expect((await planRuns.list({ planId: plan.id }, all)).rows).toEqual(newestFirst)
    const failed = await planRuns.list({ planId: plan.id, states: ['failed'] }, all)
    expect(failed.rows.map(({ id }) => id)).toEqual([made[3]?.id, made[0]?.id])
    expect((await planRuns.list({ planId: plan.id, kinds: ['test'] }, all)).rows).toEqual(newestFirst)
    expect((await planRuns.list({ kinds: ['planned', 'clean-up'] }, all)).rows).toEqual([])
    const first = await planRuns.list({ planId: plan.id }, { limit: 2, cursor: null })
    await addRun(planRuns, newPlan(), { startedAt: noon + 9 * minute })
    const second = await planRuns.list({ planId: plan.id }, { limit: 2, cursor: first.next })
    const third = await planRuns.list({ planId: plan.id }, { limit: 2, cursor: second.next })
    expect([...first.rows, ...second.rows, ...third.rows]).toEqual(newestFirst)
    expect(third.next).toBeNull()
  })
  test('active are those in which something is to be done', async () => {
    const { planRuns } = current().here
    const states: readonly PlanRunState[] = [...activePlanRunStates, 'succeeded', 'failed', 'cancelled']
    const made: PlanRun[] = []
    for (const state of states) made.push(await addRun(planRuns, newPlan(), { state }))
    const ids = (await planRuns.active()).map(({ id }) => id)
    expect(ids.sort()).toEqual(
      made
        .slice(0, 3)
        .map(({ id }) => id)
        .sort(),
    )
  })
}

function planRunStateTests(current: Current): void {
  test('a run is moved by whoever knows its state, and by nobody else', async () => {
    const { planRuns } = current().here
    const run = await addRun(planRuns, newPlan(), { note: 'A note' })
    expect(await planRuns.move(run.id, 'paused', 'running')).toBe(false)
    expect(await planRuns.move('none' as PlanRunId, 'running', 'paused')).toBe(false)
    expect(await planRuns.find(run.id)).toEqual(run)
    expect(await planRuns.move(run.id, 'running', 'paused')).toBe(true)
    expect(await planRuns.find(run.id)).toEqual({ ...run, state: 'paused' })
    await planRuns.move(run.id, 'paused', 'running', { note: null })
    await planRuns.move(run.id, 'running', 'failed', { note: 'It failed', endedAt: noon })
    const failed = { ...run, state: 'failed', note: 'It failed', endedAt: noon }
    expect(await planRuns.find(run.id)).toEqual(failed)
    await planRuns.move(run.id, 'failed', 'running', { note: null, endedAt: null })
    expect(await planRuns.find(run.id)).toEqual({ ...run, note: null })
  })
  test('a step that the life of a run or an activity does not know is our mistake and changes nothing', async () => {
    const { planRuns } = current().here
    const run = await addRun(planRuns, newPlan(), { state: 'succeeded', endedAt: noon })
    const wrong = { name: 'InvariantError' }
    await expect((async () => planRuns.move(run.id, 'succeeded', 'running'))()).rejects.toMatchObject(wrong)
    const from = { ...whole, run: ['succeeded'] } as const
    const change = { state: 'succeeded' } as const
    await expect((async () => planRuns.moveActivity(run.id, db, from, change))()).rejects.toMatchObject(wrong)
    expect(await planRuns.find(run.id)).toEqual(run)
  })
  test('its secrets go when a run has succeeded or was cancelled, and stay when it may go on', async () => {
    const { planRuns } = current().here
    const secrets = { token: 'very-secret' }
    const ended = async (from: PlanRunState, to: PlanRunState) => {
      const run = await addRun(planRuns, newPlan(), { state: from }, secrets)
      expect(await planRuns.move(run.id, from, to)).toBe(true)
      return await planRuns.secrets(run.id)
    }
    expect(await ended('running', 'paused')).toEqual(secrets)
    expect(await ended('running', 'failed')).toEqual(secrets)
    expect(await ended('paused', 'cancelling')).toEqual(secrets)
    expect(await ended('running', 'succeeded')).toEqual({})
    expect(await ended('cancelling', 'cancelled')).toEqual({})
  })
  test('a run whose state has moved meanwhile keeps its secrets', async () => {
    const { planRuns } = current().here
    const run = await addRun(planRuns, newPlan(), { state: 'paused' }, { token: 'very-secret' })
    expect(await planRuns.move(run.id, 'running', 'succeeded')).toBe(false)
    expect(await planRuns.secrets(run.id)).toEqual({ token: 'very-secret' })
  })
  test('one that has failed does not go on while another run of its plan is active', async () => {
    const { planRuns } = current().here
    const plan = newPlan()
    const first = await addRun(planRuns, plan, { state: 'failed', endedAt: noon })
    const second = await addRun(planRuns, plan)
    for (const to of ['running', 'cancelling'] as const)
      await expect(planRuns.move(first.id, 'failed', to)).rejects.toMatchObject(running)
    expect(await planRuns.find(first.id)).toEqual(first)
    await planRuns.move(second.id, 'running', 'succeeded')
    expect(await planRuns.move(first.id, 'failed', 'running')).toBe(true)
  })
  test('of two that have failed and are set going at the same moment one goes on', async () => {
    const { here, there } = current()
    const other = await there()
    for (const _ of rounds) {
      const plan = newPlan()
      const [a, b] = [
        await addRun(here.planRuns, plan, { state: 'failed' }),
        await addRun(here.planRuns, plan, { state: 'failed' }),
      ]
      await Promise.allSettled([
        here.planRuns.move(a.id, 'failed', 'running'),
        other.planRuns.move(b.id, 'failed', 'running'),
      ])
      expect((await here.planRuns.list({ planId: plan.id, states: ['running'] }, all)).rows).toHaveLength(1)
    }
  })
}

const ended = {
  state: 'failed',
  attempt: 2,
  jobId: 'job-2',
  startedAt: noon,
  endedAt: noon + minute,
  deadline: noon + 2 * minute,
  note: 'It failed',
  failure: { kind: 'refusal', code: 'step/failed', message: 'Exit code 1', remedy: 'Look at the output.' },
  output: 'one line\nand another: ✓ 🚀\n',
  answer: { value: 'failed', by: 'bob', at: noon, comment: 'No.' },
  steeredBy: 'bob',
} as const

function activityTests(current: Current): void {
  test('an activity takes every change, and what a change does not name stays', async () => {
    const { planRuns } = current().here
    const run = await addRun(planRuns)
    expect(await planRuns.moveActivity(run.id, db, whole, begun)).toBe(true)
    const running = { ...pendingActivity(run.id, db), ...begun }
    expect((await activitiesOf(planRuns, run.id)).db).toEqual(running)
    const from = { state: 'running', attempt: 1, run: ['paused', 'running'] } as const
    expect(await planRuns.moveActivity(run.id, db, from, { output: 'so far' })).toBe(true)
    expect((await activitiesOf(planRuns, run.id)).db).toEqual({ ...running, output: 'so far' })
    await planRuns.moveActivity(run.id, db, from, ended)
    expect((await activitiesOf(planRuns, run.id)).db).toEqual({ ...running, ...ended })
    const again: ActivityChange = {
      state: 'running',
      attempt: 3,
      endedAt: null,
      deadline: null,
      note: null,
      failure: null,
      output: null,
      answer: null,
    }
    await planRuns.moveActivity(run.id, db, { state: 'failed', attempt: 2, run: ['running'] }, again)
    expect((await activitiesOf(planRuns, run.id)).db).toEqual({ ...running, ...ended, ...again })
    expect((await activitiesOf(planRuns, run.id)).cache).toEqual(pendingActivity(run.id, cache))
    expect(await changesOf(planRuns, run.id)).toBe(4)
  })
  test('an activity is changed by whoever knows how it and its run stand, and by nobody else', async () => {
    const { planRuns } = current().here
    const run = await addRun(planRuns, newPlan(), { state: 'paused' })
    const paused = { ...whole, run: ['paused'] } as const
    const change: ActivityChange = { note: 'changed' }
    expect(await planRuns.moveActivity(run.id, db, whole, change)).toBe(false)
    expect(await planRuns.moveActivity(run.id, db, { ...paused, run: [] }, change)).toBe(false)
    expect(await planRuns.moveActivity(run.id, db, { ...paused, attempt: 1 }, change)).toBe(false)
    expect(await planRuns.moveActivity(run.id, db, { ...paused, state: 'failed' }, change)).toBe(false)
    expect(await planRuns.moveActivity(run.id, db, { ...paused, planRevision: 2 }, change)).toBe(false)
    expect(await planRuns.moveActivity(run.id, itemId('none'), paused, change)).toBe(false)
    expect(await planRuns.moveActivity('none' as PlanRunId, db, paused, change)).toBe(false)
    expect(await planRuns.find(run.id)).toEqual(run)
    expect((await activitiesOf(planRuns, run.id)).db).toEqual(pendingActivity(run.id, db))
    expect(await planRuns.moveActivity(run.id, db, { ...paused, planRevision: 1 }, change)).toBe(true)
    expect((await activitiesOf(planRuns, run.id)).db).toMatchObject(change)
  })
  test('of many who begin one activity at the same moment one does', async () => {
    const { here, there } = current()
    const other = await there()
    const run = await addRun(here.planRuns)
    const begin = (index: number) =>
      (index % 2 ? here : other).planRuns.moveActivity(run.id, db, whole, { ...begun, jobId: `job-${index}` })
    const began = await Promise.all(rounds.map(begin))
    expect(began.filter(Boolean)).toHaveLength(1)
    expect((await activitiesOf(here.planRuns, run.id)).db?.jobId).toBe(`job-${began.indexOf(true)}`)
    expect(await changesOf(here.planRuns, run.id)).toBe(1)
  })
  test('many activities that begin at the same moment all do, and each is counted', async () => {
    const { here, there } = current()
    const other = await there()
    const machines = Array.from({ length: 60 }, (_, index) => sampleMachine(`machine-${index}`))
    const run = await addRun(here.planRuns, newPlan({ groups: [sampleGroup('all', { machines })] }))
    const began = await Promise.all(
      machines.map(({ id }, index) =>
        (index % 2 ? here : other).planRuns.moveActivity(run.id, id, whole, begun),
      ),
    )
    expect(began.every(Boolean)).toBe(true)
    expect(await changesOf(here.planRuns, run.id)).toBe(60)
  })
  test('a run is moved only when none of its activities has changed since it was read', async () => {
    const { planRuns } = current().here
    const run = await addRun(planRuns)
    await planRuns.moveActivity(run.id, db, whole, begun)
    expect(await planRuns.move(run.id, 'running', 'succeeded', {}, 0)).toBe(false)
    expect(await planRuns.find(run.id)).toMatchObject({ state: 'running' })
    expect(await planRuns.move(run.id, 'running', 'succeeded', {}, 1)).toBe(true)
  })
  test('no activity begins behind the end of its run, whichever comes first', async () => {
    const { here, there } = current()
    const other = await there()
    for (const _ of rounds) {
      const run = await addRun(here.planRuns)
      const [began, moved] = await Promise.all([
        Promise.all([db, cache, web].map((id) => here.planRuns.moveActivity(run.id, id, whole, begun))),
        other.planRuns.move(run.id, 'running', 'succeeded', {}, 0),
      ])
      expect(moved).toBe(!began.includes(true))
      const states = (await here.planRuns.activities(run.id)).map(({ state }) => state)
      expect(states.filter((state) => state === 'running')).toHaveLength(began.filter(Boolean).length)
    }
  })
}

function answerTests(current: Current): void {
  const yes = { value: 'done', by: 'bob', at: noon, comment: 'Looks fine' } as const
  const withQuestion = async (planRuns: PlanRunStore): Promise<PlanRun> => {
    const run = await addRun(planRuns)
    await planRuns.moveActivity(run.id, approve, whole, { ...begun, jobId: null })
    return run
  }
  test('a question is answered once, while it is asked', async () => {
    const { planRuns } = current().here
    const run = await withQuestion(planRuns)
    expect(await planRuns.answer(run.id, approve, 0, yes)).toBe(false)
    expect(await planRuns.answer(run.id, approve, 2, yes)).toBe(false)
    expect(await planRuns.answer(run.id, db, 0, yes)).toBe(false)
    expect(await planRuns.answer(run.id, itemId('none'), 1, yes)).toBe(false)
    expect(await planRuns.answer('none' as PlanRunId, approve, 1, yes)).toBe(false)
    expect(await changesOf(planRuns, run.id)).toBe(1)
    expect(await planRuns.answer(run.id, approve, 1, yes)).toBe(true)
    expect(await planRuns.answer(run.id, approve, 1, { ...yes, value: 'failed' })).toBe(false)
    expect((await activitiesOf(planRuns, run.id)).approve?.answer).toEqual(yes)
    expect(await changesOf(planRuns, run.id)).toBe(2)
  })
  test('an attempt that begins anew waits for an answer anew', async () => {
    const { planRuns } = current().here
    const run = await withQuestion(planRuns)
    await planRuns.answer(run.id, approve, 1, { ...yes, value: 'failed' })
    const from = { state: 'running', attempt: 1, run: ['running'] } as const
    await planRuns.moveActivity(run.id, approve, from, { state: 'failed' })
    expect(await planRuns.answer(run.id, approve, 1, yes)).toBe(false)
    const again = { state: 'running', attempt: 2, answer: null } as const
    await planRuns.moveActivity(run.id, approve, { ...from, state: 'failed' }, again)
    expect(await planRuns.answer(run.id, approve, 2, yes)).toBe(true)
  })
  test('of many answers at the same moment one counts', async () => {
    const { here, there } = current()
    const other = await there()
    const run = await withQuestion(here.planRuns)
    const answer = (index: number) =>
      (index % 2 ? here : other).planRuns.answer(run.id, approve, 1, { ...yes, by: `person ${index}` })
    const counted = await Promise.all(rounds.map(answer))
    expect(counted.filter(Boolean)).toHaveLength(1)
    const { answer: kept } = (await activitiesOf(here.planRuns, run.id)).approve ?? {}
    expect(kept?.by).toBe(`person ${counted.indexOf(true)}`)
    expect(await changesOf(here.planRuns, run.id)).toBe(2)
  })
}

function bootTests(current: Current): void {
  test('boots are found by the run that has made them', async () => {
    const { here } = current()
    const run = await addRun(here.planRuns)
    await here.planRuns.moveActivity(run.id, db, whole, { ...begun, bootId: 'boot-1' })
    expect(await here.planRuns.ofBoots(['boot-1', 'boot-2'] as RunId[])).toEqual(
      new Map([['boot-1', run.id]]),
    )
    expect(await here.planRuns.ofBoots([])).toEqual(new Map())
  })

  test('jobs are found by the run that has begun them', async () => {
    const { here } = current()
    const run = await addRun(here.planRuns)
    await here.planRuns.moveActivity(run.id, db, whole, { ...begun, jobId: 'job-1' })
    expect(await here.planRuns.ofJobs(['job-1', 'job-2'] as JobId[])).toEqual(new Map([['job-1', run.id]]))
    expect(await here.planRuns.ofJobs([])).toEqual(new Map())
  })
}

function editTests(current: Current): void {
  const none = { added: [], removed: [], changed: [] } as const
  const edited = (run: PlanRun): RecoveryPlan => ({
    ...run.plan,
    groups: [sampleGroup('data', { machines: [sampleMachine('db'), sampleMachine('search')] })],
  })
  test('another copy of the plan comes with its activities', async () => {
    const { planRuns } = current().here
    const run = await addRun(planRuns)
    await planRuns.moveActivity(run.id, db, whole, begun)
    const plan = edited(run)
    const change = { plan, added: [itemId('search')], removed: [cache, approve, web], changed: [] }
    const cuts = { ...run.cuts, 'protection-2': { cut: null, instant: 5 } }
    expect(await planRuns.replacePlan(run.id, 1, { ...change, cuts })).toBe(true)
    expect(await planRuns.find(run.id)).toEqual({ ...run, plan, cuts, planRevision: 2, changes: 2 })
    expect(await activitiesOf(planRuns, run.id)).toEqual({
      db: { ...pendingActivity(run.id, db), ...begun },
      search: pendingActivity(run.id, itemId('search')),
    })
    expect(await planRuns.moveActivity(run.id, web, whole, begun)).toBe(false)
    expect(await planRuns.moveActivity(run.id, itemId('search'), whole, begun)).toBe(true)
  })
  test('what has started is neither taken out nor changed', async () => {
    const { planRuns } = current().here
    const run = await addRun(planRuns)
    await planRuns.moveActivity(run.id, db, whole, begun)
    const before = [await planRuns.find(run.id), await activitiesOf(planRuns, run.id)]
    for (const change of [
      { removed: [cache, db] },
      { changed: [db, cache] },
      { removed: [itemId('none')] },
    ]) {
      const replaced = planRuns.replacePlan(run.id, 1, {
        ...none,
        added: [itemId('search')],
        plan: edited(run),
        ...change,
      })
      expect(await replaced).toBe(false)
    }
    expect([await planRuns.find(run.id), await activitiesOf(planRuns, run.id)]).toEqual(before)
    const pending = { ...none, plan: run.plan, changed: [cache, web] }
    expect(await planRuns.replacePlan(run.id, 1, pending)).toBe(true)
  })
  test('a copy is replaced by whoever knows its revision, while the run may go on', async () => {
    const { planRuns } = current().here
    const states: readonly (readonly [PlanRunState, boolean])[] = [
      ['running', true],
      ['paused', true],
      ['cancelling', true],
      ['failed', true],
      ['succeeded', false],
      ['cancelled', false],
    ]
    for (const [state, possible] of states) {
      const run = await addRun(planRuns, newPlan(), { state })
      const change = { ...none, plan: { ...run.plan, priority: 9 } }
      expect(await planRuns.replacePlan(run.id, 2, change)).toBe(false)
      expect(await planRuns.replacePlan(run.id, 1, change)).toBe(possible)
      expect(await planRuns.replacePlan(run.id, 1, change)).toBe(false)
      expect((await planRuns.find(run.id))?.planRevision).toBe(possible ? 2 : 1)
    }
    const plan = newPlan()
    expect(await planRuns.replacePlan('none' as PlanRunId, 1, { ...none, plan })).toBe(false)
  })
  test('whoever decided by the copy before neither ends the run nor begins anything', async () => {
    const { planRuns } = current().here
    const run = await addRun(planRuns)
    await planRuns.replacePlan(run.id, 1, { ...none, plan: { ...run.plan, groups: [] } })
    expect(await planRuns.move(run.id, 'running', 'succeeded', {}, run.changes)).toBe(false)
    expect(await planRuns.moveActivity(run.id, db, { ...whole, planRevision: 1 }, begun)).toBe(false)
    expect(await planRuns.moveActivity(run.id, db, { ...whole, planRevision: 2 }, begun)).toBe(true)
  })
  test('an activity either begins or is taken out, whichever comes first', async () => {
    const { here, there } = current()
    const other = await there()
    for (const _ of rounds) {
      const run = await addRun(here.planRuns)
      const [began, replaced] = await Promise.all([
        here.planRuns.moveActivity(run.id, db, whole, begun),
        other.planRuns.replacePlan(run.id, 1, { ...none, plan: edited(run), removed: [db] }),
      ])
      expect(began).toBe(!replaced)
      expect((await activitiesOf(here.planRuns, run.id)).db?.state).toBe(began ? 'running' : undefined)
    }
  })
  test('of many who edit at the same moment one does', async () => {
    const { here, there } = current()
    const other = await there()
    const run = await addRun(here.planRuns)
    const edit = (index: number) =>
      (index % 2 ? here : other).planRuns.replacePlan(run.id, 1, {
        ...none,
        plan: run.plan,
        added: [itemId(`added-${index}`)],
      })
    const done = await Promise.all(rounds.map(edit))
    expect(done.filter(Boolean)).toHaveLength(1)
    expect(await here.planRuns.activities(run.id)).toHaveLength(5)
  })
}

function historyTests(current: Current): void {
  const took = (seconds: number) =>
    ({ state: 'succeeded', attempt: 1, startedAt: noon, endedAt: noon + seconds * 1000 }) as const
  const addEnded = async (
    planRuns: PlanRunStore,
    plan: RecoveryPlan,
    more: Partial<PlanRun>,
    changes: Readonly<Record<string, ActivityChange>>,
  ): Promise<PlanRun> => {
    const run = samplePlanRun(plan, { state: 'succeeded', endedAt: noon, ...more })
    const activities = sampleActivities(run).map((each) => ({ ...each, ...changes[each.itemId] }))
    await planRuns.create(run, activities, {})
    return run
  }
  test('how long what succeeded took is told by item, from old to new, of the newest runs of a kind', async () => {
    const { planRuns } = current().here
    const plan = newPlan()
    const at = (minutes: number) => ({ startedAt: noon + minutes * minute })
    await addEnded(planRuns, plan, at(3), { db: took(30.5), web: { ...took(9), state: 'failed' } })
    await addEnded(planRuns, plan, at(1), { db: took(1) })
    await addEnded(planRuns, plan, at(2), { db: took(20), cache: took(5) })
    await addEnded(planRuns, plan, { ...at(4), kind: 'planned' }, { db: took(99) })
    await addEnded(planRuns, newPlan(), at(5), { db: took(77) })
    expect(await planRuns.durations(plan.id, ['test'], 2)).toEqual(
      new Map([
        [db, [20, 30.5]],
        [cache, [5]],
      ]),
    )
    expect((await planRuns.durations(plan.id, ['test', 'planned'], 9)).get(db)).toEqual([1, 20, 30.5, 99])
    expect(await planRuns.durations(plan.id, [], 9)).toEqual(new Map())
  })
  test('trimming drops runs that ended earlier, with everything of theirs, and none that goes on', async () => {
    const { planRuns } = current().here
    const [old, failed] = [{ endedAt: noon, state: 'succeeded' }, { state: 'failed' }] as const
    const secrets = { token: 'very-secret' }
    const dropped = [
      await addRun(planRuns, newPlan(), old),
      await addRun(planRuns, newPlan(), { ...old, ...failed }, secrets),
      await addRun(planRuns, newPlan(), { ...old, state: 'cancelled' }),
    ]
    const kept = [
      await addRun(planRuns, newPlan(), { ...old, endedAt: noon + minute }),
      await addRun(planRuns, newPlan(), { startedAt: noon - 100 * minute }),
      await addRun(planRuns, newPlan(), { ...old, state: 'running' }),
    ]
    expect(await planRuns.trim(noon + minute)).toBe(3)
    expect(await planRuns.trim(noon + minute)).toBe(0)
    for (const { id } of dropped) {
      expect(await planRuns.find(id)).toBeNull()
      expect(await planRuns.activities(id)).toEqual([])
      expect(await planRuns.secrets(id)).toEqual({})
    }
    for (const run of kept) expect(await planRuns.activities(run.id)).toHaveLength(4)
  })
}
