import type { AlertId } from '@understudy/domain/events/event'
import type { JobId } from '@understudy/domain/jobs/job'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { readAll } from '@understudy/simulator/memory-disk'
import { describe, expect, test, vi } from 'vitest'
import {
  type Ask,
  by,
  contentOf,
  failedOverRef,
  type Lab,
  latest,
  minute,
  newLab,
  newProtectedLab,
  recordsOf,
} from '../engine-lab.ts'

describe('a planned failover', () => {
  test('loses nothing: the replica boots exactly what the source held when it was off', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    expect(lab.machine.power).toBe('off')
    const ref = await failedOverRef(lab, protectionId)
    const run = (await lab.activeRuns(protectionId))[0]
    const replica = await lab.b.replicas.openReplica((await lab.state(protectionId)).replicaId, null)
    if (!run) throw new Error('a replica runs')
    const opened = await replica.openPoint(run.pointId)
    const sealed = Buffer.concat(await Promise.all(opened.disks.map(({ reader }) => readAll(reader))))
    expect(sealed.equals(await contentOf(lab.a, lab.machine.ref))).toBe(true)
    expect(await recordsOf(lab.b, ref)).toBeGreaterThanOrEqual(await recordsOf(lab.a, lab.machine.ref))
    expect((await lab.state(protectionId)).state).toBe('failedOver')
    expect(lab.world.violations).toEqual([])
  })

  test.each([
    { power: 'a running machine', found: 'on', consistency: 'application' },
    { power: 'a machine that was found off', found: 'off', consistency: 'crash' },
  ] as const)('the final point of $power is $consistency-consistent', async ({ found, consistency }) => {
    const { lab, protectionId, ask } = await newProtectedLab()
    if (found === 'off') lab.machine.powerOff()
    await lab.done(lab.engine.plannedFailover(ask))
    const run = (await lab.activeRuns(protectionId))[0]
    const point = (await lab.engine.recoveryPoints(protectionId)).find(({ id }) => id === run?.pointId)
    expect(point?.consistency).toBe(consistency)
  })

  test('a machine that does not shut down stops it, and everything is as before', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.machine.ignoresShutDown = true
    const job = await lab.settle(lab.engine.plannedFailover({ ...ask, shutDownTimeoutSeconds: 60 }))
    expect(job).toMatchObject({ state: 'failed', failure: { code: 'machine/still-on' } })
    await lab.clock.advance(minute)
    expect(await lab.state(protectionId)).toMatchObject({ state: 'protected', stateNote: null })
    expect(lab.machine.power).toBe('running')
    expect(lab.b.machines()).toEqual([])
    expect(await lab.holds(protectionId)).toEqual([])
    expect(await lab.openAlerts()).toEqual(['failover/put-back'])
  })

  test('what was put back is told with its cause, each time anew, until a test or a failover succeeds', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.machine.ignoresShutDown = true
    const failing = async () => {
      await lab.settle(lab.engine.plannedFailover({ ...ask, shutDownTimeoutSeconds: 60 }))
      await lab.clock.advance(minute)
      return await lab.stores.alerts.findOpen('failover/put-back', protectionId)
    }
    const first = await failing()
    expect(first?.message).toMatch(/^The failover of web was put back: web has not shut down/)
    expect(first?.remedy).toContain('the next failover or test of web that succeeds')
    await lab.stores.alerts.acknowledge(first?.id ?? ('' as AlertId), 'olga')
    expect(await failing()).toMatchObject({ acknowledgedBy: null })
    expect(await lab.events('failover/put-back')).toHaveLength(2)
    await lab.done(lab.engine.testFailover({ ...ask, choice: latest }))
    expect(await lab.openAlerts()).toEqual([])
    await lab.done(lab.engine.cleanUpTest(ask))
    await failing()
    lab.machine.ignoresShutDown = false
    await lab.done(lab.engine.plannedFailover(ask))
    expect(await lab.openAlerts()).not.toContain('failover/put-back')
  })

  test('a guest that shuts down only after the failover was given up is started again', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.machine.ignoresShutDown = true
    await lab.settle(lab.engine.plannedFailover({ ...ask, shutDownTimeoutSeconds: 60 }))
    await lab.clock.advance(3 * minute)
    lab.machine.powerOff()
    await lab.clock.advance(2 * minute)
    expect(lab.machine.power).toBe('running')
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(await lab.events('failover/source-started-late')).toHaveLength(1)
    // Once: whoever switches it off now has his reasons.
    lab.machine.powerOff()
    await lab.clock.advance(5 * minute)
    expect(lab.machine.power).toBe('off')
  })

  test('a guest that is switched off hours after a failover was given up stays off', async () => {
    const { lab, ask } = await newProtectedLab()
    lab.machine.ignoresShutDown = true
    await lab.settle(lab.engine.plannedFailover({ ...ask, shutDownTimeoutSeconds: 60 }))
    await lab.clock.advance(70 * minute)
    lab.machine.powerOff()
    await lab.clock.advance(5 * minute)
    expect(lab.machine.power).toBe('off')
    // More than an hour of everything that comes again every few seconds.
  }, 240_000)

  test('a boot that fails starts the source again and leaves nothing at the target', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.b.faults.failNext('target.boot', 10)
    const job = await lab.settle(lab.engine.plannedFailover(ask))
    expect(job.state).toBe('failed')
    await lab.clock.advance(minute)
    expect(lab.machine.power).toBe('running')
    expect(lab.b.machines()).toEqual([])
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(lab.world.violations).toEqual([])
    expect(await lab.holds(protectionId)).toEqual([])
  })

  test('where a machine is made is kept before anybody knows whether it was', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    for (let times = 0; times < 10; times += 1) lab.b.faults.loseAnswer('target.boot')
    const destroyed = vi.spyOn(lab.b.target, 'destroy')
    expect((await lab.settle(lab.engine.plannedFailover(ask))).state).toBe('failed')
    const [run] = await lab.stores.runs.history(protectionId, 1)
    expect(run).toMatchObject({ machineRef: null, place: 'the site' })
    expect(lab.b.machines()).toEqual([])
    expect(destroyed).toHaveBeenCalledWith(run?.id, { kind: 'at', place: 'the site' })
  })

  test('a cancel before the boot puts everything back; the job says that it was cancelled', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.machine.ignoresShutDown = true
    const { jobId } = await lab.engine.plannedFailover(ask)
    await lab.clock.advance(10_000)
    await lab.engine.cancelJob(jobId, { by })
    await lab.clock.advance(minute)
    expect((await lab.job(jobId)).state).toBe('cancelled')
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(lab.machine.power).toBe('running')
  })

  test('rolled back, the source runs again and replication goes on from there', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.rollBack(ask))
    expect(lab.machine.power).toBe('running')
    expect(lab.b.machines()).toEqual([])
    await lab.clock.advance(minute)
    expect((await lab.state(protectionId)).state).toBe('protected')
    const points = await lab.engine.recoveryPoints(protectionId)
    expect(lab.clock.now() - (points.at(-1)?.instant ?? 0)).toBeLessThan(6000)
    expect(await lab.holds(protectionId)).toEqual([])
    expect(lab.world.violations).toEqual([])
  })
})

