import { Outage } from '@understudy/base/errors'
import { describe, expect, test, vi } from 'vitest'
import {
  by,
  changeTo,
  failedOverRef,
  firstPointOf,
  latest,
  minute,
  newProtectedLab,
  runningAt,
} from '../engine-lab.ts'

describe('an unplanned failover', () => {
  test('needs nothing from a dead source site: it asks, and goes on with the operator’s word', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.a.burnDown()
    const waiting = await lab.settle(
      lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: false }),
    )
    expect(waiting.state).toBe('waiting')
    expect(waiting.question?.text).toContain('could not be proven off')
    await expect(
      lab.engine.answerJob(waiting.id, { by, questionId: 'x', value: 'go-on' }),
    ).rejects.toMatchObject({
      code: 'job/no-question',
    })
    await lab.engine.answerJob(waiting.id, { by, questionId: waiting.question?.id ?? '', value: 'go-on' })
    await lab.clock.advance(minute)
    const job = await lab.job(waiting.id)
    expect(job.state).toBe('succeeded')
    expect(job.tasks.find(({ name }) => name === 'Fence the source machine')).toMatchObject({
      state: 'warned',
      note: expect.stringContaining('Not proven off'),
    })
    expect(job.tasks.find(({ name }) => name === 'Record the decision')).toMatchObject({
      state: 'warned',
      note: expect.stringContaining(`not proven off; ${by} went on at 20`),
    })
    expect((await lab.state(protectionId)).state).toBe('failedOver')
    expect(runningAt(lab.b)).toHaveLength(1)
    expect((await lab.events('failover/unfenced-accepted'))[0]?.facts).toMatchObject({
      startedBy: by,
      acceptedBy: by,
    })
    expect(lab.world.violations).toEqual([])
  })

  test('of a target that hangs says so in the end, and a cancel does not wait for it', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.b.faults.hang('target.preflight')
    const { jobId } = await lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true })
    await lab.clock.advance(15 * minute)
    expect((await lab.job(jobId)).failure).toMatchObject({ code: 'site/no-answer' })
    const again = await lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true })
    await lab.clock.advance(1000)
    await lab.engine.cancelJob(again.jobId, { by })
    await lab.clock.advance(1000)
    expect((await lab.job(again.jobId)).state).toBe('cancelled')
    expect((await lab.state(protectionId)).state).toBe('protected')
  })

  test('asks as well where the source answers, and cannot say where its machine runs', async () => {
    const { lab, ask } = await newProtectedLab()
    const unknown = { code: 'source/power-unknown', message: 'It may run on host two', remedy: 'Test.' }
    vi.spyOn(lab.a.source, 'powerState').mockResolvedValue('unknown')
    vi.spyOn(lab.a.source, 'powerOff').mockRejectedValue(new Outage(unknown))
    const asked = { ...ask, choice: latest, acceptUnfenced: false }
    const waiting = await lab.settle(lab.engine.unplannedFailover(asked))
    expect(waiting.state).toBe('waiting')
    expect(waiting.question?.text).toContain('It may run on host two')
    expect(runningAt(lab.b)).toEqual([])
  })

  test('within two minutes of the click with a site that swallows every call, when accepted beforehand', async () => {
    const { lab, ask } = await newProtectedLab()
    for (const call of ['source.powerState', 'source.powerOff', 'source.inventory', 'source.openPoint'])
      lab.a.faults.hang(call)
    const clicked = lab.clock.now()
    await lab.done(lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true }))
    expect(lab.clock.now() - clicked).toBeLessThan(2 * minute)
  })

  test('can be weighed and done although the machine was deleted at its source', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.a.removeMachine(lab.machine.ref)
    await lab.engine.refreshSite(lab.siteA.id)
    const blockers = (await lab.engine.preflightFailover({ protectionId, mode: 'failover' })).filter(
      ({ level }) => level === 'blocker',
    )
    expect(blockers).toEqual([])
    await lab.done(lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true }))
    expect(runningAt(lab.b)).toHaveLength(1)
  })

  test('a source that can be reached is fenced without a question', async () => {
    const { lab, ask } = await newProtectedLab()
    const job = await lab.done(
      lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: false }),
    )
    expect(job.tasks.find(({ name }) => name.startsWith('Fence'))?.note).toContain('powered off')
    expect(lab.machine.power).toBe('off')
    expect(lab.world.violations).toEqual([])
  })

  test('stopped at the question, everything is as before', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.a.cutOff()
    const waiting = await lab.settle(
      lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: false }),
    )
    await lab.engine.answerJob(waiting.id, { by, questionId: waiting.question?.id ?? '', value: 'stop' })
    await lab.clock.advance(10_000)
    expect(await lab.job(waiting.id)).toMatchObject({
      state: 'failed',
      failure: { code: 'failover/not-fenced' },
    })
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(lab.b.machines()).toEqual([])
    expect(await lab.holds(protectionId)).toEqual([])
  })

  test('a mover that comes back from the dead site cannot write any more', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const { replicaId, epoch } = await lab.state(protectionId)
    const zombie = await lab.b.replicas.openReplica(replicaId, epoch)
    lab.a.burnDown()
    await lab.done(lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true }))
    const newest = zombie.points().at(-1)
    await expect(zombie.beginPoint(newest?.id ?? null, newest?.disks ?? [])).rejects.toMatchObject({
      code: 'replica/newer-writer',
    })
  })

  test('change point boots another one in its place; commit makes it stay', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: false }))
    const [first] = await lab.engine.recoveryPoints(protectionId)
    if (!first) throw new Error('there is a point')
    const former = await failedOverRef(lab, protectionId)
    await lab.done(lab.engine.changePoint({ ...ask, choice: { kind: 'point', id: first.id } }))
    const ref = await failedOverRef(lab, protectionId)
    expect(ref).not.toBe(former)
    expect(runningAt(lab.b).map((machine) => machine.ref)).toEqual([ref])
    await lab.done(lab.engine.commit(ask))
    expect((await lab.state(protectionId)).state).toBe('committed')
    expect(lab.b.machines()[0]?.adopted).toBe(true)
    expect(lab.b.machines()[0]?.name).toBe('web')
    expect(lab.world.violations).toEqual([])
  })

  test.each(['planned', 'unplanned'])(
    'change point is refused while the first machine still runs when the source came back by itself: %s',
    async (kind) => {
      const { lab, protectionId, ask } = await newProtectedLab()
      const [first] = await lab.engine.recoveryPoints(protectionId)
      if (!first) throw new Error('there is a point')
      // Off already: nobody of ours had to switch it off.
      if (kind === 'unplanned') lab.machine.powerOff()
      await lab.done(
        kind === 'planned'
          ? lab.engine.plannedFailover(ask)
          : lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: false }),
      )
      const ref = await failedOverRef(lab, protectionId)
      await lab.machine.start()
      const refused = await lab.settle(changeTo(lab, ask, first.id))
      expect(refused).toMatchObject({ state: 'failed', failure: { code: 'failover/source-runs' } })
      expect(refused.tasks[0]).toMatchObject({ name: 'Check the recovery point', state: 'failed' })
      expect(runningAt(lab.b).map((machine) => machine.ref)).toEqual([ref])
      expect((await lab.state(protectionId)).state).toBe('failedOver')
    },
  )

  test('a source that comes back while the point is being changed leaves the first machine where it is', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const first = await firstPointOf(lab, ask)
    await lab.done(lab.engine.plannedFailover(ask))
    const ref = await failedOverRef(lab, protectionId)
    const { claimState } = lab.stores.protections
    vi.spyOn(lab.stores.protections, 'claimState').mockImplementationOnce(async (...claim) => {
      await lab.machine.start()
      return await claimState(...claim)
    })
    const refused = await lab.settle(changeTo(lab, ask, first))
    expect(refused.failure?.code).toBe('failover/source-runs')
    expect(runningAt(lab.b).map((machine) => machine.ref)).toEqual([ref])
    const { state, stateNote } = await lab.state(protectionId)
    expect(state).toBe('failedOver')
    expect(stateNote).toMatch(/^Runs at the target site/)
    lab.machine.powerOff()
    await lab.done(changeTo(lab, ask, first))
  })

  test('change point goes on beside a source that a person took the responsibility for', async () => {
    const { lab, ask } = await newProtectedLab()
    const first = await firstPointOf(lab, ask)
    // It can be seen, and cannot be switched off.
    lab.a.faults.failNext('source.powerOff', 3)
    await lab.done(lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true }))
    expect(lab.machine.power).toBe('running')
    await lab.done(changeTo(lab, ask, first))
  })

  test('rolled back after it was fenced by us, the source runs again', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: false }))
    await lab.done(lab.engine.rollBack(ask))
    await lab.clock.advance(minute)
    expect(lab.machine.power).toBe('running')
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(lab.world.violations).toEqual([])
  })
})
