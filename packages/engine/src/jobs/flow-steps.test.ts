// Unfinished jobs are replayed step by step, by name and order: what a flow of one version has once done is what it has to do as
// long as it has that version. Whoever changes the steps, or their order, raises FLOW_VERSION and lets a new file be written
// (`vitest --update`); the file of a version that was released is never changed.
import type { JobKind } from '@understudy/domain/jobs/job'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { expect, test } from 'vitest'
import { createEngine } from '../engine.ts'
import {
  type Ask,
  changeTo,
  failedOverAndCommitted,
  failedOverRef,
  firstPointOf,
  type Lab,
  latest,
  minute,
  newLab,
  newProtectedLab,
} from '../engine-lab.ts'
import { defaultEngineConfig, type EngineParts } from '../engine-parts.ts'
import { group, plan, script, step } from '../recovery-plans/plan-lab.ts'
import type { JobStarted } from '../requests.ts'
import { flowOf } from './run-job.ts'

type Prepared = { readonly lab: Lab; readonly ask: Ask }
type Way = {
  readonly kind: JobKind
  /** Which of its ways it goes. */
  readonly way: string
  readonly prepare: () => Promise<Prepared>
  readonly start: (lab: Lab, ask: Ask) => Promise<JobStarted>
  readonly answers?: readonly string[]
}

async function failedOver(): Promise<Prepared> {
  const prepared = await newProtectedLab()
  await prepared.lab.done(prepared.lab.engine.plannedFailover(prepared.ask))
  await prepared.lab.clock.advance(minute)
  return prepared
}

async function reprotected(): Promise<Prepared> {
  const prepared = await failedOverAndCommitted()
  await prepared.lab.done(prepared.lab.engine.reprotect({ ...prepared.ask, powerOffOriginal: false }))
  await prepared.lab.clock.advance(minute)
  return prepared
}

async function withLostReplica(): Promise<Prepared> {
  const prepared = await failedOverAndCommitted()
  const { lab, ask } = prepared
  await lab.b.replicas.deleteReplica((await lab.state(ask.protectionId)).replicaId)
  return prepared
}

/** Three tries of a task, and none succeeds. */
const failing =
  (prepare: () => Promise<Prepared>, site: 'a' | 'b', call: string) => async (): Promise<Prepared> => {
    const prepared = await prepare()
    prepared.lab[site].faults.failNext(call, 3)
    return prepared
  }

/** Failed over, and somebody has started the old machine. */
async function withSecondLife(): Promise<Prepared> {
  const prepared = await failedOver()
  const { lab } = prepared
  await lab.a.platform.source?.start(lab.machine.ref)
  await lab.engine.refreshSite(lab.siteA.id)
  return prepared
}

async function withTest(): Promise<Prepared> {
  const prepared = await newProtectedLab()
  await prepared.lab.done(prepared.lab.engine.testFailover({ ...prepared.ask, choice: latest }))
  return prepared
}

async function withReplicaOff(): Promise<Prepared> {
  const prepared = await failedOver()
  const { lab, ask } = prepared
  lab.b.machine((await failedOverRef(lab, ask.protectionId)) as MachineRef).powerOff()
  return prepared
}

async function withDeadSite(): Promise<Prepared> {
  const prepared = await newProtectedLab()
  prepared.lab.a.faults.siteDown = true
  return prepared
}

const seedPlace = { folder: '/media/seed', passphrase: 'correct horse battery' }

async function withoutFirstCopy(): Promise<Prepared> {
  const lab = await newLab()
  lab.a.faults.failNext('source.openPoint')
  const { protectionId } = await lab.protect()
  await lab.clock.advance(5000)
  return { lab, ask: { by: 'olga', protectionId } }
}

async function withSeed(): Promise<Prepared> {
  const prepared = await withoutFirstCopy()
  await prepared.lab.done(prepared.lab.engine.exportSeed({ ...prepared.ask, ...seedPlace }))
  return prepared
}

const unprotected = async (): Promise<Prepared> => {
  const lab = await newLab()
  return { lab, ask: { by: 'olga', protectionId: 'none' as Ask['protectionId'] } }
}
const unplanned = (lab: Lab, ask: Ask, acceptUnfenced = false) =>
  lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced })
const reprotect = (lab: Lab, ask: Ask) => lab.engine.reprotect({ ...ask, powerOffOriginal: false })
const failBack = (lab: Lab, ask: Ask) => lab.engine.failBack({ ...ask, overwriteModified: false })
const testFailover = (lab: Lab, ask: Ask) => lab.engine.testFailover({ ...ask, choice: latest })
const planned = (lab: Lab, ask: Ask) => lab.engine.plannedFailover(ask)
const changePoint = async (lab: Lab, ask: Ask) => changeTo(lab, ask, await firstPointOf(lab, ask))
const end = (lab: Lab, ask: Ask) => lab.engine.endProtection({ ...ask, deleteReplica: true })

const ways: readonly Way[] = [
  { kind: 'protect', way: 'seeds', prepare: unprotected, start: (lab) => lab.protect() },
  { kind: 'resync', way: 'compares', prepare: newProtectedLab, start: (lab, ask) => lab.engine.resync(ask) },
  { kind: 'test-failover', way: 'boots', prepare: newProtectedLab, start: testFailover },
  {
    kind: 'test-failover',
    way: 'does not boot',
    prepare: failing(newProtectedLab, 'b', 'target.boot'),
    start: testFailover,
  },
  {
    kind: 'clean-up-test',
    way: 'removes',
    prepare: withTest,
    start: (lab, ask) => lab.engine.cleanUpTest(ask),
  },
  { kind: 'planned-failover', way: 'boots', prepare: newProtectedLab, start: planned },
  {
    kind: 'planned-failover',
    way: 'is put back',
    prepare: failing(newProtectedLab, 'b', 'target.boot'),
    start: planned,
  },
  { kind: 'unplanned-failover', way: 'fences', prepare: newProtectedLab, start: unplanned },
  {
    kind: 'unplanned-failover',
    way: 'was accepted beforehand',
    prepare: withDeadSite,
    start: (lab, ask) => unplanned(lab, ask, true),
  },
  {
    kind: 'unplanned-failover',
    way: 'asks, and asks again',
    prepare: withDeadSite,
    start: unplanned,
    answers: ['again', 'go-on'],
  },
  {
    kind: 'unplanned-failover',
    way: 'is stopped',
    prepare: withDeadSite,
    start: unplanned,
    answers: ['stop'],
  },
  { kind: 'change-point', way: 'boots', prepare: failedOver, start: changePoint },
  {
    kind: 'change-point',
    way: 'does not boot',
    prepare: failing(failedOver, 'b', 'target.boot'),
    start: changePoint,
  },
  {
    kind: 'start-replica',
    way: 'starts',
    prepare: withReplicaOff,
    start: (lab, ask) => lab.engine.startReplica(ask),
  },
  {
    kind: 'power-off-old',
    way: 'switches it off',
    prepare: withSecondLife,
    start: (lab, ask) => lab.engine.powerOffOld(ask),
  },
  { kind: 'commit', way: 'hands over', prepare: failedOver, start: (lab, ask) => lab.engine.commit(ask) },
  {
    kind: 'commit',
    way: 'does not hand over',
    prepare: failing(failedOver, 'b', 'target.adopt'),
    start: (lab, ask) => lab.engine.commit(ask),
  },
  { kind: 'roll-back', way: 'goes back', prepare: failedOver, start: (lab, ask) => lab.engine.rollBack(ask) },
  {
    kind: 'roll-back',
    way: 'does not remove, and stops',
    prepare: failing(failedOver, 'b', 'target.destroy'),
    start: (lab, ask) => lab.engine.rollBack(ask),
    answers: ['stop'],
  },
  {
    kind: 'roll-back',
    way: 'does not remove, tries again, and goes on without',
    prepare: failing(failing(failedOver, 'b', 'target.destroy'), 'b', 'target.destroy'),
    start: (lab, ask) => lab.engine.rollBack(ask),
    answers: ['again', 'go-on'],
  },
  { kind: 'reprotect', way: 'turns', prepare: failedOverAndCommitted, start: reprotect },
  {
    kind: 'reprotect',
    way: 'is put back',
    prepare: failing(failedOverAndCommitted, 'a', 'target.networks'),
    start: reprotect,
  },
  {
    kind: 'reprotect',
    way: 'asks about a replica that is lost, and copies everything',
    prepare: withLostReplica,
    start: reprotect,
    answers: ['again', 'whole'],
  },
  { kind: 'fail-back', way: 'comes home', prepare: reprotected, start: failBack },
  {
    kind: 'fail-back',
    way: 'is put back',
    prepare: failing(reprotected, 'a', 'target.restoreInto'),
    start: failBack,
  },
  {
    kind: 'export-seed',
    way: 'exports',
    prepare: withoutFirstCopy,
    start: (lab, ask) => lab.engine.exportSeed({ ...ask, ...seedPlace }),
  },
  {
    kind: 'import-seed',
    way: 'imports',
    prepare: withSeed,
    start: (lab, ask) => lab.engine.importSeed({ ...ask, ...seedPlace }),
  },
  { kind: 'end-protection', way: 'ends', prepare: newProtectedLab, start: end },
]