describe('recovery time', () => {
  test('counts from the click, and tells the operator’s time to answer apart: the forecast leaves it out', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.a.burnDown()
    const asking = lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: false })
    const { id, question, createdAt } = await lab.settle(asking)
    await lab.clock.advance(5 * minute)
    await lab.engine.answerJob(id, { by, questionId: question?.id ?? '', value: 'go-on' })
    await lab.clock.advance(minute)
    const [run] = await lab.activeRuns(protectionId)
    expect(run?.startedAt).toBe(createdAt)
    const waited = run?.waitedSeconds ?? 0
    expect(waited).toBeGreaterThanOrEqual(300)
    expect(waited).toBeLessThan(305)
    const { lastRecoverySeconds } = await lab.stores.protections.summary(protectionId)
    expect(lastRecoverySeconds).toBe(Math.round(((run?.answeredAt ?? 0) - createdAt) / 1000 - waited))
    const note = (await lab.job(id)).tasks.find(({ name }) => name === 'Wait for the guest to answer')?.note
    expect(note).toContain(`after the click, ${waited} s of them waiting for a person: `)
  })

  test('tells the wait for the wish to try again apart as well', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.b.faults.failNext('target.boot', 3)
    const { id, createdAt, endedAt, state } = await lab.settle(lab.engine.plannedFailover(ask))
    expect(state).toBe('failed')
    await lab.clock.advance(5 * minute)
    await lab.engine.retryJob(id, { by })
    const pressedAt = lab.clock.now()
    await lab.clock.advance(2 * minute)
    const [run] = await lab.activeRuns(protectionId)
    expect(run?.waitedSeconds).toBe((pressedAt - (endedAt ?? 0)) / 1000)
    const { lastRecoverySeconds } = await lab.stores.protections.summary(protectionId)
    const seconds = ((run?.answeredAt ?? 0) - createdAt) / 1000
    expect(lastRecoverySeconds).toBe(Math.round(seconds - (run?.waitedSeconds ?? 0)))
  })

  test('tells the wait apart also when a wish to try again was refused in between', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.b.faults.failNext('target.boot', 3)
    const failed = await lab.settle(lab.engine.plannedFailover(ask))
    await lab.clock.advance(5 * minute)
    const other = { ...failed, id: 'another' as JobId, state: 'running' } as const
    await lab.engine.retryJob(failed.id, { by })
    await lab.stores.jobs.create(other)
    await lab.clock.advance(1000)
    expect(await lab.job(failed.id)).toMatchObject({
      state: 'failed',
      failure: { code: 'job/another-works' },
    })
    await lab.stores.jobs.update(other.id, { state: 'cancelled' })
    await lab.clock.advance(5 * minute)
    await lab.engine.retryJob(failed.id, { by })
    const pressedAt = lab.clock.now()
    await lab.clock.advance(2 * minute)
    const [run] = await lab.activeRuns(protectionId)
    expect(run?.waitedSeconds).toBe((pressedAt - (failed.endedAt ?? 0)) / 1000)
  })

  test.each([
    ['a test', (lab: Lab, ask: Ask) => lab.engine.testFailover({ ...ask, choice: latest })],
    ['a planned failover', (lab: Lab, ask: Ask) => lab.engine.plannedFailover(ask)],
  ])('of %s includes what lay before the boot', async (_, start) => {
    const { lab, protectionId, ask } = await newProtectedLab()
    // The second attempt at the check comes two seconds later.
    lab.b.faults.failNext('target.preflight')
    const job = await lab.done(start(lab, ask))
    const [run] = await lab.activeRuns(protectionId)
    expect(run?.startedAt).toBe(job.createdAt)
    const seconds = (await lab.stores.protections.summary(protectionId)).lastRecoverySeconds
    expect(seconds).toBeGreaterThanOrEqual(2)
    expect(job.tasks.at(-1)?.note).toContain(`answered ${seconds} s after the click: `)
  })

  test('a clock that is set back neither lengthens the wait for an answer nor makes it negative', async () => {
    const { lab, protectionId, ask } = await newProtectedLab({ machine: { writeEveryMilliseconds: 0 } })
    const start = lab.clock.now()
    const started = await lab.engine.testFailover({ ...ask, choice: latest })
    await lab.clock.advance(3000)
    lab.setClockBack(60 * minute)
    await lab.clock.advance(minute)
    expect((await lab.job(started.jobId)).state).toBe('succeeded')
    expect(lab.clock.now() - start).toBeLessThan(2 * minute)
    expect((await lab.activeRuns(protectionId))[0]).toMatchObject({ answeredAt: null })
  })

  test('leaves a picture of the screen behind, of a planned failover as of a test', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    const [run] = await lab.activeRuns(protectionId)
    expect(run && (await lab.stores.runs.screenshot(run.id))).not.toBeNull()
  })

  test('a target that cannot be asked for a moment makes no failed job of a failover that is done', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.b.faults.failNext('target.probe', 12)
    await lab.done(lab.engine.plannedFailover(ask))
    expect((await lab.activeRuns(protectionId))[0]?.answeredAt).not.toBeNull()
  })
})

