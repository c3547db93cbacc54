// Plans that are run between two fake sites, as an operator would have them run.

import { Outage, Refusal } from '@understudy/base/errors'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PlanGroup, RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import {
  activePlanRunStates,
  type PlanActivity,
  type PlanRun,
  type PlanRunId,
} from '@understudy/domain/recovery-plans/plan-run'
import type { ScriptAction, StepAction } from '@understudy/domain/recovery-plans/step-action'
import type { SiteId } from '@understudy/domain/sites/site'
import { describe, expect, test, vi } from 'vitest'
import { by, type Lab, newProtectedLab, protectOneMore, runningAt, until } from '../engine-lab.ts'
import { isCancelled } from '../ports/cancelled.ts'
import type { CloudServices, CloudThing } from '../ports/cloud-services.ts'
import type { HostPrograms } from '../ports/host-programs.ts'
import { StepFailure } from '../ports/step-runner.ts'
import type { FollowUpRequest, StartPlanRequest } from '../requests.ts'
import { group, machine, plan, script, step } from './plan-lab.ts'

async function newPlanLab(
  groupsOf: (db: ProtectionId, web: ProtectionId) => readonly PlanGroup[],
  more: Partial<RecoveryPlan> = {},
) {
  const { lab, protectionId: web } = await newProtectedLab()
  const db = await protectOneMore(lab, { name: 'db' })
  const made = await lab.engine.plans.create(plan(groupsOf(db, web), more), { by })
  const planId = made.plan.id
  const start = (request: Partial<StartPlanRequest> = {}) =>
    lab.engine.plans.start({ by, planId, kind: 'test', ...request })
  return { lab, db, web, planId, made, start }
}

const twoTiers = (db: ProtectionId, web: ProtectionId): readonly PlanGroup[] => [
  group('data', { machines: [machine('m-db', db)], after: [step('migrate', script('migrate'))] }),
  group('front', {
    before: [step('announce', script('announce'))],
    machines: [machine('m-web', web)],
    after: [step('smoke', script('smoke'))],
  }),
]

/** Lets time pass until nothing moves any more: the run is over, or waits for somebody. */
async function settled(lab: Lab, id: PlanRunId): Promise<PlanRun> {
  for (let turn = 0; turn < 1000; turn += 1) {
    const run = await found(lab, id)
    if (!activePlanRunStates.includes(run.state)) return run
    await lab.clock.advance(1000)
  }
  throw new Error(
    `the run does not end: ${JSON.stringify(await lab.stores.planRuns.activities(id), null, 1)}`,
  )
}

async function found(lab: Lab, id: PlanRunId): Promise<PlanRun> {
  const run = await lab.stores.planRuns.find(id)
  if (!run) throw new Error('there is a run')
  return run
}

async function activity(lab: Lab, id: PlanRunId, itemId: string): Promise<PlanActivity> {
  const activities = await lab.stores.planRuns.activities(id)
  const one = activities.find((each) => each.itemId === itemId)
  if (!one) throw new Error(`there is ${itemId}`)
  return one
}

async function untilIt(lab: Lab, id: PlanRunId, itemId: string, state: PlanActivity['state']): Promise<void> {
  let now: string = ''
  await until(lab, () => {
    void activity(lab, id, itemId).then((one) => (now = one.state))
    return now === state
  })
}

const follow = async (lab: Lab, followsUp: PlanRunId, kind: FollowUpRequest['kind']): Promise<PlanRun> => {
  const { id } = await lab.engine.plans.followUp({ by, followsUp, kind })
  return await settled(lab, id)
}

