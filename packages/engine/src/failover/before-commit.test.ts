import type { MachineRef } from '@understudy/domain/machines/machine'
import { checkGuest } from '@understudy/simulator/synthetic-guest'
import { describe, expect, test, vi } from 'vitest'
import { failedOverRef, latest, minute, newProtectedLab, runningAt } from '../engine-lab.ts'

describe('a failed-over machine that went off before the commit', () => {
  async function failedOver() {
    const prepared = await newProtectedLab()
    const { lab, protectionId, ask } = prepared
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    return { ...prepared, replica: lab.b.machine((await failedOverRef(lab, protectionId)) as MachineRef) }
  }

  test('is started again when its host, which had failed, is back, and keeps what it had written', async () => {
    const { lab, ask, replica } = await failedOver()
    lab.b.burnDown()
    const written = (await checkGuest(replica.readDisks()))?.records ?? 0
    await lab.clock.advance(5 * minute)
    lab.b.comeBack()
    await lab.clock.advance(2 * minute)
    expect(runningAt(lab.b)).toEqual([replica])
    expect((await checkGuest(replica.readDisks()))?.records).toBeGreaterThan(written)
    expect(await lab.events('failover/replica-started')).toHaveLength(1)
    expect(await lab.openAlerts()).not.toContain('failover/replica-off')
    await lab.done(lab.engine.commit(ask))
    expect(lab.world.violations).toEqual([])
  })

  test('is told and left off when its host had been there all along, until somebody starts it', async () => {
    const { lab, ask, replica } = await failedOver()
    replica.powerOff()
    await lab.clock.advance(5 * minute)
    expect(replica.power).toBe('off')
    expect(await lab.openAlerts()).toContain('failover/replica-off')
    await lab.done(lab.engine.startReplica(ask))
    expect(replica.power).toBe('running')
    expect(await lab.openAlerts()).not.toContain('failover/replica-off')
    // Again: it runs.
    const again = await lab.done(lab.engine.startReplica(ask))
    expect(again.tasks[0]?.note).toBe('It is running already')
  })

  test('is not started beside a source that somebody has started meanwhile', async () => {
    const { lab, replica } = await failedOver()
    lab.b.burnDown()
    await lab.clock.advance(minute)
    await lab.machine.start()
    lab.b.comeBack()
    await lab.clock.advance(10 * minute)
    expect(replica.power).toBe('off')
    expect(await lab.openAlerts()).toContain('failover/replica-off')
    expect(lab.world.violations).toEqual([])
  })

  test('that is not there any more is told and not made anew from its point', async () => {
    const { lab, replica } = await failedOver()
    lab.b.burnDown()
    await lab.clock.advance(minute)
    lab.b.removeMachine(replica.ref)
    lab.b.comeBack()
    await lab.clock.advance(10 * minute)
    expect(runningAt(lab.b)).toEqual([])
    expect(await lab.openAlerts()).toContain('failover/replica-off')
  })

  test('does not keep a commit waiting for ever, and is told no more when it was rolled back', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.b.faults.hang('target.hydrate')
    await lab.done(lab.engine.plannedFailover(ask))
    lab.b.machine((await failedOverRef(lab, protectionId)) as MachineRef).powerOff()
    const waited = await lab.settle(lab.engine.commit(ask))
    expect(waited).toMatchObject({ state: 'failed', failure: { code: 'failover/replica-off' } })
    await lab.clock.advance(minute)
    expect(await lab.openAlerts()).toContain('failover/replica-off')
    await lab.done(lab.engine.rollBack(ask))
    await lab.clock.advance(minute)
    expect(await lab.openAlerts()).not.toContain('failover/replica-off')
  })
})

describe('the timer of an uncommitted failover', () => {
  test.each([
    { uncommittedAction: 'commit', state: 'committed' },
    { uncommittedAction: 'roll-back', state: 'protected' },
  ] as const)(
    'warns and then does what the policy says: $uncommittedAction',
    async ({ uncommittedAction, state }) => {
      const { lab, protectionId, ask } = await newProtectedLab({
        policy: { commitTimeoutSeconds: 3600, uncommittedAction },
      })
      await lab.done(lab.engine.plannedFailover(ask))
      await lab.clock.advance(45 * minute)
      expect(await lab.openAlerts()).not.toContain('failover/uncommitted')
      await lab.clock.advance(8 * minute)
      expect(await lab.openAlerts()).toContain('failover/uncommitted')
      expect((await lab.state(protectionId)).state).toBe('failedOver')
      await lab.clock.advance(15 * minute)
      expect((await lab.state(protectionId)).state).toBe(state)
      expect(await lab.openAlerts()).not.toContain('failover/uncommitted')
    },
  )
})