describe('names', () => {
  test('a machine of the same name at the target stops neither protection nor failover, and is not touched', async () => {
    const lab = await newLab()
    const foreign = await lab.b.addMachine({ name: 'web' })
    await lab.engine.refreshSite(lab.siteB.id)
    const request = { machineId: lab.row.id, targetSiteId: lab.siteB.id, adapters: [] }
    const [finding] = await lab.engine.preflight(request)
    expect(finding).toMatchObject({ level: 'warning', code: 'machine/name-taken' })
    expect(finding?.message).toContain('web-2')
    const { protectionId } = await lab.protect()
    await lab.clock.advance(minute)
    await lab.done(lab.engine.plannedFailover({ by, protectionId }))
    expect(lab.b.machine((await failedOverRef(lab, protectionId)) as MachineRef).name).toBe('web-2')
    await lab.done(lab.engine.rollBack({ by, protectionId }))
    expect(lab.b.machines().map(({ ref, power }) => [ref, power])).toEqual([[foreign.ref, 'running']])
  })

  test('a machine of that name that comes between the check and the boot is no obstacle either', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const started = await lab.engine.plannedFailover(ask)
    await lab.clock.advance(1000)
    expect(lab.b.machines()).toEqual([])
    await lab.b.addMachine({ name: 'web' })
    await lab.done(Promise.resolve(started))
    expect(lab.b.machine((await failedOverRef(lab, protectionId)) as MachineRef).name).toBe('web-2')
  })

  test('two machines of one name that are protected to one site are told of each other', async () => {
    const lab = await newLab()
    await lab.protect()
    const twin = await lab.world.addSite('C').addMachine({ name: 'web' })
    const nothing = { platform: 'simulated' as const, settings: {}, secrets: {} }
    const siteC = await lab.engine.registerSite({ ...nothing, name: 'C' }, { by })
    const row = await lab.stores.machines.findByRef(siteC.id, twin.ref)
    if (!row) throw new Error('the inventory has the twin')
    const adapters = [{ adapterKey: 'net0', failoverNetworkId: 'lan', testNetworkId: null }]
    const request = { targetSiteId: lab.siteB.id, adapters }
    const codes = async (machineId: typeof row.id) =>
      (await lab.engine.preflight({ ...request, machineId })).map(({ code }) => code)
    expect(await codes(row.id)).toEqual(['machine/name-shared'])
    expect(await codes(lab.row.id)).toEqual([])
  })

  test('a replica that would be connected to nothing is told of before it is made, and before it boots', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const request = { machineId: lab.row.id, targetSiteId: lab.siteB.id, adapters: [] }
    const warning = expect.objectContaining({ level: 'warning', code: 'failover/no-network' })
    expect(await lab.engine.preflight(request)).toContainEqual(warning)
    expect(await lab.engine.preflightFailover({ protectionId, mode: 'failover' })).toEqual([])
    await lab.engine.editProtection({ ...ask, adapters: [] })
    for (const mode of ['failover', 'test'] as const)
      expect(await lab.engine.preflightFailover({ protectionId, mode })).toContainEqual(warning)
  })
})