describe('a test of a plan', () => {
  test('brings its machines up in order, with its steps between, and stays up until it is cleaned up', async () => {
    const { lab, db, web, start } = await newPlanLab(twoTiers)
    const run = await settled(lab, (await start()).id)
    expect(run).toMatchObject({
      state: 'succeeded',
      note: null,
      kind: 'test',
      direction: 'forward',
      version: 1,
    })
    expect(lab.steps.effects.map(({ what }) => what)).toEqual(['migrate', 'announce', 'smoke'])
    const [dbUp, migrated] = [await activity(lab, run.id, 'm-db'), await activity(lab, run.id, 'migrate')]
    const webUp = await activity(lab, run.id, 'm-web')
    expect(migrated.startedAt).toBeGreaterThanOrEqual(dbUp.endedAt ?? 0)
    expect(webUp.startedAt).toBeGreaterThanOrEqual(migrated.endedAt ?? 0)
    expect(runningAt(lab.b)).toHaveLength(2)
    expect((await lab.state(db)).state).toBe('protected')

    expect(await follow(lab, run.id, 'clean-up')).toMatchObject({ state: 'succeeded', kind: 'clean-up' })
    expect(runningAt(lab.b)).toHaveLength(0)
    expect((await lab.state(web)).state).toBe('protected')
  })

  test('that cleans up after itself leaves nothing', async () => {
    const { lab, planId, start } = await newPlanLab(twoTiers)
    const run = await settled(lab, (await start({ settings: { cleanUp: 'when-done' } })).id)
    expect(run.state).toBe('succeeded')
    const [cleanUp] = (await lab.stores.planRuns.list({ planId }, { limit: 1, cursor: null })).rows
    expect(cleanUp).toMatchObject({ kind: 'clean-up', followsUp: run.id })
    expect((await settled(lab, cleanUp?.id ?? run.id)).state).toBe('succeeded')
    expect(runningAt(lab.b)).toHaveLength(0)
  })

  test('that is cancelled stops what it can, starts nothing more and cleans up what came up', async () => {
    const { lab, planId, start } = await newPlanLab(twoTiers)
    lab.steps.take('migrate', 200)
    const { id } = await start()
    await untilIt(lab, id, 'migrate', 'running')
    await lab.engine.plans.cancel(id, { by })
    const run = await settled(lab, id)
    expect(run.state).toBe('cancelled')
    expect(run.note).toContain('"db"')
    expect((await activity(lab, id, 'm-web')).state).toBe('pending')
    const [cleanUp] = (await lab.stores.planRuns.list({ planId }, { limit: 1, cursor: null })).rows
    expect(await settled(lab, cleanUp?.id ?? id)).toMatchObject({ kind: 'clean-up', state: 'succeeded' })
    expect(runningAt(lab.b)).toHaveLength(0)
  })

  test('tells a step whether people have cancelled it: a stop of the server is no wish to end it', async () => {
    const { lab, start } = await newPlanLab(twoTiers)
    const signals: AbortSignal[] = []
    lab.steps.take('migrate', 200)
    const { run } = lab.steps
    vi.spyOn(lab.steps, 'run').mockImplementation((work, report, signal) => {
      signals.push(signal)
      return run(work, report, signal)
    })
    const { id } = await start()
    await untilIt(lab, id, 'migrate', 'running')
    await lab.restart()
    await untilIt(lab, id, 'migrate', 'running')
    await lab.clock.advance(1000)
    await lab.engine.plans.cancel(id, { by })
    expect((await settled(lab, id)).state).toBe('cancelled')
    expect(signals.map(isCancelled)).toEqual([false, true])
  })

  test('does not go on with a machine whose guest does not answer', async () => {
    const { lab, start } = await newPlanLab(twoTiers)
    lab.b.faults.hang('target.probe')
    const run = await settled(lab, (await start({ settings: { answerTimeoutSeconds: 5 } })).id)
    expect(run.state).toBe('failed')
    expect((await activity(lab, run.id, 'm-db')).failure?.code).toBe('recovery-plan/no-answer')
    expect((await activity(lab, run.id, 'm-web')).state).toBe('pending')
  })

  test('asks a guest that did not answer once more when that is tried again, and only an answer lets the plan go on', async () => {
    const { lab, start } = await newPlanLab(twoTiers)
    const answersAgain = lab.b.faults.hang('target.probe')
    const { id } = await settled(lab, (await start({ settings: { answerTimeoutSeconds: 5 } })).id)
    const again = () => lab.engine.plans.retry({ by, planRunId: id, itemId: 'm-db' as ItemId })
    await again()
    expect((await settled(lab, id)).state).toBe('failed')
    expect((await activity(lab, id, 'm-db')).failure?.code).toBe('recovery-plan/no-answer')
    answersAgain()
    await again()
    expect((await settled(lab, id)).state).toBe('succeeded')
    expect((await activity(lab, id, 'm-db')).attempt).toBe(3)
    expect((await follow(lab, id, 'clean-up')).state).toBe('succeeded')
    expect(runningAt(lab.b)).toHaveLength(0)
  })
})

