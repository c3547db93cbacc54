import { Outage } from '@understudy/base/errors'
import type { JobId } from '@understudy/domain/jobs/job'
import { describe, expect, test, vi } from 'vitest'
import {
  by,
  changeTo,
  failedOverAndCommitted,
  failedOverRef,
  firstPointOf,
  latest,
  minute,
  newProtectedLab,
  runningAt,
  stoppedSource,
  until,
} from '../engine-lab.ts'

describe('a database that is away', () => {
  test('while tasks are shown costs a display and not the failover', async () => {
    const { lab, ask } = await newProtectedLab()
    const { started, release } = await stoppedSource(lab, ask)
    lab.database.failNext('jobs.update', 6)
    release()
    await lab.done(started)
    expect(lab.world.violations).toEqual([])
  })

  test('while a question is to be asked lets the job put everything back itself', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.a.faults.hang('source.powerState')
    const before = lab.a.faults.calls.get('source.powerState') ?? 0
    const started = lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: false })
    await started
    await until(lab, () => (lab.a.faults.calls.get('source.powerState') ?? 0) > before)
    lab.database.failNext('jobs.update', 80)
    const job = await lab.settle(started)
    expect(job).toMatchObject({ state: 'failed', failure: { code: 'simulated/broken-call' } })
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(await lab.events('failover/tidied-up')).toEqual([])
    expect(await lab.activeRuns(protectionId)).toEqual([])
  })

  test('longer than every retry leaves nothing stranded: the source runs again when it is back', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const { started, release } = await stoppedSource(lab, ask)
    lab.database.siteDown = true
    release()
    await lab.clock.advance(10 * minute)
    lab.database.siteDown = false
    expect((await lab.settle(started)).state).toBe('failed')
    expect((await lab.state(protectionId)).state).toBe('failingOver')
    await lab.clock.advance(3 * minute)
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(lab.machine.power).toBe('running')
    expect(await lab.events('failover/tidied-up')).toHaveLength(1)
    expect(lab.world.violations).toEqual([])
  })

  test('between the boot and the hand-over leaves the replica that runs, for the operator to decide', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const { started, release } = await stoppedSource(lab, ask)
    lab.database.failNext('protections.releaseState', 3)
    release()
    expect((await lab.settle(started)).state).toBe('failed')
    await lab.clock.advance(3 * minute)
    expect((await lab.state(protectionId)).state).toBe('failedOver')
    await lab.done(lab.engine.commit(ask))
    expect(lab.world.violations).toEqual([])
  })

  test('in the middle of a roll back ends with the source running, once', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    const release = lab.a.faults.hang('source.start')
    const started = lab.engine.rollBack(ask)
    await started
    await until(lab, () => lab.b.machines().length === 0)
    lab.database.siteDown = true
    release()
    await lab.clock.advance(10 * minute)
    lab.database.siteDown = false
    await lab.settle(started)
    await lab.clock.advance(3 * minute)
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(lab.machine.power).toBe('running')
    expect(lab.world.violations).toEqual([])
  })

  test('for a moment when a run is written down leaves no hold behind', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.database.failNext('runs.create', 2)
    await lab.done(lab.engine.testFailover({ ...ask, choice: latest }))
    const [run] = await lab.activeRuns(protectionId)
    expect(await lab.holds(protectionId)).toEqual([run?.id])
    await lab.done(lab.engine.cleanUpTest(ask))
    lab.database.failNext('runs.create', 3)
    expect((await lab.settle(lab.engine.testFailover({ ...ask, choice: latest }))).state).toBe('failed')
    expect(await lab.holds(protectionId)).toEqual([])
  })
})