test('a clock that was set back loses nothing of a planned failover: the final point is not told by its time', async () => {
  const { lab, protectionId, ask } = await newProtectedLab()
  const { source } = lab.a.platform
  if (!source) throw new Error('site A is a source')
  const shutDown = source.shutDown.bind(source)
  source.shutDown = async (ref, options) => {
    const proof = await shutDown(ref, options)
    return { ...proof, at: proof.at - 10 * minute }
  }
  await lab.done(lab.engine.plannedFailover(ask))
  const [run] = await lab.activeRuns(protectionId)
  if (!run) throw new Error('a run is active')
  const replica = await lab.b.replicas.openReplica(run.replicaId, null)
  const { disks } = await replica.openPoint(run.pointId)
  const sealed = Buffer.concat(await Promise.all(disks.map(({ reader }) => readAll(reader))))
  const original = Buffer.concat(await Promise.all(lab.machine.readDisks().map(readAll)))
  expect(sealed.equals(original)).toBe(true)
})

test('a last point without a disk that the newest one has is not made, and the source goes on', async () => {
  const { lab, ask, protectionId } = await newProtectedLab()
  const { openStoppedDisks } = lab.a.source
  Object.assign(lab.a.source, {
    openStoppedDisks: async (...request: Parameters<typeof openStoppedDisks>) => {
      const stopped = await openStoppedDisks(...request)
      return { ...stopped, disks: stopped.disks.slice(0, 1) }
    },
  })
  const job = await lab.settle(lab.engine.plannedFailover(ask))
  expect(job).toMatchObject({ state: 'failed', failure: { code: 'failover/disk-missing' } })
  await lab.clock.advance(minute)
  expect((await lab.stores.protections.find(protectionId))?.state).toBe('protected')
  expect(lab.a.named('web')?.power).toBe('running')
})