describe('a failover of a plan', () => {
  test('planned, committed, reprotected and failed back: all machines, there and home again', async () => {
    const { lab, db, web, start } = await newPlanLab(twoTiers)
    const there = await settled(lab, (await start({ kind: 'planned' })).id)
    expect(there.state).toBe('succeeded')
    expect(runningAt(lab.a)).toHaveLength(0)
    await lab.clock.advance(60_000)
    expect((await follow(lab, there.id, 'commit')).state).toBe('succeeded')
    expect((await follow(lab, there.id, 'reprotect')).state).toBe('succeeded')
    await lab.clock.advance(60_000)
    for (const id of [db, web])
      expect(await lab.state(id)).toMatchObject({ state: 'protected', direction: 'reverse' })

    const home = await settled(lab, (await start({ kind: 'fail-back' })).id)
    expect(home).toMatchObject({ state: 'succeeded', direction: 'reverse' })
    expect(runningAt(lab.a)).toHaveLength(2)
  })

  test('unplanned with the source site dead is rolled back as a whole', async () => {
    const { lab, db, web, start } = await newPlanLab(twoTiers)
    lab.a.faults.siteDown = true
    const run = await settled(
      lab,
      (await start({ kind: 'unplanned', settings: { acceptUnfenced: true } })).id,
    )
    expect(run.state).toBe('succeeded')
    for (const id of [db, web]) expect((await lab.state(id)).state).toBe('failedOver')
    lab.a.faults.siteDown = false
    expect((await follow(lab, run.id, 'roll-back')).state).toBe('succeeded')
    expect(runningAt(lab.b)).toHaveLength(0)
  })

  test('a follow-up passes over machines that never came up', async () => {
    const { lab, db, web, start } = await newPlanLab(twoTiers)
    lab.steps.failNext('announce')
    const run = await settled(lab, (await start({ kind: 'planned' })).id)
    expect(run.state).toBe('failed')
    expect(run.note).toContain('"announce"')
    const back = await follow(lab, run.id, 'roll-back')
    expect(back).toMatchObject({ state: 'succeeded', note: '1 skipped' })
    for (const id of [db, web]) expect((await lab.state(id)).state).toBe('protected')
  })
})

test('what has been rolled back is not rolled back again', async () => {
  const { lab, start } = await newPlanLab(twoTiers)
  const run = await settled(lab, (await start({ kind: 'planned' })).id)
  expect((await follow(lab, run.id, 'roll-back')).state).toBe('succeeded')
  await expect(lab.engine.plans.followUp({ by, followsUp: run.id, kind: 'roll-back' })).rejects.toMatchObject(
    { code: 'plan-run/nothing-left' },
  )
})

test('a failover that is not committed is not reprotected, and says what is missing', async () => {
  const { lab, db, start } = await newPlanLab(twoTiers)
  const run = await settled(lab, (await start({ kind: 'planned' })).id)
  await expect(lab.engine.plans.followUp({ by, followsUp: run.id, kind: 'reprotect' })).rejects.toMatchObject(
    { code: 'plan-run/not-committed' },
  )
  await lab.done(lab.engine.commit({ protectionId: db, by }))
  expect(await follow(lab, run.id, 'reprotect')).toMatchObject({ state: 'succeeded', note: '1 skipped' })
  expect((await lab.state(db)).direction).toBe('reverse')
})

