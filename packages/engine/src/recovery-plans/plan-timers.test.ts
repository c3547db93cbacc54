import { Refusal } from '@understudy/base/errors'
import type { PolicySettings } from '@understudy/domain/protection/policy'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PlanRun, PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import { expect, test, vi } from 'vitest'
import { by, type Lab, minute, newProtectedLab, protectOneMore } from '../engine-lab.ts'
import { group, machine, plan, step } from './plan-lab.ts'

/** Two machines, of which the second comes up when somebody says so. */
type Action = PolicySettings['uncommittedAction']

async function failedOver(uncommittedAction: Action, ofDb: Action = uncommittedAction) {
  const prepared = await twoMachines(uncommittedAction, ofDb)
  return { ...prepared, ...(await begun(prepared)) }
}

async function twoMachines(uncommittedAction: Action, ofDb: Action = uncommittedAction) {
  const { lab, protectionId: web } = await newProtectedLab({
    policy: { commitTimeoutSeconds: 3600, uncommittedAction },
  })
  const { id: _, ...settings } = lab.policy
  const other = { ...settings, name: 'other', uncommittedAction: ofDb }
  const policy = await lab.engine.savePolicy(other, null, { by })
  const db = await protectOneMore({ ...lab, policy }, { name: 'db' })
  const states = async () => await Promise.all([db, web].map(async (each) => (await lab.state(each)).state))
  const deadlines = async () => (await lab.stores.runs.active()).map(({ commitDeadline }) => commitDeadline)
  return { lab, db, web, states, deadlines }
}

async function begun({ lab, db, web }: Pick<Awaited<ReturnType<typeof twoMachines>>, 'lab' | 'db' | 'web'>) {
  const call = step('call', {
    kind: 'manual',
    instructions: 'Look',
    assigneeRole: 'operator',
    timeoutSeconds: 100_000,
    whenTimedOut: 'continue',
  })
  const groups = [
    group('data', { machines: [machine('m-db', db)], after: [call] }),
    group('front', { machines: [machine('m-web', web)] }),
  ]
  const made = await lab.engine.plans.create(plan(groups), { by })
  const { id } = await lab.engine.plans.start({ by, planId: made.plan.id, kind: 'planned' })
  return { id }
}

async function answered(lab: Lab, id: PlanRunId): Promise<PlanRun> {
  const answer = { planRunId: id, itemId: 'call' as never, value: 'done', comment: '' } as const
  await lab.engine.plans.answer({ by, ...answer })
  await lab.clock.advance(2 * minute)
  const run = await lab.stores.planRuns.find(id)
  if (run?.state !== 'succeeded') throw new Error(`it is ${run?.state}`)
  return run
}

test.each([
  { action: 'roll-back', state: 'protected' },
  { action: 'commit', state: 'committed' },
] as const)(
  'the machines of a plan share one timer, which begins with its end and is for all of them: $action',
  async ({ action, state }) => {
    const { lab, id, states, deadlines } = await failedOver(action)
    // The first one has been up for longer than its own time, while the plan waits for somebody.
    await lab.clock.advance(90 * minute)
    expect(await states()).toEqual(['failedOver', 'protected'])
    expect(await lab.openAlerts()).not.toContain('failover/uncommitted')
    const { endedAt } = await answered(lab, id)
    const timer = await lab.engine.plans.timer(id)
    expect(timer).toEqual({ deadline: (endedAt ?? 0) + 60 * minute, action })
    expect(await deadlines()).toEqual([timer?.deadline, timer?.deadline])
    await lab.clock.advance(55 * minute)
    expect(await states()).toEqual(['failedOver', 'failedOver'])
    await lab.clock.advance(10 * minute)
    expect(await states()).toEqual([state, state])
    const { rows } = await lab.stores.planRuns.list({}, { limit: 10, cursor: null })
    expect(rows.filter(({ followsUp }) => followsUp === id)).toMatchObject([
      { kind: action, state: 'succeeded', startedBy: expect.stringContaining('policy') },
    ])
    expect(await lab.engine.plans.timer(id)).toBeNull()
  },
)

test('where the policies of its machines differ nothing is done to any, and it is told', async () => {
  const { lab, db, id, states } = await failedOver('roll-back', 'commit')
  await lab.clock.advance(2 * minute)
  await answered(lab, id)
  await lab.clock.advance(70 * minute)
  expect(await states()).toEqual(['failedOver', 'failedOver'])
  const alert = await lab.stores.alerts.findOpen('failover/uncommitted', db)
  expect(alert).toMatchObject({ severity: 'critical', message: expect.stringContaining('different things') })
})