describe('a way out', () => {
  test('of a change of the point whose target goes away: the operator has the choice again', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    lab.b.cutOff()
    expect((await lab.settle(lab.engine.changePoint({ ...ask, choice: latest }))).state).toBe('failed')
    expect((await lab.state(protectionId)).state).toBe('failedOver')
    lab.b.comeBack()
    await lab.done(lab.engine.rollBack(ask))
    expect(lab.b.machines()).toEqual([])
    expect(lab.machine.power).toBe('running')
    expect(lab.world.violations).toEqual([])
  })

  test('of a reprotect that cannot turn: committed again, without a second replica, and it can be asked for again', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    lab.a.faults.failNext('target.networks', 3)
    const failed = await lab.settle(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    expect(failed.tasks.find(({ name }) => name === 'Turn the direction')?.state).toBe('failed')
    expect((await lab.state(protectionId)).state).toBe('committed')
    expect(await lab.a.replicas.list()).toEqual([])
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    expect((await lab.state(protectionId)).direction).toBe('reverse')
  })

  test('of a reprotect that was cut short after the places had turned: it goes on in the new direction', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    const release = lab.a.faults.hang('target.networks')
    const started = lab.engine.reprotect({ ...ask, powerOffOriginal: false })
    await started
    await until(lab, () => (lab.a.faults.calls.get('target.networks') ?? 0) > 0)
    // Three times in the turn itself, five times in what is to finish it.
    lab.database.failNext('protections.updateSummary', 8)
    release()
    await lab.settle(started)
    expect(await lab.state(protectionId)).toMatchObject({ state: 'reprotecting', direction: 'reverse' })
    await lab.clock.advance(3 * minute)
    expect(await lab.state(protectionId)).toMatchObject({ state: 'protected', direction: 'reverse' })
    expect((await lab.engine.recoveryPoints(protectionId)).length).toBeGreaterThan(1)
    expect(await lab.b.replicas.list()).toEqual([])
  })

  test('of a reprotect that was lost before the places had turned: committed again, and nothing is left of it', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    const release = lab.a.faults.hang('target.networks')
    const started = lab.engine.reprotect({ ...ask, powerOffOriginal: false })
    await started
    await until(lab, () => (lab.a.faults.calls.get('target.networks') ?? 0) > 0)
    lab.database.siteDown = true
    release()
    await lab.clock.advance(10 * minute)
    lab.database.siteDown = false
    await lab.settle(started)
    expect(await lab.state(protectionId)).toMatchObject({ state: 'reprotecting', direction: 'forward' })
    await lab.clock.advance(3 * minute)
    expect(await lab.state(protectionId)).toMatchObject({ state: 'committed', direction: 'forward' })
    expect(await lab.a.replicas.list()).toEqual([])
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
  })

  test('of an end whose target has died: it asks, and leaves behind what it cannot reach', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.testFailover({ ...ask, choice: latest }))
    lab.b.cutOff()
    const end = { ...ask, deleteReplica: false }
    const waiting = await lab.settle(lab.engine.endProtection(end))
    expect(waiting).toMatchObject({ state: 'waiting' })
    await expect(lab.engine.endProtection(end)).rejects.toMatchObject({ code: 'protection/not-allowed' })
    const questionId = waiting.question?.id ?? ''
    await lab.engine.answerJob(waiting.id, { by, questionId, value: 'stop' })
    await lab.clock.advance(10_000)
    expect((await lab.job(waiting.id)).state).toBe('failed')
    expect((await lab.state(protectionId)).state).toBe('ending')
    const again = await lab.settle(lab.engine.endProtection(end))
    await lab.engine.answerJob(again.id, { by, questionId: again.question?.id ?? '', value: 'leave' })
    await lab.clock.advance(minute)
    expect((await lab.job(again.id)).state).toBe('succeeded')
    expect(await lab.stores.protections.find(protectionId)).toBeNull()
    expect((await lab.events('protection/left-behind'))[0]?.message).toContain('stays at B')
  })

  test('of an end that waits for a hydration which never comes: its site is away, and it says so', async () => {
    const { lab, ask } = await newProtectedLab()
    lab.b.faults.hang('target.hydrate')
    await lab.done(lab.engine.plannedFailover(ask))
    lab.b.cutOff()
    const waiting = await lab.settle(lab.engine.endProtection({ ...ask, deleteReplica: false }))
    expect(waiting.question?.text).toContain('still needs its recovery point')
  })

  test('of an end beside a job that does not stop: it is refused, and that job puts everything back first', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    let release = (): void => {}
    const stubborn = new Promise<void>((resolve) => (release = resolve))
    const { openStoppedDisks } = lab.a.source
    vi.spyOn(lab.a.source, 'openStoppedDisks').mockImplementationOnce(async (...disks) => {
      await stubborn
      return await openStoppedDisks(...disks)
    })
    const started = lab.engine.plannedFailover(ask)
    await started
    await until(lab, () => lab.machine.power === 'off')
    const end = { ...ask, deleteReplica: true }
    const refused = await lab.settle(lab.engine.endProtection(end))
    expect(refused).toMatchObject({ state: 'failed', failure: { code: 'protection/still-at-work' } })
    expect((await lab.state(protectionId)).state).toBe('failingOver')
    release()
    expect((await lab.settle(started)).state).toBe('cancelled')
    expect(lab.machine.power).toBe('running')
    await lab.done(lab.engine.endProtection(end))
    expect(await lab.stores.protections.find(protectionId)).toBeNull()
  })

  test('of an end after a failover that could not be put back: the source that it left off runs again', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.a.faults.failNext('source.start', 5)
    lab.b.faults.failNext('target.boot', 3)
    await lab.settle(lab.engine.plannedFailover(ask))
    expect((await lab.state(protectionId)).state).toBe('broken')
    expect((await lab.stores.protections.notes(protectionId)).claim).toBeNull()
    expect(lab.machine.power).toBe('off')
    await lab.done(lab.engine.endProtection({ ...ask, deleteReplica: true }))
    expect(lab.machine.power).toBe('running')
    expect(runningAt(lab.b)).toEqual([])
  })

  test('of an end after a commit that was given away and not settled: the source stays off beside it', async () => {
    const { lab, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    const { updateNotes } = lab.stores.protections
    const spy = vi.spyOn(lab.stores.protections, 'updateNotes').mockImplementation(async (id, change) => {
      if ('sourceStoppedByRun' in change) throw new Error('it cannot be noted')
      await updateNotes(id, change)
    })
    expect((await lab.settle(lab.engine.commit(ask))).state).toBe('failed')
    spy.mockRestore()
    await lab.done(lab.engine.endProtection({ ...ask, deleteReplica: false }))
    expect(lab.machine.power).toBe('off')
    expect(lab.world.violations).toEqual([])
  })

  test('of a job that was lost between its row and its workflow: it is failed while the server runs', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const lost = 'lost-job' as JobId
    await lab.stores.jobs.create({
      id: lost,
      kind: 'planned-failover',
      state: 'queued',
      subjectId: protectionId,
      subjectName: 'web',
      tasks: [],
      failure: null,
      question: null,
      createdAt: lab.clock.now(),
      endedAt: null,
      startedBy: by,
    })
    await expect(lab.engine.plannedFailover(ask)).rejects.toMatchObject({ code: 'protection/not-allowed' })
    await lab.clock.advance(3 * minute)
    expect(await lab.job(lost)).toMatchObject({ state: 'failed', failure: { code: 'job/lost' } })
    await lab.done(lab.engine.plannedFailover(ask))
  })
})