describe('steps', () => {
  test('a step that fails stops the plan; tried again it goes on where it was', async () => {
    const { lab, start } = await newPlanLab(twoTiers)
    lab.steps.failNext('migrate')
    lab.steps.print('migrate', 'table missing')
    const { id } = await start()
    expect((await settled(lab, id)).state).toBe('failed')
    expect(await activity(lab, id, 'migrate')).toMatchObject({ state: 'failed', output: 'table missing' })
    await lab.engine.plans.retry({ by, planRunId: id, itemId: 'migrate' as ItemId })
    expect((await settled(lab, id)).state).toBe('succeeded')
    expect(await activity(lab, id, 'migrate')).toMatchObject({
      state: 'succeeded',
      attempt: 2,
      steeredBy: by,
    })
    expect(lab.steps.effects.map(({ what }) => what)).toEqual(['migrate', 'migrate', 'announce', 'smoke'])
  })

  test('a step that may fail lets the plan go on, and the end says so', async () => {
    const { lab, start } = await newPlanLab((db, web) => [
      group('all', {
        before: [step('notify', script('notify'), { whenItFails: 'continue' })],
        machines: [machine('m-db', db), machine('m-web', web)],
      }),
    ])
    lab.steps.failNext('notify')
    expect(await settled(lab, (await start()).id)).toMatchObject({
      state: 'succeeded',
      note: '1 failed, and the plan went on',
    })
  })

  test('one that asks holds up only what needs it, until somebody skips it', async () => {
    const { lab, start } = await newPlanLab((db, web) => [
      group('data', {
        before: [step('ask', script('ask'), { whenItFails: 'ask' })],
        machines: [machine('m-db', db)],
      }),
      group('front', { start: 'at-once', machines: [machine('m-web', web)] }),
    ])
    lab.steps.failNext('ask')
    const { id } = await start()
    await untilIt(lab, id, 'm-web', 'succeeded')
    expect((await found(lab, id)).state).toBe('running')
    expect((await activity(lab, id, 'm-db')).state).toBe('pending')
    await lab.engine.plans.skip({ by, planRunId: id, itemId: 'ask' as ItemId })
    expect(await settled(lab, id)).toMatchObject({ state: 'succeeded', note: '1 skipped' })
  })

  const key = {
    name: 'key',
    description: '',
    type: 'secret',
    choices: [],
    default: null,
    asked: true,
  } as const
  const usingKey = (db: ProtectionId): readonly PlanGroup[] => [
    group('all', {
      machines: [machine('m-db', db)],
      after: [
        step('use', { ...script('use'), environment: { KEY: '{{key}}' } } as ReturnType<typeof script>),
      ],
    }),
  ]

  test('secrets reach the step and nothing else', async () => {
    const { lab, start } = await newPlanLab(usingKey, { parameters: [key] })
    lab.steps.print('use', 'the key is hunter2!')
    const { id } = await start({ parameters: { key: 'hunter2' } })
    expect((await settled(lab, id)).state).toBe('succeeded')
    const kept = [
      await found(lab, id),
      await lab.stores.planRuns.activities(id),
      (await lab.stores.jobs.list({}, { limit: 100, cursor: null })).rows,
      await lab.events('plan-run/started'),
    ]
    expect(JSON.stringify(kept)).not.toContain('hunter2')
    expect((await activity(lab, id, 'use')).output).toBe('the key is ••••••!')
    expect(await lab.stores.planRuns.secrets(id)).toEqual({})
  })

  const words = { code: 'kvm/x', message: 'hunter2 is wrong', remedy: 'Change hunter2.' }
  test.each([
    ['a step', new StepFailure(words), { kind: 'refusal', code: 'kvm/x' }],
    ['a refusal', new Refusal(words), { kind: 'refusal', code: 'kvm/x' }],
    ['an outage', new Outage(words), { kind: 'outage', code: 'kvm/x' }],
    ['our own fault', new TypeError('hunter2 is wrong'), { kind: 'invariant', code: 'internal/invariant' }],
  ])('a failure of any kind is told without its secrets: %s', async (_, error, report) => {
    const { lab, start } = await newPlanLab(usingKey, { parameters: [key] })
    const run = vi.spyOn(lab.steps, 'run').mockRejectedValue(error)
    const { id } = await start({ parameters: { key: 'hunter2' } })
    await untilIt(lab, id, 'use', 'failed')
    expect(run).toHaveBeenCalledTimes(1)
    const { failure } = await activity(lab, id, 'use')
    expect(failure).toMatchObject({ ...report, message: '•••••• is wrong' })
    const jobs = (await lab.stores.jobs.list({}, { limit: 100, cursor: null })).rows
    expect(JSON.stringify([failure, jobs, await lab.events('job/failed')])).not.toContain('hunter2')
  })
})