async function stepsOf({ kind, prepare, start, answers = [] }: Way): Promise<readonly string[]> {
  const { lab, ask } = await prepare()
  let job = await lab.settle(start(lab, ask))
  for (const value of answers) {
    const questionId = job.question?.id ?? 'none'
    await lab.engine.answerJob(job.id, { by: 'olga', questionId, value })
    // It goes on, and only then is it to be waited for.
    await lab.clock.advance(1000)
    job = await lab.settle(Promise.resolve({ jobId: job.id }))
  }
  const workflow = lab.log.workflows.get(job.id)
  expect(workflow?.name).toBe(flowOf(kind))
  return workflow?.acts.map(({ name }) => name) ?? []
}

/** Of the job that nobody asks for, in each of its ways out. */
async function stepsOfTidyUp(): Promise<readonly string[]> {
  const { lab, ask } = await newProtectedLab()
  await lab.stores.protections.claimState(ask.protectionId, 'protected', 'failingOver', {
    note: 'A job that is gone',
    notes: {
      claim: { jobId: 'gone' as never, former: { state: 'protected', note: null, resumeState: null } },
    },
  })
  await lab.clock.advance(3 * minute)
  const [workflow] = [...lab.log.workflows.values()].filter(({ name }) => name === flowOf('tidy-up'))
  return workflow?.acts.map(({ name }) => name) ?? []
}

/** Of a step of a plan, which is a job of its own. */
async function stepsOfPlanStep(): Promise<readonly string[]> {
  const { lab } = await newProtectedLab()
  const groups = [group('all', { before: [step('call', script('call'))] })]
  const { plan: made } = await lab.engine.plans.create(plan(groups), { by: 'olga' })
  await lab.engine.plans.start({ by: 'olga', planId: made.id, kind: 'test' })
  await lab.clock.advance(minute)
  const [workflow] = [...lab.log.workflows.values()].filter(({ name }) => name === flowOf('plan-step'))
  return workflow?.acts.map(({ name }) => name) ?? []
}

test('a flow goes through the steps that its version has always gone through', {
  timeout: 300_000,
}, async () => {
  const lines: string[] = []
  for (const way of ways)
    lines.push(`${flowOf(way.kind)} ${way.way}`, ...(await stepsOf(way)).map((step) => `  ${step}`), '')
  lines.push(`${flowOf('tidy-up')} puts back`, ...(await stepsOfTidyUp()).map((step) => `  ${step}`), '')
  lines.push(`${flowOf('plan-step')} is done`, ...(await stepsOfPlanStep()).map((each) => `  ${each}`), '')
  const version = flowOf('protect').split('/')[1]
  await expect(lines.join('\n')).toMatchFileSnapshot(`flow-steps-${version}.txt`)
})

test('every flow is among them', () => {
  const registered: string[] = []
  const durable = { register: (name: string) => registered.push(name) }
  createEngine({
    durable,
    clock: { now: () => 0 },
    config: defaultEngineConfig,
  } as unknown as EngineParts)
  const among = new Set([flowOf('tidy-up'), flowOf('plan-step'), ...ways.map(({ kind }) => flowOf(kind))])
  expect([...among].sort()).toEqual(registered.sort())
})