describe('a target whose boots take long', () => {
  /** Says what it is at, and stands there until it is let go. */
  async function slowBoot(isWhole: boolean) {
    const prepared = await newProtectedLab({ config: { inventoryEverySeconds: 3600 } })
    const { lab } = prepared
    let goOn = (): void => {}
    const wait = new Promise<void>((resolve) => (goOn = resolve))
    const { boot } = lab.b.target
    vi.spyOn(lab.b.target, 'boot').mockImplementationOnce(async (spec, signal) => {
      spec.onProgress?.({ doing: 'Copying disk 1 of 2', bytes: { doneBytes: 4, totalBytes: 10 } })
      await wait
      return { ...(await boot(spec, signal)), ...(isWhole ? { isWhole } : {}) }
    })
    lab.b.faults.hang('target.hydrate')
    return { ...prepared, goOn }
  }

  test('shows what the boot is at in its task, and how far that is', async () => {
    const { lab, ask, goOn } = await slowBoot(true)
    const started = lab.engine.plannedFailover(ask)
    await started
    const boot = async () =>
      (await lab.job((await started).jobId)).tasks.find(({ name }) => name === 'Boot the replica')
    for (let turn = 0; turn < 200 && (await boot())?.note !== 'Copying disk 1 of 2'; turn += 1)
      await lab.clock.advance(100)
    expect(await boot()).toMatchObject({
      state: 'running',
      note: 'Copying disk 1 of 2',
      progress: { doneBytes: 4, totalBytes: 10 },
    })
    goOn()
    await lab.done(started)
  })

  test.each([
    [true, 1],
    [false, 0],
  ])('whole before they start (%s): %i of the disks needs nothing of us any more', async (isWhole, share) => {
    const { lab, ask, protectionId, goOn } = await slowBoot(isWhole)
    goOn()
    await lab.done(lab.engine.plannedFailover(ask))
    expect((await lab.activeRuns(protectionId))[0]?.hydrated).toBe(share)
  })
})

test('the inventory of the target has a machine soon after its failover, and has it no more after its roll back', async () => {
  const lab = await newLab({ config: { inventoryEverySeconds: 3600 } })
  // As Azure: it tells nobody, and its inventory is read when its turn comes.
  vi.spyOn(lab.b.source, 'watch').mockImplementation(() => {})
  await lab.restart()
  const { protectionId } = await lab.protect()
  const ask = { by: 'olga', protectionId }
  await lab.clock.advance(minute)
  const known = async () =>
    (await lab.stores.machines.list(lab.siteB.id)).filter(({ present }) => present).map(({ name }) => name)
  expect(await known()).toEqual([])
  await lab.done(lab.engine.plannedFailover(ask))
  await lab.clock.advance(5000)
  expect(await known()).toEqual(['web'])
  await lab.done(lab.engine.rollBack(ask))
  await lab.clock.advance(5000)
  expect(await known()).toEqual([])
})