describe('following up', () => {
  test('a machine that somebody else has up is nothing of a run that did not touch it', async () => {
    const { lab, web, start } = await newPlanLab(twoTiers)
    lab.steps.failNext('announce')
    const run = await settled(lab, (await start({ kind: 'planned' })).id)
    expect(run.state).toBe('failed')
    await lab.done(lab.engine.plannedFailover({ by, protectionId: web }))
    const back = await follow(lab, run.id, 'roll-back')
    expect(await activity(lab, back.id, 'm-web')).toMatchObject({ state: 'skipped' })
    expect((await lab.state(web)).state).toBe('failedOver')
  })

  test('nor is a test of it that somebody else has up, when a run that never came to it is cancelled', async () => {
    const { lab, web, planId, start } = await newPlanLab(twoTiers)
    lab.steps.take('migrate', 200)
    const { id } = await start()
    await untilIt(lab, id, 'migrate', 'running')
    await lab.done(lab.engine.testFailover({ by, protectionId: web, choice: { kind: 'latest' } }))
    await lab.engine.plans.cancel(id, { by })
    await settled(lab, id)
    const [cleanUp] = (await lab.stores.planRuns.list({ planId }, { limit: 1, cursor: null })).rows
    expect((await settled(lab, cleanUp?.id ?? id)).kind).toBe('clean-up')
    expect(runningAt(lab.b)).toHaveLength(1)
    expect(await lab.activeRuns(web)).toHaveLength(1)
  })

  test('a run whose machines were rolled back does not go on', async () => {
    const { lab, start } = await newPlanLab(twoTiers)
    lab.steps.failNext('announce')
    const run = await settled(lab, (await start({ kind: 'planned' })).id)
    await follow(lab, run.id, 'roll-back')
    const announce = { by, planRunId: run.id, itemId: 'announce' as ItemId }
    await expect(lab.engine.plans.retry(announce)).rejects.toMatchObject({ code: 'plan-run/followed-up' })
    await expect(lab.engine.plans.skip(announce)).rejects.toMatchObject({ code: 'plan-run/followed-up' })
  })

  test('one in which a machine failed has failed, and that machine can be tried again', async () => {
    const { lab, start } = await newPlanLab(twoTiers)
    const run = await settled(lab, (await start()).id)
    lab.b.faults.failNext('target.destroy', 10)
    const cleanUp = await follow(lab, run.id, 'clean-up')
    expect(cleanUp.state).toBe('failed')
    for (const { itemId, state } of await lab.stores.planRuns.activities(cleanUp.id))
      if (state === 'failed') await lab.engine.plans.retry({ by, planRunId: cleanUp.id, itemId })
    expect((await settled(lab, cleanUp.id)).state).toBe('succeeded')
    expect(runningAt(lab.b)).toHaveLength(0)
  })
})

test('a machine that failed is tried again with a job of its own, and the plan goes on', async () => {
  const { lab, start } = await newPlanLab(twoTiers)
  lab.b.faults.failNext('target.boot', 3)
  const { id } = await start({ kind: 'planned' })
  expect((await settled(lab, id)).state).toBe('failed')
  await lab.engine.plans.retry({ by, planRunId: id, itemId: 'm-db' as ItemId })
  expect((await settled(lab, id)).state).toBe('succeeded')
  expect(await activity(lab, id, 'm-db')).toMatchObject({ state: 'succeeded', attempt: 2 })
})

test('two steps of a run work at once', async () => {
  const { lab, start } = await newPlanLab((db) => [
    group('one', { after: [step('left', script('left'))], machines: [machine('m-db', db)] }),
    group('two', { start: 'at-once', before: [step('right', script('right'))] }),
    group('three', { start: 'at-once', before: [step('middle', script('middle'))] }),
  ])
  lab.steps.take('right', 60)
  lab.steps.take('middle', 60)
  const { id } = await start()
  await untilIt(lab, id, 'right', 'running')
  expect((await activity(lab, id, 'middle')).state).toBe('running')
  expect((await settled(lab, id)).state).toBe('succeeded')
})