test('a timer whose commit fails says so and tries again, until the failover is settled', async () => {
  const { lab, protectionId, ask } = await newProtectedLab({
    policy: { commitTimeoutSeconds: 3600, uncommittedAction: 'commit' },
  })
  await lab.done(lab.engine.plannedFailover(ask))
  lab.b.faults.failNext('target.adopt', 6)
  await lab.clock.advance(65 * minute)
  expect((await lab.state(protectionId)).state).toBe('failedOver')
  expect(await lab.openAlerts()).toContain('failover/uncommitted')
  await lab.clock.advance(10 * minute)
  const { rows } = await lab.stores.alerts.list({ open: true }, { limit: 10, cursor: null })
  expect(rows.find(({ code }) => code === 'failover/uncommitted')?.severity).toBe('critical')
  await lab.clock.advance(15 * minute)
  expect((await lab.state(protectionId)).state).toBe('committed')
  expect(await lab.openAlerts()).not.toContain('failover/uncommitted')
})

test('a commit whose process is killed once it is committed has closed its alerts and told', async () => {
  const { lab, protectionId, ask } = await newProtectedLab({
    policy: { commitTimeoutSeconds: 3600, uncommittedAction: 'commit' },
  })
  await lab.done(lab.engine.plannedFailover(ask))
  await lab.clock.advance(53 * minute)
  expect(await lab.openAlerts()).toContain('failover/uncommitted')
  const { protections } = lab.stores
  const { releaseState } = protections
  const spy = vi.spyOn(protections, 'releaseState').mockImplementation(async (...release) => {
    await releaseState(...release)
    return await new Promise<never>(() => {})
  })
  const started = lab.engine.commit(ask)
  await started
  await lab.clock.advance(minute)
  expect((await lab.state(protectionId)).state).toBe('committed')
  spy.mockRestore()
  await lab.restart()
  await lab.done(started)
  expect(await lab.openAlerts()).not.toContain('failover/uncommitted')
  expect(await lab.events('failover/committed')).toHaveLength(1)
  expect((await protections.notes(protectionId)).claim).toBeNull()
})

test('a roll back starts the source although it was off before the failover: it runs somewhere afterwards', async () => {
  const { lab, ask, protectionId } = await newProtectedLab()
  lab.a.named('web')?.powerOff()
  await lab.done(lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: false }))
  expect(lab.a.named('web')?.power).toBe('off')
  await lab.done(lab.engine.rollBack(ask))
  expect(lab.a.named('web')?.power).toBe('running')
  expect((await lab.stores.protections.find(protectionId))?.state).toBe('protected')
})

test('a roll back without a source to go back to is refused, and the replica goes on', async () => {
  const { lab, ask, protectionId } = await newProtectedLab()
  lab.a.cutOff()
  await lab.done(lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true }))
  const job = await lab.settle(lab.engine.rollBack(ask))
  expect(job).toMatchObject({ state: 'failed', failure: { code: 'failover/nothing-to-go-back-to' } })
  expect((await lab.state(protectionId)).state).toBe('failedOver')
  expect(runningAt(lab.b)).toHaveLength(1)
})

test('a roll back whose source does not start says so, and its protection is not called protected', async () => {
  const { lab, ask, protectionId } = await newProtectedLab()
  await lab.done(lab.engine.plannedFailover(ask))
  lab.a.faults.failNext('source.start', 50)
  const job = await lab.settle(lab.engine.rollBack(ask))
  expect(job.tasks.find(({ name }) => name === 'Start the source machine again')?.state).toBe('failed')
  expect((await lab.stores.protections.find(protectionId))?.state).toBe('broken')
  expect(await lab.openAlerts()).toContain('protection/broken')
})