test('what somebody has done to one machine of a plan is not undone at the rest: the timer leaves that to a person', async () => {
  const { lab, db, web, id, states } = await failedOver('roll-back')
  await lab.clock.advance(2 * minute)
  await answered(lab, id)
  await lab.clock.advance(50 * minute)
  await lab.done(lab.engine.commit({ by, protectionId: db }))
  await lab.clock.advance(30 * minute)
  expect(await states()).toEqual(['committed', 'failedOver'])
  const alert = await lab.stores.alerts.findOpen('failover/uncommitted', web)
  expect(alert).toMatchObject({
    severity: 'critical',
    message: expect.stringContaining('to commit was begun'),
  })
})

test('a commit of the plan that failed is not followed by a roll-back', async () => {
  const { lab, id, states } = await failedOver('roll-back')
  await lab.clock.advance(2 * minute)
  await answered(lab, id)
  await lab.clock.advance(50 * minute)
  lab.b.faults.failNext('target.adopt', 20)
  await lab.engine.plans.followUp({ by, followsUp: id, kind: 'commit' })
  await lab.clock.advance(30 * minute)
  expect(await states()).toEqual(['failedOver', 'failedOver'])
})

test.each([
  { ofDb: 'commit', ofWeb: 'roll-back', settled: 'committed' },
  { ofDb: 'roll-back', ofWeb: 'commit', settled: 'protected' },
] as const)(
  'policies that differ still do so when one machine was seen to by hand: $ofDb',
  async ({ ofDb, ofWeb, settled }) => {
    const { lab, db, id, states } = await failedOver(ofWeb, ofDb)
    await lab.clock.advance(2 * minute)
    await answered(lab, id)
    await lab.clock.advance(70 * minute)
    const ask = { by, protectionId: db }
    await lab.done(ofDb === 'commit' ? lab.engine.commit(ask) : lab.engine.rollBack(ask))
    await lab.clock.advance(20 * minute)
    expect(await states()).toEqual([settled, 'failedOver'])
  },
)

test('a roll-back that somebody has begun with one machine is what the timer does to the rest, where the policies say so', async () => {
  const { lab, db, id, states } = await failedOver('roll-back')
  await lab.clock.advance(2 * minute)
  await answered(lab, id)
  await lab.clock.advance(50 * minute)
  await lab.done(lab.engine.rollBack({ by, protectionId: db }))
  await lab.clock.advance(15 * minute)
  expect(await states()).toEqual(['protected', 'protected'])
})

test('plans that share a machine share one timer: none while one of them goes on, then the latest', async () => {
  const { lab, db, web, states } = await twoMachines('roll-back')
  const ofData = [group('data', { machines: [machine('d-db', db)] })]
  const data = await lab.engine.plans.create(plan(ofData, { name: 'Data' }), { by })
  const { id: first } = await lab.engine.plans.start({ by, planId: data.plan.id, kind: 'planned' })
  await lab.clock.advance(5 * minute)
  expect(await states()).toEqual(['failedOver', 'protected'])
  const { id: second } = await begun({ lab, db, web })
  await lab.clock.advance(120 * minute)
  expect(await states()).toEqual(['failedOver', 'protected'])
  expect(await lab.engine.plans.timer(first)).toBeNull()
  const { endedAt } = await answered(lab, second)
  const timer = { deadline: (endedAt ?? 0) + 60 * minute, action: 'roll-back' }
  expect(await lab.engine.plans.timer(first)).toEqual(timer)
  expect(await lab.engine.plans.timer(second)).toEqual(timer)
  await lab.clock.advance(55 * minute)
  expect(await states()).toEqual(['failedOver', 'failedOver'])
  await lab.clock.advance(10 * minute)
  expect(await states()).toEqual(['protected', 'protected'])
})