describe('waiting for people', () => {
  const manual = (whenTimedOut: 'fail' | 'continue') =>
    step('call', {
      kind: 'manual',
      instructions: 'Call the bank',
      assigneeRole: 'operator',
      timeoutSeconds: 60,
      whenTimedOut,
    })
  const approval = step('approve', {
    kind: 'approval',
    question: 'Open for customers?',
    approverRole: 'operator',
    timeoutSeconds: 600,
  })

  test('a manual action goes on when somebody says that it is done', async () => {
    const { lab, start } = await newPlanLab((db) => [
      group('all', { before: [manual('fail')], machines: [machine('m-db', db)] }),
    ])
    const { id } = await start()
    await untilIt(lab, id, 'call', 'running')
    const answer = { planRunId: id, itemId: 'call' as ItemId, value: 'done', comment: 'They know' } as const
    await lab.engine.plans.answer({ by: 'ina', ...answer })
    await expect(lab.engine.plans.answer({ by, ...answer })).rejects.toMatchObject({
      code: 'plan-run/already-answered',
    })
    expect((await settled(lab, id)).state).toBe('succeeded')
    expect(await activity(lab, id, 'call')).toMatchObject({ note: 'ina: They know' })
  })

  test.each([
    ['fail', 'failed'],
    ['continue', 'succeeded'],
  ] as const)('a manual action that nobody answers in time lets the plan %s', async (policy, state) => {
    const { lab, start } = await newPlanLab((db) => [
      group('all', { before: [manual(policy)], machines: [machine('m-db', db)] }),
    ])
    expect((await settled(lab, (await start()).id)).state).toBe(state)
  })

  test('nobody approves his own run', async () => {
    const { lab, start } = await newPlanLab((db) => [
      group('all', { before: [approval], machines: [machine('m-db', db)] }),
    ])
    const { id } = await start()
    await untilIt(lab, id, 'approve', 'running')
    const answer = { planRunId: id, itemId: 'approve' as ItemId, value: 'done', comment: '' } as const
    await expect(lab.engine.plans.answer({ by, ...answer })).rejects.toMatchObject({
      code: 'plan-run/own-approval',
    })
    const { comment, value, ...item } = answer
    await expect(lab.engine.plans.skip({ by, ...item })).rejects.toMatchObject({
      code: 'plan-run/own-approval',
    })
    await lab.engine.plans.answer({ by: 'ina', ...answer })
    expect((await settled(lab, id)).state).toBe('succeeded')
  })

  test('another token of the same user is no other person, and nobody takes the approval of his own run out', async () => {
    const { lab, start } = await newPlanLab((db) => [
      group('all', { before: [step('first', script('first')), approval], machines: [machine('m-db', db)] }),
    ])
    lab.steps.take('first', 60)
    const { id } = await start({ by: 'olga (one)', byId: 'olga' })
    await untilIt(lab, id, 'first', 'running')
    const run = await found(lab, id)
    const without = {
      ...run.plan,
      groups: run.plan.groups.map((each) => ({ ...each, before: each.before.slice(0, 1) })),
    }
    await expect(
      lab.engine.plans.edit({
        by: 'olga (two)',
        byId: 'olga',
        planRunId: id,
        planRevision: run.planRevision,
        plan: without,
      }),
    ).rejects.toMatchObject({ code: 'plan-run/own-approval' })
    await untilIt(lab, id, 'approve', 'running')
    const answer = { planRunId: id, itemId: 'approve' as ItemId, value: 'done', comment: '' } as const
    await expect(
      lab.engine.plans.answer({ by: 'olga (two)', byId: 'olga', ...answer }),
    ).rejects.toMatchObject({ code: 'plan-run/own-approval' })
  })
})

describe('steering', () => {
  test('a paused run starts nothing until it is resumed', async () => {
    const { lab, start } = await newPlanLab(twoTiers)
    lab.steps.take('migrate', 10)
    const { id } = await start()
    await untilIt(lab, id, 'migrate', 'running')
    await lab.engine.plans.pause(id, { by })
    await lab.clock.advance(60_000)
    expect((await activity(lab, id, 'migrate')).state).toBe('succeeded')
    expect((await activity(lab, id, 'announce')).state).toBe('pending')
    await lab.engine.plans.resume(id, { by })
    expect((await settled(lab, id)).state).toBe('succeeded')
  })

  test('what has not started can be edited while the rest runs; what has started cannot', async () => {
    const { lab, start } = await newPlanLab(twoTiers)
    lab.steps.take('migrate', 10)
    const { id } = await start()
    await untilIt(lab, id, 'migrate', 'running')
    const run = await found(lab, id)
    const [data, front] = run.plan.groups
    if (!data || !front) throw new Error('there are two groups')
    const edited = {
      ...run.plan,
      groups: [data, { ...front, before: [], after: [...front.after, step('more', script('more'))] }],
    }
    const request = { by, planRunId: id, planRevision: run.planRevision, plan: edited }
    await lab.engine.plans.edit(request)
    await expect(lab.engine.plans.edit(request)).rejects.toMatchObject({ code: 'plan-run/edited-meanwhile' })
    await expect(
      lab.engine.plans.edit({ ...request, plan: { ...edited, groups: [{ ...data, after: [] }, front] } }),
    ).rejects.toMatchObject({ code: 'plan-run/started' })
    const now = await found(lab, id)
    const moved = { ...now.plan, groups: now.plan.groups.toReversed() }
    await expect(
      lab.engine.plans.edit({ ...request, planRevision: now.planRevision, plan: moved }),
    ).rejects.toMatchObject({ code: 'plan-run/started' })
    expect((await settled(lab, id)).state).toBe('succeeded')
    expect(lab.steps.effects.map(({ what }) => what)).toEqual(['migrate', 'smoke', 'more'])
  })

  test('a second run of a plan is refused while one is active', async () => {
    const { lab, planId, start } = await newPlanLab(twoTiers)
    const { id } = await start()
    await expect(start()).rejects.toMatchObject({ code: 'recovery-plan/running' })
    await expect(lab.engine.plans.remove(planId, { by })).rejects.toMatchObject({
      code: 'recovery-plan/running',
    })
    expect((await start({ planRunId: id })).id).toBe(id)
  })
})