test('the time to decide begins when the guest has answered', async () => {
  const { lab, ask, protectionId } = await newProtectedLab({ policy: { commitTimeoutSeconds: 120 } })
  await lab.done(lab.engine.plannedFailover(ask))
  const [run] = await lab.activeRuns(protectionId)
  expect(run?.commitDeadline).toBeGreaterThanOrEqual((run?.answeredAt ?? Number.NaN) + 120_000)
  expect(run?.commitDeadline).toBeLessThan((run?.answeredAt ?? Number.NaN) + 130_000)
})

test('what a planned failover copied last counts as the newest application-consistent point', async () => {
  const { lab, ask, protectionId } = await newProtectedLab()
  await lab.done(lab.engine.plannedFailover(ask))
  const { newestPoint, newestApplicationPoint } = await lab.stores.protections.summary(protectionId)
  expect(newestPoint?.consistency).toBe('application')
  expect(newestApplicationPoint?.id).toBe(newestPoint?.id)
})

test('a replica that dies while it is waited for is waited for no more, and can be rolled back', async () => {
  const { lab, protectionId, ask } = await newProtectedLab({ config: { answerTimeoutSeconds: 3600 } })
  const restore = lab.b.faults.hang('target.probe')
  const asked = lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true })
  await lab.clock.advance(10_000)
  const ref = (await failedOverRef(lab, protectionId)) as MachineRef
  lab.b.machine(ref).powerOff()
  restore()
  lab.b.faults.failNext('target.probe', 100)
  await lab.clock.advance(2 * minute)
  const job = await lab.job((await asked).jobId)
  expect(job.state).toBe('succeeded')
  expect(job.tasks.at(-1)?.note).toContain('The machine is off')
  expect(await lab.openAlerts()).toContain('failover/replica-off')
  await lab.done(lab.engine.rollBack(ask))
})