test('the timer of one run is worked out without the plans that share nothing with it', async () => {
  const { lab, db, web } = await twoMachines('roll-back')
  const start = async (name: string, id: ProtectionId): Promise<PlanRunId> => {
    const groups = [group('all', { machines: [machine('m', id)] })]
    const made = await lab.engine.plans.create(plan(groups, { name }), { by })
    const run = await lab.engine.plans.start({ by, planId: made.plan.id, kind: 'planned' })
    await lab.clock.advance(5 * minute)
    return run.id
  }
  const [data, front] = [await start('Data', db), await start('Front', web)]
  const read = vi.spyOn(lab.stores.planRuns, 'activities')
  expect(await lab.engine.plans.timer(data)).toMatchObject({ action: 'roll-back' })
  expect(read.mock.calls.map(([id]) => id)).toEqual([data])
  expect(await lab.engine.plans.timer('another' as PlanRunId)).toBeNull()
  expect(read).toHaveBeenCalledTimes(1)
  expect(await lab.engine.plans.timer(front)).not.toBeNull()
})

test('a machine that was committed with one plan is not missed by the timer of another that stands on it', async () => {
  const { lab, db, web, states } = await twoMachines('roll-back')
  const ofData = [group('data', { machines: [machine('d-db', db)] })]
  const data = await lab.engine.plans.create(plan(ofData, { name: 'Data' }), { by })
  const { id: first } = await lab.engine.plans.start({ by, planId: data.plan.id, kind: 'planned' })
  await lab.clock.advance(5 * minute)
  const { id: second } = await begun({ lab, db, web })
  await lab.clock.advance(2 * minute)
  await answered(lab, second)
  await lab.engine.plans.followUp({ by, followsUp: first, kind: 'commit' })
  await lab.clock.advance(80 * minute)
  expect(await states()).toEqual(['committed', 'failedOver'])
})

test('a machine that was skipped while its job was at work shares the timer of the plan all the same', async () => {
  const { lab, db, web, states } = await twoMachines('roll-back', 'commit')
  const release = lab.b.faults.hang('target.boot')
  const { id } = await begun({ lab, db, web })
  await lab.clock.advance(minute)
  await lab.engine.plans.skip({ by, planRunId: id, itemId: 'm-db' as never })
  release()
  await lab.clock.advance(2 * minute)
  expect(await states()).toEqual(['failedOver', 'protected'])
  await answered(lab, id)
  await lab.clock.advance(80 * minute)
  expect(await states()).toEqual(['failedOver', 'failedOver'])
  // What is done to it counts as well.
  await lab.done(lab.engine.commit({ by, protectionId: db }))
  await lab.clock.advance(10 * minute)
  expect(await states()).toEqual(['committed', 'failedOver'])
})

test.each([
  { ofDb: 'roll-back', says: 'the policy will roll back the plan' },
  { ofDb: 'commit', says: 'nothing will be done by itself' },
] as const)(
  'before the time is up each machine is warned of what becomes of the plan, asked about in one go: $says',
  async ({ ofDb, says }) => {
    const { lab, db, web, id } = await failedOver('roll-back', ofDb)
    await lab.clock.advance(2 * minute)
    await answered(lab, id)
    const ofBoots = vi.spyOn(lab.stores.planRuns, 'ofBoots')
    await lab.clock.advance(55 * minute)
    for (const each of [db, web]) {
      const alert = await lab.stores.alerts.findOpen('failover/uncommitted', each)
      expect(alert).toMatchObject({ severity: 'warning', message: expect.stringContaining(says) })
    }
    expect(ofBoots.mock.calls.filter(([boots]) => boots.length !== 2)).toEqual([])
  },
)

test('what refuses the timer is told with its reason at each machine', async () => {
  const { lab, db, id, states } = await failedOver('roll-back')
  await lab.clock.advance(2 * minute)
  await answered(lab, id)
  const no = new Refusal({
    code: 'recovery-plan/not-ready',
    message: 'Its group has gone',
    remedy: 'Make it anew.',
  })
  const create = vi.spyOn(lab.stores.planRuns, 'create').mockRejectedValue(no)
  await lab.clock.advance(65 * minute)
  expect(await states()).toEqual(['failedOver', 'failedOver'])
  const alert = await lab.stores.alerts.findOpen('failover/uncommitted', db)
  expect(alert).toMatchObject({
    severity: 'critical',
    message: expect.stringContaining('was refused: Its group has gone'),
    remedy: 'Make it anew.',
  })
  create.mockRestore()
  await lab.clock.advance(20 * minute)
  expect(await states()).toEqual(['protected', 'protected'])
  expect(await lab.openAlerts()).not.toContain('failover/uncommitted')
})
