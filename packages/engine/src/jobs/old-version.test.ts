// The server is updated while a job is at work, and the new version has other steps for it: the job of the old one does not go on.
import type { ProtectionId, ProtectionState } from '@understudy/domain/protection/protection'
import { expect, test, vi } from 'vitest'
import {
  type Ask,
  changeTo,
  failedOverAndCommitted,
  firstPointOf,
  type Lab,
  latest,
  minute,
  newLab,
  newProtectedLab,
  runningAt,
  until,
} from '../engine-lab.ts'
import type { JobStarted } from '../requests.ts'

type Prepared = { readonly lab: Lab; readonly protectionId: ProtectionId; readonly ask: Ask }

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

/** The next call of it never comes back: the process has gone by then. */
function stopIn<Port extends object>(
  port: Port,
  method: keyof Port & string,
): { readonly isThere: () => boolean } {
  const call = Reflect.get(port, method)
  let isThere = false
  Reflect.set(port, method, () => {
    isThere = true
    Reflect.set(port, method, call)
    return new Promise(() => {})
  })
  return { isThere: () => isThere }
}

async function update(lab: Lab): Promise<void> {
  for (const [id, workflow] of lab.log.workflows)
    if (workflow.state === 'running')
      lab.log.workflows.set(id, { ...workflow, name: `${workflow.name}-before` })
  await lab.restart()
  await lab.clock.advance(5 * minute)
}

/** What the operator finds afterwards, and that there is a way on from there. */
async function expectWayOut(
  { lab, protectionId }: Prepared,
  started: JobStarted,
  expected: {
    readonly state: ProtectionState
    readonly next: () => Promise<JobStarted>
    readonly remedy?: string
  },
): Promise<void> {
  expect(await lab.job(started.jobId)).toMatchObject({
    state: 'failed',
    failure: {
      code: 'job/cut-short',
      remedy: expect.stringContaining(expected.remedy ?? 'start the action anew'),
    },
  })
  expect(await lab.events('job/failed')).toHaveLength(1)
  expect((await lab.state(protectionId)).state).toBe(expected.state)
  expect(lab.world.violations).toEqual([])
  await lab.done(expected.next())
}

type Case = {
  readonly name: string
  readonly prepare: () => Promise<Prepared>
  readonly stop: (lab: Lab) => { readonly isThere: () => boolean }
  readonly start: (lab: Lab, ask: Ask) => Promise<JobStarted>
  readonly state: ProtectionState
  readonly runs: 'source' | 'replica' | 'nothing'
  readonly next: (lab: Lab, ask: Ask) => Promise<JobStarted>
  /** Where nothing is tidied up by itself. */
  readonly remedy?: string
}

const cases: readonly Case[] = [
  {
    name: 'planned failover whose source is off',
    prepare: newProtectedLab,
    stop: (lab) => stopIn(lab.a.source, 'openStoppedDisks'),
    start: (lab, ask) => lab.engine.plannedFailover(ask),
    state: 'protected',
    runs: 'source',
    next: (lab, ask) => lab.engine.plannedFailover(ask),
  },
  {
    name: 'planned failover whose replica boots',
    prepare: newProtectedLab,
    stop: (lab) => stopIn(lab.b.target, 'boot'),
    start: (lab, ask) => lab.engine.plannedFailover(ask),
    state: 'protected',
    runs: 'source',
    next: (lab, ask) => lab.engine.plannedFailover(ask),
  },
  {
    name: 'change of the point whose first machine is gone',
    prepare: failedOver,
    stop: (lab) => stopIn(lab.b.target, 'boot'),
    start: async (lab, ask) => changeTo(lab, ask, await firstPointOf(lab, ask)),
    state: 'failedOver',
    runs: 'nothing',
    next: (lab, ask) => lab.engine.changePoint({ ...ask, choice: latest }),
  },
  {
    name: 'roll back whose replica is gone',
    prepare: failedOver,
    stop: (lab) => stopIn(lab.a.source, 'start'),
    start: (lab, ask) => lab.engine.rollBack(ask),
    state: 'protected',
    runs: 'source',
    next: (lab, ask) => lab.engine.plannedFailover(ask),
  },
  {
    name: 'commit',
    prepare: failedOver,
    stop: (lab) => stopIn(lab.b.target, 'adopt'),
    start: (lab, ask) => lab.engine.commit(ask),
    state: 'failedOver',
    runs: 'replica',
    next: (lab, ask) => lab.engine.commit(ask),
  },
  {
    name: 'reprotect before the turn',
    prepare: failedOverAndCommitted,
    stop: (lab) => stopIn(lab.a.target, 'networks'),
    start: (lab, ask) => lab.engine.reprotect({ ...ask, powerOffOriginal: false }),
    state: 'committed',
    runs: 'replica',
    next: (lab, ask) => lab.engine.reprotect({ ...ask, powerOffOriginal: false }),
  },
  {
    name: 'reprotect whose direction has turned',
    prepare: failedOverAndCommitted,
    stop: (lab) => stopIn(lab.b.replicas, 'deleteReplica'),
    start: (lab, ask) => lab.engine.reprotect({ ...ask, powerOffOriginal: false }),
    state: 'protected',
    runs: 'replica',
    async next(lab, ask) {
      expect(await lab.b.replicas.list()).toEqual([])
      return await lab.engine.failBack({ ...ask, overwriteModified: true })
    },
  },
  {
    name: 'fail-back in its restore',
    prepare: reprotected,
    stop: (lab) => stopIn(lab.a.target, 'restoreInto'),
    start: (lab, ask) => lab.engine.failBack({ ...ask, overwriteModified: false }),
    state: 'protected',
    runs: 'replica',
    next: (lab, ask) => lab.engine.failBack({ ...ask, overwriteModified: true }),
  },
  {
    name: 'test failover',
    prepare: newProtectedLab,
    stop: (lab) => stopIn(lab.b.target, 'boot'),
    start: (lab, ask) => lab.engine.testFailover({ ...ask, choice: latest }),
    state: 'protected',
    runs: 'source',
    next: (lab, ask) => lab.engine.cleanUpTest(ask),
    remedy: 'Clean up what is there of the test',
  },
  {
    name: 'end of the protection',
    prepare: newProtectedLab,
    stop: (lab) => stopIn(lab.a.source, 'stopTracking'),
    start: (lab, ask) => lab.engine.endProtection({ ...ask, deleteReplica: true }),
    state: 'ending',
    runs: 'source',
    next: (lab, ask) => lab.engine.endProtection({ ...ask, deleteReplica: true }),
    remedy: 'End the protection again',
  },
]