describe('keeping plans', () => {
  test('one whose machines wait for a decision is not removed', async () => {
    const { lab, planId, start } = await newPlanLab(twoTiers)
    const { id } = await settled(lab, (await start({ kind: 'planned' })).id)
    await expect(lab.engine.plans.remove(planId, { by })).rejects.toMatchObject({
      code: 'recovery-plan/not-settled',
    })
    expect((await follow(lab, id, 'commit')).state).toBe('succeeded')
    await lab.engine.plans.remove(planId, { by })
    expect(await lab.stores.plans.find(planId)).toBeNull()
  })

  test('the second of two who save is told, and loses nothing', async () => {
    const { lab, made } = await newPlanLab(twoTiers)
    const { version } = made
    const save = (name: string) =>
      lab.engine.plans.save({ by, plan: { ...made.plan, name }, version, comment: '' })
    await save('Shop')
    await expect(save('Store')).rejects.toMatchObject({ code: 'recovery-plan/edited-meanwhile' })
    expect((await lab.stores.plans.find(made.plan.id))?.plan.name).toBe('Shop')
    await lab.engine.plans.restore(made.plan.id, 1, { by })
    expect(await lab.stores.plans.find(made.plan.id)).toMatchObject({
      version: 3,
      plan: { name: 'Web shop' },
    })
  })

  test('a plan that is saved as it is makes no version and tells nobody', async () => {
    const { lab, made } = await newPlanLab(twoTiers)
    const told = (await lab.events('recovery-plan/saved')).length
    const same = structuredClone({ ...made.plan, name: ' Web shop ' })
    const request = { by, plan: same, version: 1, comment: 'again' }
    expect(await lab.engine.plans.save(request)).toMatchObject({ version: 1, comment: '' })
    expect((await lab.engine.plans.restore(made.plan.id, 1, { by })).version).toBe(1)
    expect(await lab.events('recovery-plan/saved')).toHaveLength(told)
    expect((await lab.engine.plans.save({ ...request, plan: { ...same, priority: 6 } })).version).toBe(2)
  })

  test('a plan with a fault is kept, and not run', async () => {
    const { lab, start } = await newPlanLab((db) => [
      group('all', { machines: [machine('m-db', db, { needs: ['nobody' as ItemId] })] }),
    ])
    await expect(start()).rejects.toMatchObject({ code: 'recovery-plan/not-ready' })
    expect(await lab.stores.planRuns.active()).toEqual([])
  })

  test('a program at a site is run where that site can, and a plan is not begun where it cannot or is not there', async () => {
    const at = (site: string): StepAction => ({
      ...(script('switch') as ScriptAction),
      where: { kind: 'site', site: site as SiteId },
    })
    const withStep = (site: string) => [group('all', { before: [step('switch', at(site))] })]
    const gone = await newPlanLab(() => withStep('nowhere'))
    await expect(gone.start()).rejects.toMatchObject({
      code: 'recovery-plan/not-ready',
      message: expect.stringContaining('a site that is not there: "nowhere"'),
    })
    const { lab } = gone
    const [source, target] = [lab.siteA.id, lab.siteB.id]
    const made = await lab.engine.plans.create(plan(withStep(target), { name: 'Switch' }), { by })
    const start = () => lab.engine.plans.start({ by, planId: made.plan.id, kind: 'test' })
    await expect(start()).rejects.toMatchObject({
      message: expect.stringContaining('no programs can be run at that kind of site'),
    })
    const hostPrograms = {} as HostPrograms
    Object.assign(lab.world.site('B').platform, { hostPrograms })
    const given: unknown[] = []
    const { run } = lab.steps
    Object.assign(lab.steps, {
      run: (...call: Parameters<typeof run>) => {
        given.push(call[0].hostOf(target), call[0].hostOf(source))
        return run(...call)
      },
    })
    expect((await settled(lab, (await start()).id)).state).toBe('succeeded')
    expect(given).toEqual([hostPrograms, null])
  })

  test('a step in Azure gets the services of its site, and where its machine runs there; else the plan does not begin', async () => {
    const { lab, db } = await newPlanLab((db) => [group('data', { machines: [machine('m-db', db)] })])
    const [source, target] = [lab.siteA.id, lab.siteB.id]
    const groups = [
      group('data', {
        machines: [machine('m-db', db)],
        after: [
          step('name', {
            kind: 'azure-dns',
            site: target,
            resourceGroup: '',
            zone: 'example.org',
            zoneKind: 'public',
            recordName: 'www.example.org',
            recordType: 'A',
            ttlSeconds: 60,
            values: [{ kind: 'machine', machine: 'm-db' as ItemId }],
            timeoutSeconds: 60,
          }),
        ],
      }),
    ]
    const made = await lab.engine.plans.create(plan(groups, { name: 'Names' }), { by })
    const start = () => lab.engine.plans.start({ by, planId: made.plan.id, kind: 'test' })
    await expect(start()).rejects.toMatchObject({
      message: expect.stringContaining('has no sign-in to a subscription of Azure'),
    })
    const asked: CloudThing[] = []
    const cloudServices = {
      check: async (thing: CloudThing) => {
        asked.push(thing)
        return [
          { level: 'warning', code: 'step/target-missing', message: 'There is no zone', remedy: 'Look.' },
        ]
      },
    } as unknown as CloudServices
    Object.assign(lab.world.site('B').platform, { cloudServices })
    const given: unknown[] = []
    const { run } = lab.steps
    Object.assign(lab.steps, {
      run: (...call: Parameters<typeof run>) => {
        const [{ cloudOf, cloudMachineOf }] = call
        given.push(cloudOf(target), cloudOf(source), cloudMachineOf('m-db' as ItemId))
        return run(...call)
      },
    })
    // What Azure says beforehand warns, and keeps nothing from running.
    const findings = await lab.engine.plans.findings(made.plan, 'test')
    expect(findings.filter(({ code }) => code.startsWith('step/'))).toMatchObject([
      {
        at: { kind: 'item' },
        level: 'warning',
        code: 'step/target-missing',
        message: '"name": There is no zone',
      },
    ])
    expect(asked).toEqual([
      { kind: 'records', resourceGroup: '', zone: 'example.org', zoneKind: 'public', type: 'A' },
    ])
    expect((await settled(lab, (await start()).id)).state).toBe('succeeded')
    const [boot] = await lab.stores.runs.active(db)
    const where = { ref: boot?.machineRef, site: target, services: cloudServices }
    expect(given).toEqual([cloudServices, null, where])
  })

  test('a secret that stands in the plan itself is kept in no version', async () => {
    const { lab, made } = await newPlanLab(twoTiers)
    const secret = {
      name: 'key',
      description: '',
      type: 'secret',
      choices: [],
      default: 'hunter2',
      asked: true,
    } as const
    const { id, ...open } = { ...made.plan, parameters: [secret] }
    const refused = { code: 'recovery-plan/secret-default' }
    await expect(lab.engine.plans.create(open, { by })).rejects.toMatchObject(refused)
    const save = { by, plan: { id, ...open }, version: made.version, comment: '' }
    await expect(lab.engine.plans.save(save)).rejects.toMatchObject(refused)
    expect((await lab.stores.plans.find(id))?.version).toBe(made.version)
  })

  test('parameters of the wrong type are refused before anything begins', async () => {
    const number = {
      name: 'count',
      description: '',
      type: 'number',
      choices: [],
      default: null,
      asked: true,
    } as const
    const { lab, start } = await newPlanLab(twoTiers, { parameters: [number] })
    await expect(start({ parameters: { count: 'many' } })).rejects.toMatchObject({
      code: 'recovery-plan/parameters',
    })
    await expect(start({ parameters: {} })).rejects.toMatchObject({ code: 'recovery-plan/parameters' })
    expect(await lab.stores.planRuns.active()).toEqual([])
  })
})