describe('a roll back whose target cannot be reached', () => {
  /** The copy at B runs on, and nobody reaches it; the roll back has asked. */
  async function asked() {
    const prepared = await newProtectedLab({ policy: { intervalSeconds: 60, lagTargetSeconds: 120 } })
    const { lab, ask } = prepared
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    lab.b.cutOff()
    const job = await lab.settle(lab.engine.rollBack(ask))
    const answer = async (value: string) => {
      const { question } = await lab.job(job.id)
      await lab.engine.answerJob(job.id, { by: 'olga', questionId: question?.id ?? '', value })
      await lab.clock.advance(1000)
      return await lab.settle(Promise.resolve({ jobId: job.id }))
    }
    return { ...prepared, job, answer }
  }

  test('asks, and nothing is started meanwhile', async () => {
    const { lab, job } = await asked()
    expect(job).toMatchObject({ state: 'waiting' })
    expect(job.question?.text).toContain('The copy of web at B could not be removed')
    expect(job.question?.answers.filter(({ danger }) => danger).map(({ value }) => value)).toEqual(['go-on'])
    expect(lab.machine.power).toBe('off')
  })

  test('starts the original on a person’s word, says who, and removes the copy once its site answers', async () => {
    const { lab, protectionId, answer } = await asked()
    expect((await answer('go-on')).state).toBe('succeeded')
    expect(lab.machine.power).toBe('running')
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(await lab.openAlerts()).toContain('failover/replica-left')
    const [told] = await lab.events('failover/replica-left-accepted')
    expect(told?.facts).toMatchObject({ acceptedBy: 'olga' })
    expect(runningAt(lab.b)).toHaveLength(1)
    // However long it takes, and whoever takes over.
    await lab.clock.advance(5 * minute)
    await lab.restart()
    expect(await lab.openAlerts()).toContain('failover/replica-left')
    lab.b.comeBack()
    await lab.clock.advance(15 * minute)
    expect(lab.b.machines()).toEqual([])
    expect(await lab.openAlerts()).not.toContain('failover/replica-left')
    expect(await lab.events('failover/left-replica-removed')).toHaveLength(1)
    expect(await lab.holds(protectionId)).toEqual([])
    expect(lab.machine.power).toBe('running')
  })

  test('tries again when asked to, and removes the copy before anything starts', async () => {
    const { lab, protectionId, answer } = await asked()
    lab.b.comeBack()
    expect((await answer('again')).state).toBe('succeeded')
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(lab.world.violations).toEqual([])
    expect(await lab.events('failover/replica-left-accepted')).toEqual([])
  })

  test('that is stopped stays failed over, and can be rolled back once the site answers', async () => {
    const { lab, protectionId, ask, answer } = await asked()
    expect((await answer('stop')).state).toBe('failed')
    expect((await lab.state(protectionId)).state).toBe('failedOver')
    expect(lab.machine.power).toBe('off')
    lab.b.comeBack()
    await lab.clock.advance(minute)
    await lab.done(lab.engine.rollBack(ask))
    expect(lab.world.violations).toEqual([])
  })

  test('leaves nothing in the way of the next failover, which removes the copy first', async () => {
    const { lab, protectionId, ask, answer } = await asked()
    await answer('go-on')
    const [left] = runningAt(lab.b)
    lab.b.comeBack()
    await lab.done(lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: false }))
    expect(runningAt(lab.b).map(({ ref }) => ref)).toEqual([await failedOverRef(lab, protectionId)])
    expect(runningAt(lab.b)).not.toContain(left)
    expect(await lab.openAlerts()).not.toContain('failover/replica-left')
    // What was left is known to have gone: the machine that runs now is not it.
    await lab.clock.advance(15 * minute)
    expect(runningAt(lab.b)).toHaveLength(1)
  })

  test('whose source does not start leaves the copy alone: it may be the only one that runs', async () => {
    const { lab, protectionId, ask, answer } = await asked()
    lab.a.faults.failNext('source.start', 50)
    await answer('go-on')
    expect((await lab.state(protectionId)).state).toBe('broken')
    lab.b.comeBack()
    await lab.clock.advance(30 * minute)
    expect(runningAt(lab.b)).toHaveLength(1)
    expect(await lab.openAlerts()).toContain('failover/replica-left')

    // Nor does a comparison take it away, and an end asks.
    await lab.engine.resync(ask)
    await lab.clock.advance(15 * minute)
    expect(runningAt(lab.b)).toHaveLength(1)
    const end = await lab.settle(lab.engine.endProtection({ ...ask, deleteReplica: false }))
    expect(end).toMatchObject({ state: 'waiting' })
    expect(end.question?.text).toContain('may be the only one that runs')
    expect(runningAt(lab.b)).toHaveLength(1)
  })

  test('is ended with what it has left: that goes, or a person says that it stays', async () => {
    const { lab, protectionId, ask, answer } = await asked()
    await answer('go-on')
    const end = await lab.settle(lab.engine.endProtection({ ...ask, deleteReplica: false }))
    expect(end).toMatchObject({ state: 'waiting' })
    lab.b.comeBack()
    await lab.engine.answerJob(end.id, { by: 'olga', questionId: end.question?.id ?? '', value: 'again' })
    await lab.clock.advance(minute)
    expect((await lab.job(end.id)).state).toBe('succeeded')
    expect(await lab.stores.protections.find(protectionId)).toBeNull()
    expect(lab.b.machines()).toEqual([])
  })

  test('whose job is lost after the word was given goes on where it was', async () => {
    const { lab, protectionId, job } = await asked()
    const { updateNotes } = lab.stores.protections
    const run = (await lab.activeRuns(protectionId))[0]
    await updateNotes(protectionId, { leftReplicas: run ? [run.id] : [] })
    // As a process leaves it that has died with its log.
    await lab.stores.jobs.update(job.id, { state: 'failed', question: null, endedAt: lab.clock.now() })
    await lab.clock.advance(3 * minute)
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(lab.machine.power).toBe('running')
    lab.b.comeBack()
    await lab.clock.advance(15 * minute)
    expect(lab.b.machines()).toEqual([])
  })
})

test('a commit of a machine that is not there names the machine and its site, and does not say that it runs', async () => {
  const { lab, protectionId, ask } = await newProtectedLab()
  await lab.done(lab.engine.plannedFailover(ask))
  await lab.clock.advance(minute)
  lab.b.removeMachine((await failedOverRef(lab, protectionId)) as MachineRef)
  const job = await lab.settle(lab.engine.commit(ask))
  expect(job.failure).toMatchObject({
    code: 'failover/nothing-runs',
    message: 'web does not run at B: the machine of the failover is not there',
  })
  const { state, stateNote } = await lab.state(protectionId)
  expect(state).toBe('failedOver')
  expect(stateNote).not.toMatch(/^Runs/)
})
