import type { JobId } from '@understudy/domain/jobs/job'
import { describe, expect, test, vi } from 'vitest'
import {
  by,
  changeTo,
  commit,
  failedOverRef,
  firstPointOf,
  type Lab,
  latest,
  minute,
  newProtectedLab,
  rollBack,
  runningAt,
  until,
} from '../engine-lab.ts'
import type { JobStarted } from '../requests.ts'

describe('two who act at the same moment', () => {
  test('one is refused, and the other finds the protection as it was', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    const ends = await Promise.allSettled([lab.engine.commit(ask), lab.engine.rollBack(ask)])
    const refused = ends.filter((end) => end.status === 'rejected')
    expect(refused.map(({ reason }) => reason.code)).toEqual(['job/another-works'])
    await lab.clock.advance(minute)
    expect(['committed', 'protected']).toContain((await lab.state(protectionId)).state)
    expect(lab.world.violations).toEqual([])
  })

  test('a commit that cannot hand over leaves the choice, and is not retried into a roll back', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    lab.b.faults.failNext('target.adopt', 3)
    const failed = await lab.settle(lab.engine.commit(ask))
    expect(failed.state).toBe('failed')
    expect((await lab.state(protectionId)).state).toBe('failedOver')
    const rollingBack = lab.engine.rollBack(ask)
    await rollingBack
    await expect(lab.engine.retryJob(failed.id, { by })).rejects.toMatchObject({
      code: 'protection/not-allowed',
    })
    await lab.done(rollingBack)
    await expect(lab.engine.retryJob(failed.id, { by })).rejects.toMatchObject({
      code: 'protection/not-allowed',
    })
    await lab.clock.advance(minute)
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(lab.machine.power).toBe('running')
  })

  test('the machine that a commit is handing over cannot be taken away meanwhile', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    const release = lab.b.faults.hang('target.adopt')
    const committing = lab.engine.commit(ask)
    await committing
    await until(lab, () => (lab.b.faults.calls.get('target.adopt') ?? 0) > 0)
    expect((await lab.state(protectionId)).state).toBe('committing')
    release()
    await lab.done(committing)
    expect((await lab.state(protectionId)).state).toBe('committed')
  })

  test('a retry that was asked for twice runs the job once more, and not again after that', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.b.faults.failNext('target.boot', 6)
    const failed = await lab.settle(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    await Promise.all([1, 2].map(() => lab.engine.retryJob(failed.id, { by })))
    await until(lab, () => (lab.b.faults.calls.get('target.boot') ?? 0) === 6)
    await lab.clock.advance(10 * minute)
    expect(await lab.job(failed.id)).toMatchObject({ state: 'failed' })
    expect(lab.machine.power).toBe('running')
    expect(runningAt(lab.b)).toEqual([])
    await lab.engine.retryJob(failed.id, { by })
    await lab.clock.advance(2 * minute)
    expect((await lab.state(protectionId)).state).toBe('failedOver')
  })

  test('an answer that was given twice is not the answer to the next attempt', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.a.cutOff()
    lab.b.faults.failNext('target.boot', 3)
    const started = lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: false })
    const waiting = await lab.settle(started)
    const answer = { by, questionId: waiting.question?.id ?? '', value: 'go-on' }
    const given = await Promise.allSettled([1, 2].map(() => lab.engine.answerJob(waiting.id, answer)))
    expect(given.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    await until(lab, () => (lab.b.faults.calls.get('target.boot') ?? 0) === 3)
    for (let turn = 0; turn < 100 && (await lab.job(waiting.id)).state !== 'failed'; turn += 1)
      await lab.clock.advance(1000)
    await lab.engine.retryJob(waiting.id, { by })
    await lab.clock.advance(2 * minute)
    expect(await lab.job(waiting.id)).toMatchObject({ state: 'waiting' })
    expect(runningAt(lab.b)).toEqual([])
    expect((await lab.state(protectionId)).state).toBe('failingOver')
  })
})