describe('an act that fails between two lines', () => {
  const away = () => new Outage({ code: 'test/away', message: 'It is away', remedy: 'Wait.' })

  test('a reverse replica that cannot be made leaves the protection committed', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.commit(ask))
    vi.spyOn(lab.a.replicas, 'createReplica').mockRejectedValue(away())
    const job = await lab.settle(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    expect(job).toMatchObject({ state: 'failed', failure: { code: 'test/away' } })
    expect((await lab.state(protectionId)).state).toBe('committed')
  })

  test('a replica store that is away when old writers are to be shut out leaves the protection as it was', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.engine.pause(ask)
    const spy = vi.spyOn(lab.b.replicas, 'openReplica').mockRejectedValue(away())
    const request = { ...ask, choice: latest, acceptUnfenced: false }
    const job = await lab.settle(lab.engine.unplannedFailover(request))
    expect(job.state).toBe('failed')
    expect(await lab.state(protectionId)).toMatchObject({ state: 'paused', resumeState: 'protected' })
    spy.mockRestore()
    expect(lab.machine.power).toBe('running')
  })

  test('a claim that was made and could not be finished is given back', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    vi.spyOn(lab.stores.leases, 'movers').mockRejectedValue(away())
    vi.spyOn(lab.stores.leases, 'held').mockResolvedValue([])
    await lab.clock.advance(10_000)
    const job = await lab.settle(lab.engine.plannedFailover(ask))
    expect(job).toMatchObject({ state: 'failed', failure: { code: 'test/away' } })
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(lab.machine.power).toBe('running')
  })

  test('a power state that comes too late does not switch off a machine that went on meanwhile', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    let answer = (): void => {}
    const late = new Promise<void>((resolve) => (answer = resolve))
    vi.spyOn(lab.a.source, 'powerState').mockImplementationOnce(async () => {
      await late
      return 'running'
    })
    const waiting = await lab.settle(
      lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: false }),
    )
    await lab.engine.answerJob(waiting.id, { by, questionId: waiting.question?.id ?? '', value: 'stop' })
    await lab.clock.advance(10_000)
    expect((await lab.state(protectionId)).state).toBe('protected')
    answer()
    await lab.clock.advance(10_000)
    expect(lab.machine.power).toBe('running')
    const { sourceStoppedByRun = null } = await lab.stores.protections.notes(protectionId)
    expect(sourceStoppedByRun).toBeNull()
  })

  test('a run that is written down at the second attempt, from a newer point, holds no point for ever', async () => {
    const { lab, protectionId, ask } = await newProtectedLab({ policy: { intervalSeconds: 1 } })
    vi.spyOn(lab.stores.runs, 'create').mockRejectedValueOnce(away())
    await lab.done(lab.engine.testFailover({ ...ask, choice: latest }))
    expect(new Set(await lab.holds(protectionId)).size).toBe(1)
    await lab.done(lab.engine.cleanUpTest(ask))
    expect(await lab.holds(protectionId)).toEqual([])
  })

  test('a target network that has gone stops a change of the point while the first machine still runs', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    const before = runningAt(lab.b).map(({ ref }) => ref)
    vi.spyOn(lab.b.target, 'networks').mockResolvedValue([])
    expect((await lab.settle(changeTo(lab, ask, await firstPointOf(lab, ask)))).state).toBe('failed')
    expect(runningAt(lab.b).map(({ ref }) => ref)).toEqual(before)
    expect((await lab.state(protectionId)).state).toBe('failedOver')
  })

  test('a change of the point whose rest cannot be removed leaves a state that can be acted on', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    const spy = vi.spyOn(lab.b.target, 'destroy').mockRejectedValue(away())
    expect((await lab.settle(changeTo(lab, ask, await firstPointOf(lab, ask)))).state).toBe('failed')
    expect((await lab.state(protectionId)).state).toBe('failedOver')
    spy.mockRestore()
    await lab.done(lab.engine.rollBack(ask))
    expect(lab.machine.power).toBe('running')
    expect(lab.world.violations).toEqual([])
  })

  test('a guest that goes on shutting down after the cancel is started again', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    vi.spyOn(lab.a.source, 'shutDown').mockImplementationOnce(async (_, { signal }) => {
      void lab.clock.sleep(9000).then(() => lab.machine.shutDown())
      await lab.clock.sleep(2 * minute, signal)
      throw away()
    })
    const { jobId } = await lab.engine.plannedFailover(ask)
    const started = async () =>
      (await lab.job(jobId)).tasks.find(({ name }) => name.startsWith('Shut down'))?.state
    while ((await started()) !== 'running') await lab.clock.advance(100)
    await lab.clock.advance(4000)
    await lab.engine.cancelJob(jobId, { by })
    await lab.clock.advance(minute)
    expect((await lab.job(jobId)).state).toBe('cancelled')
    expect(lab.machine.power).toBe('running')
    expect((await lab.state(protectionId)).state).toBe('protected')
  })

  test('a state that moves while a protection is ended does not let it replicate while it is taken apart', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const { moveState } = lab.stores.protections
    vi.spyOn(lab.stores.protections, 'moveState').mockImplementationOnce(async (id, from, to, note) => {
      await moveState(id, 'protected', 'resyncing', null)
      return await moveState(id, from, to, note)
    })
    let seen: string | undefined
    const remove = lab.b.replicas.deleteReplica
    vi.spyOn(lab.b.replicas, 'deleteReplica').mockImplementationOnce(async (id) => {
      seen = (await lab.state(protectionId)).state
      await remove(id)
    })
    await lab.done(lab.engine.endProtection({ ...ask, deleteReplica: true }))
    expect(seen).toBe('ending')
  })

  test('a job that is retried after a later failover was taken back reprotects the machine that runs', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.b.faults.failNext('target.boot', 3)
    const failed = await lab.settle(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.done(lab.engine.rollBack(ask))
    await lab.clock.advance(minute)
    await lab.engine.retryJob(failed.id, { by })
    await lab.clock.advance(2 * minute)
    const ref = await failedOverRef(lab, protectionId)
    await lab.done(lab.engine.commit(ask))
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    expect((await lab.state(protectionId)).sourceRef).toBe(ref)
  })
})