test.each(cases)('$name: it ends with its cause and a remedy, and leaves a way on', async (each) => {
  const prepared = await each.prepare()
  const { lab, ask } = prepared
  const { isThere } = each.stop(lab)
  const started = await each.start(lab, ask)
  await until(lab, isThere)
  await update(lab)
  expect(lab.machine.power === 'running').toBe(each.runs === 'source')
  expect(runningAt(lab.b)).toHaveLength(each.runs === 'replica' ? 1 : 0)
  const { state, remedy } = each
  await expectWayOut(prepared, started, {
    state,
    next: () => each.next(lab, ask),
    ...(remedy === undefined ? {} : { remedy }),
  })
})

async function cutShortIn(call: 'networks' | 'boot'): Promise<Prepared & { readonly started: JobStarted }> {
  const prepared = await newProtectedLab()
  const { lab, ask } = prepared
  const { isThere } = stopIn(lab.b.target, call)
  const started = await lab.engine.plannedFailover(ask)
  await until(lab, isThere)
  return { ...prepared, started }
}

test('a job that was cut short does not go on when the former version is put back', async () => {
  const { lab, protectionId, started } = await cutShortIn('networks')
  await update(lab)
  for (const [id, workflow] of lab.log.workflows)
    lab.log.workflows.set(id, { ...workflow, name: workflow.name.replace(/-before$/, '') })
  await lab.restart()
  await lab.clock.advance(5 * minute)
  expect((await lab.job(started.jobId)).state).toBe('failed')
  expect((await lab.state(protectionId)).state).toBe('protected')
  expect(lab.machine.power).toBe('running')
  expect(runningAt(lab.b)).toEqual([])
  expect(lab.world.violations).toEqual([])
})

test('a job that was cut short is told once, wherever whoever finds it is killed', async () => {
  const { lab, started } = await cutShortIn('boot')
  const killed = new Error('killed')
  const { append } = lab.stores.events
  const told = vi.spyOn(lab.stores.events, 'append').mockImplementation(async (event) => {
    if (event.code !== 'job/failed') return await append(event)
    told.mockRestore()
    throw killed
  })
  vi.spyOn(lab.stores.jobs, 'failActive').mockRejectedValueOnce(killed)
  await update(lab)
  expect((await lab.job(started.jobId)).state).toBe('failed')
  expect(await lab.events('job/failed')).toHaveLength(1)
})

test('an unplanned failover that waits for an answer: the source runs again once its site is back', async () => {
  const prepared = await newProtectedLab()
  const { lab, ask } = prepared
  lab.a.faults.siteDown = true
  const asked = await lab.settle(
    lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: false }),
  )
  expect(asked.state).toBe('waiting')
  lab.a.faults.siteDown = false
  await update(lab)
  await expectWayOut(
    prepared,
    { jobId: asked.id },
    {
      state: 'protected',
      next: () => lab.engine.plannedFailover(ask),
    },
  )
})

test('a protection that was just being set up can be ended, and its machine be protected anew', async () => {
  const lab = await newLab()
  const { isThere } = stopIn(lab.b.replicas, 'createReplica')
  const started = await lab.protect()
  await until(lab, isThere)
  await update(lab)
  const { protectionId } = started
  await expectWayOut({ lab, protectionId, ask: { by: 'olga', protectionId } }, started, {
    state: 'enabling',
    next: () => lab.engine.endProtection({ by: 'olga', protectionId, deleteReplica: true }),
    remedy: 'end it and protect the machine anew',
  })
  await lab.done(lab.protect())
  expect((await lab.stores.protections.list()).map(({ sourceRef }) => sourceRef)).toEqual([lab.machine.ref])
})