describe('two operators at once', () => {
  /** Both are accepted before either job has begun, as if nothing kept them apart; both are over at the end. */
  async function both(lab: Lab, one: () => Promise<JobStarted>, other: () => Promise<JobStarted>) {
    const started = await Promise.all([one(), other()])
    const first = await lab.settle(Promise.resolve(started[0]))
    const second = await lab.settle(Promise.resolve(started[1]))
    await lab.clock.advance(minute)
    return [first, second] as const
  }
  const liveCopies = (lab: Lab) => [...runningAt(lab.a), ...runningAt(lab.b)].map(({ ref }) => ref)

  test.each([
    ['a change of the point', 'a roll back', changeTo, rollBack],
    ['a roll back', 'a change of the point', rollBack, changeTo],
    ['a commit', 'a roll back', commit, rollBack],
    ['a roll back', 'a commit', rollBack, commit],
    ['a commit', 'a change of the point', commit, changeTo],
    ['a roll back', 'a roll back', rollBack, rollBack],
    ['a change of the point', 'a change of the point', changeTo, changeTo],
  ])(
    '%s and %s: one of them happens, whole, and the other one changes nothing',
    async (_, __, one, other) => {
      const { lab, protectionId, ask } = await newProtectedLab({ jobsMeet: true })
      await lab.done(lab.engine.plannedFailover(ask))
      await lab.clock.advance(minute)
      const first = await firstPointOf(lab, ask)
      const jobs = await both(
        lab,
        () => one(lab, ask, first),
        () => other(lab, ask, first),
      )
      expect(jobs.map(({ state }) => state).toSorted()).toEqual(['failed', 'succeeded'])
      const done = jobs.find(({ state }) => state === 'succeeded')?.kind
      const { state } = await lab.state(protectionId)
      expect(state).toBe(done === 'roll-back' ? 'protected' : done === 'commit' ? 'committed' : 'failedOver')
      expect(liveCopies(lab)).toHaveLength(1)
      expect(lab.world.violations).toEqual([])
    },
  )

  test('who was not quick enough with a change of the point leaves the other one’s new machine alone', async () => {
    const { lab, protectionId, ask } = await newProtectedLab({ jobsMeet: true })
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    const first = await firstPointOf(lab, ask)
    const { protections } = lab.stores
    const { claimState } = protections
    const { boot } = lab.b.target
    let open = (): void => {}
    const booted = new Promise<void>((resolve) => (open = resolve))
    vi.spyOn(protections, 'claimState')
      .mockImplementationOnce(claimState)
      .mockImplementationOnce(async (...claim) => {
        await booted
        return await claimState(...claim)
      })
    vi.spyOn(lab.b.target, 'boot').mockImplementationOnce(async (...spec) => {
      const replica = await boot(...spec)
      open()
      await lab.clock.sleep(3000)
      return replica
    })
    const start = () => changeTo(lab, ask, first)
    const jobs = await both(lab, start, start)
    expect(jobs.map(({ state }) => state)).toEqual(['succeeded', 'failed'])
    expect(liveCopies(lab)).toEqual([await failedOverRef(lab, protectionId)])
    expect((await lab.state(protectionId)).state).toBe('failedOver')
  })

  test('two tests of one machine are never up at a time', async () => {
    const { lab, protectionId, ask } = await newProtectedLab({ jobsMeet: true })
    const start = () => lab.engine.testFailover({ ...ask, choice: latest })
    const jobs = await both(lab, start, start)
    expect(jobs.some(({ failure }) => failure?.code === 'failover/test-is-up')).toBe(true)
    const active = await lab.activeRuns(protectionId)
    expect(active.length).toBeLessThan(2)
    expect(lab.b.machines()).toHaveLength(active.length)
    if (active.length === 0) await lab.done(start())
    await lab.done(lab.engine.cleanUpTest(ask))
    expect(await lab.holds(protectionId)).toEqual([])
    expect(lab.b.machines()).toEqual([])
  })

  test('a roll back that comes while a commit tidies up comes too late: there are not two of the machine', async () => {
    const { lab, protectionId, ask } = await newProtectedLab({ jobsMeet: true })
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    const { protections, runs } = lab.stores
    const { claimState } = protections
    const { endClaimed } = runs
    let open = (): void => {}
    const tidyingUp = new Promise<void>((resolve) => (open = resolve))
    vi.spyOn(protections, 'claimState').mockImplementation(async (...claim) => {
      if (claim[2] === 'rollingBack') await tidyingUp
      return await claimState(...claim)
    })
    vi.spyOn(runs, 'endClaimed').mockImplementation(async (...end) => {
      const ended = await endClaimed(...end)
      open()
      await lab.clock.sleep(1000)
      return ended
    })
    const jobs = await both(
      lab,
      () => rollBack(lab, ask),
      () => commit(lab, ask),
    )
    expect(jobs.map(({ state }) => state)).toEqual(['failed', 'succeeded'])
    expect((await lab.state(protectionId)).state).toBe('committed')
    expect(lab.world.violations).toEqual([])
    expect(liveCopies(lab)).toHaveLength(1)
  })

  test('the one who lost and tries again does not take over what the winner is doing', async () => {
    const { lab, protectionId, ask } = await newProtectedLab({ jobsMeet: true })
    const started = await Promise.all([lab.engine.plannedFailover(ask), lab.engine.plannedFailover(ask)])
    let loser: JobId | undefined
    for (let turn = 0; turn < 20 && loser === undefined; turn += 1) {
      await lab.clock.advance(100)
      const jobs = await Promise.all(started.map(({ jobId }) => lab.job(jobId)))
      loser = jobs.find(({ state }) => state === 'failed')?.id
    }
    if (loser === undefined) throw new Error('one of them lost at once')
    expect((await lab.state(protectionId)).state).toBe('failingOver')
    await expect(lab.engine.retryJob(loser, { by })).rejects.toMatchObject({
      code: 'protection/not-allowed',
    })
    await lab.clock.advance(2 * minute)
    expect((await lab.job(loser)).failure?.code).toBe('protection/state-changed')
    expect(lab.b.machines()).toHaveLength(1)
    expect(liveCopies(lab)).toHaveLength(1)
    expect(lab.world.violations).toEqual([])
  })
})
