import { GiB } from '@understudy/base/bytes'
import { Outage, Refusal } from '@understudy/base/errors'
import type { AlertId } from '@understudy/domain/events/event'
import type { JobId } from '@understudy/domain/jobs/job'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { defaultPolicySettings, type PolicySettings } from '@understudy/domain/protection/policy'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import { type FakeSite, fakeWorld, type NewFakeMachine } from '@understudy/simulator/fake-platform'
import { faultInjection } from '@understudy/simulator/faults'
import { readAll } from '@understudy/simulator/memory-disk'
import { durableLog, memoryDurable } from '@understudy/simulator/memory-durable'
import { memoryLive } from '@understudy/simulator/memory-live'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { checkGuest } from '@understudy/simulator/synthetic-guest'
import { type VirtualClock, virtualClock } from '@understudy/simulator/virtual-clock'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createEngine, type Engine } from './engine.ts'
import { defaultEngineConfig, type EngineConfig } from './engine-parts.ts'
import type { SitePlatform } from './ports/platforms.ts'
import type { Replica } from './ports/replica-store.ts'
import type { JobStarted } from './requests.ts'

const by = 'olga'
const minute = 60_000
const latest = { kind: 'latest' } as const
const engines: Engine[] = []

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.stop()
})

type Wanted = {
  readonly policy?: Partial<PolicySettings>
  readonly config?: Partial<EngineConfig>
  readonly machine?: Partial<NewFakeMachine>
  /** Without the rule that one job at a time works on a protection. */
  readonly jobsMeet?: boolean
}

/** Two sites, one machine, one engine; `protectedMachine` is a minute into its protection. */
async function newLab(wanted: Wanted = {}) {
  const clock = virtualClock()
  const world = fakeWorld(clock)
  const a = world.addSite('A')
  const b = world.addSite('B')
  const stores = memoryStores({ jobsMeet: wanted.jobsMeet ?? false })
  // What the engine sees of the stores goes through these faults; the test looks past them.
  const { faults: database, inject } = faultInjection(seededRandom(1))
  const faultyStores = {
    ...stores,
    jobs: inject('jobs', stores.jobs),
    protections: inject('protections', stores.protections),
    runs: inject('runs', stores.runs),
  }
  const log = durableLog()
  let ids = 0
  const newId = (): string => {
    ids += 1
    return `id-${ids}`
  }
  // What the process sees: time goes on, only the figures are wrong.
  let behindMilliseconds = 0
  const engineClock = { now: () => clock.now() - behindMilliseconds }
  const newEngine = () => {
    const durable = memoryDurable({ log, clock })
    const engine = createEngine({
      stores: faultyStores,
      durable,
      platforms: {
        of: async ({ name }) => withSlowShutDown(world.site(name).platform, clock),
        preview: async ({ name }) => world.site(name).platform,
        forget: async () => {},
      },
      live: memoryLive(),
      clock: engineClock,
      sleep: clock.sleep,
      newId,
      config: { ...defaultEngineConfig, moverId: 'mover', answerTimeoutSeconds: 30, ...wanted.config },
      log: () => {},
    })
    engines.push(engine)
    return { engine, durable }
  }
  let { engine, durable } = newEngine()
  await engine.start()
  const machine = await a.addMachine({
    name: 'web',
    disks: [2 ** 20, 2 ** 19],
    writeEveryMilliseconds: 500,
    ...wanted.machine,
  })
  const nothing = { platform: 'simulated' as const, settings: {}, secrets: {} }
  const siteA = await engine.registerSite({ ...nothing, name: 'A' }, { by })
  const siteB = await engine.registerSite({ ...nothing, name: 'B' }, { by })
  const policy = await engine.savePolicy({ ...defaultPolicySettings, ...wanted.policy, name: 'gold' }, null, {
    by,
  })
  const [row] = await stores.machines.list(siteA.id)
  if (!row) throw new Error('the inventory has the machine')

  const adapters = [{ adapterKey: 'net0', failoverNetworkId: 'lan', testNetworkId: 'isolated' }]
  const protect = () =>
    engine.protect({
      by,
      machineId: row.id,
      targetSiteId: siteB.id,
      policyId: policy.id,
      adapters,
      excludedDisks: [],
    })
  const job = async (jobId: JobId) => {
    const found = await stores.jobs.find(jobId)
    if (!found) throw new Error(`there is a job ${jobId}`)
    return found
  }
  /** Lets time pass until the job is over or asks something, and returns it. */
  const settle = async (started: Promise<{ jobId: JobId }>) => {
    const { jobId } = await started
    for (let turn = 0; turn < 2000; turn += 1) {
      const { state } = await job(jobId)
      if (state !== 'queued' && state !== 'running') return await job(jobId)
      await clock.advance(1000)
    }
    throw new Error(`job ${jobId} is not over: ${JSON.stringify(await job(jobId), null, 1)}`)
  }
  /** The same, and it must have succeeded. */
  const done = async (started: Promise<{ jobId: JobId }>) => {
    const settled = await settle(started)
    if (settled.state !== 'succeeded') throw new Error(`${settled.kind}: ${JSON.stringify(settled, null, 1)}`)
    return settled
  }
  const state = async (id: ProtectionId) => {
    const protection = await stores.protections.find(id)
    if (!protection) throw new Error('there is a protection')
    return protection
  }
  const activeRuns = (id: ProtectionId) => stores.runs.active(id)
  const events = async (code: string) =>
    (await stores.events.list({ code }, { limit: 100, cursor: null })).rows
  const openAlerts = async () =>
    (await stores.alerts.list({ open: true }, { limit: 100, cursor: null })).rows.map(({ code }) => code)
  const holds = async (id: ProtectionId) =>
    (await engine.recoveryPoints(id))
      .flatMap(({ heldBy }) => heldBy)
      .filter((holder) => holder !== 'common-point')
  const restart = async () => {
    await engine.stop()
    ;({ engine, durable } = newEngine())
    await engine.start()
  }
  return {
    clock,
    world,
    a,
    b,
    stores,
    database,
    machine,
    policy,
    siteA,
    siteB,
    row,
    get engine() {
      return engine
    },
    get durable() {
      return durable
    },
    protect,
    job,
    settle,
    done,
    state,
    activeRuns,
    events,
    openAlerts,
    holds,
    restart,
    setClockBack(milliseconds: number) {
      behindMilliseconds += milliseconds
    },
  }
}

/** A guest goes on writing while it shuts down: whoever forgets the last delta is found out. */
function withSlowShutDown(platform: SitePlatform, clock: VirtualClock): SitePlatform {
  const { source } = platform
  if (!source) return platform
  const shutDown: typeof source.shutDown = async (ref, options) => {
    await clock.sleep(3000, options.signal)
    return await source.shutDown(ref, options)
  }
  return { ...platform, source: { ...source, shutDown } }
}

type Lab = Awaited<ReturnType<typeof newLab>>
type Ask = { readonly by: string; readonly protectionId: ProtectionId }

async function newProtectedLab(wanted: Wanted = {}) {
  const lab = await newLab(wanted)
  const { protectionId } = await lab.engine.protect({
    by,
    machineId: lab.row.id,
    targetSiteId: lab.siteB.id,
    policyId: lab.policy.id,
    adapters: [{ adapterKey: 'net0', failoverNetworkId: 'lan', testNetworkId: 'isolated' }],
    excludedDisks: [],
  })
  await lab.clock.advance(minute)
  expect((await lab.state(protectionId)).state).toBe('protected')
  return { lab, protectionId, ask: { by, protectionId } }
}

const rollBack = (lab: Lab, ask: Ask) => lab.engine.rollBack(ask)
const commit = (lab: Lab, ask: Ask) => lab.engine.commit(ask)
const firstPointOf = async (lab: Lab, { protectionId }: Ask) => {
  const [first] = await lab.engine.recoveryPoints(protectionId)
  if (!first) throw new Error('there is a point')
  return first.id
}
const changeTo = (lab: Lab, ask: Ask, id: PointId) =>
  lab.engine.changePoint({ ...ask, choice: { kind: 'point', id } })

const runningAt = (site: FakeSite) => site.machines().filter(({ power }) => power === 'running')

const contentOf = async (site: FakeSite, ref: string): Promise<Buffer> => {
  const machine = site.machines().find((candidate) => candidate.ref === ref)
  if (!machine) throw new Error(`there is a machine ${ref}`)
  return Buffer.concat(await Promise.all(machine.readDisks().map(readAll)))
}

/** Cut what the guest wrote since its boot: the disks of a boot at its very instant. */
const recordsOf = async (site: FakeSite, ref: string): Promise<number> => {
  const machine = site.machines().find((candidate) => candidate.ref === ref)
  if (!machine) throw new Error(`there is a machine ${ref}`)
  return (await checkGuest(machine.readDisks()))?.records ?? 0
}

const failedOverRef = async (lab: Lab, id: ProtectionId): Promise<string> => {
  const run = (await lab.activeRuns(id)).find(({ kind }) => kind !== 'test')
  if (!run?.machineRef) throw new Error('a replica runs')
  return run.machineRef
}

describe('protect', () => {
  test('checks, seeds and is done when the first point is sealed', async () => {
    const lab = await newLab()
    const started = await lab.protect()
    const job = await lab.done(Promise.resolve(started))
    expect(job.tasks.map(({ state }) => state)).toEqual(['succeeded', 'succeeded', 'succeeded'])
    expect((await lab.state(started.protectionId)).state).toBe('protected')
    expect((await lab.engine.recoveryPoints(started.protectionId)).length).toBeGreaterThan(0)
  })

  test('the same machine twice is refused, and so is a target that is its own site', async () => {
    const lab = await newLab()
    await lab.protect()
    await expect(lab.protect()).rejects.toMatchObject({ code: 'protection/exists' })
    const request = { by, machineId: lab.row.id, policyId: lab.policy.id, adapters: [], excludedDisks: [] }
    await expect(lab.engine.protect({ ...request, targetSiteId: lab.siteA.id })).rejects.toMatchObject({
      code: 'protection/same-site',
    })
  })

  test('a first copy that is held up says by what, and no more once it goes on', async () => {
    const lab = await newLab()
    const full = { code: 'replica/disk-full', message: 'The disk is full', remedy: 'Free space there.' }
    lab.a.faults.failNext('source.openPoint', 1, new Outage(full))
    const { jobId } = await lab.protect()
    await lab.clock.advance(20_000)
    const held = await lab.job(jobId)
    expect(held.state).toBe('running')
    expect(held.tasks.at(-1)).toMatchObject({
      state: 'running',
      note: expect.stringMatching(/The disk is full\. Free space there\. Understudy tries again in \d+ s\./),
    })
    await lab.clock.advance(2 * minute)
    expect((await lab.job(jobId)).tasks.at(-1)).toMatchObject({ state: 'succeeded', note: null })
  })

  test('a machine that cannot be tracked is told with its remedy, and can be tried again after it was mended', async () => {
    const lab = await newLab()
    lab.machine.untrackable = true
    const started = await lab.protect()
    const job = await lab.settle(Promise.resolve(started))
    expect(job).toMatchObject({ state: 'failed', failure: { code: 'machine/untrackable' } })
    expect((await lab.state(started.protectionId)).state).toBe('broken')
    lab.machine.untrackable = false
    await lab.engine.retryJob(started.jobId, { by })
    await lab.clock.advance(minute)
    expect(await lab.job(started.jobId)).toMatchObject({ state: 'succeeded' })
    expect((await lab.state(started.protectionId)).state).toBe('protected')
  })
})

describe('steering', () => {
  test('pause stops the points, resume goes on with a delta', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.engine.pause(ask)
    await lab.clock.advance(10_000)
    const count = (await lab.engine.recoveryPoints(protectionId)).length
    await lab.clock.advance(minute)
    expect((await lab.engine.recoveryPoints(protectionId)).length).toBe(count)
    await expect(lab.engine.pause(ask)).rejects.toMatchObject({ code: 'protection/not-allowed' })
    await lab.engine.resume(ask)
    await lab.clock.advance(20_000)
    const points = await lab.engine.recoveryPoints(protectionId)
    expect(points.length).toBeGreaterThan(count)
    expect(points.slice(count).every(({ cycle }) => cycle === 'delta')).toBe(true)
  })

  test('an edit of a protection or a policy is recorded with what was before, by name', async () => {
    const { lab, ask } = await newProtectedLab()
    const silver = await lab.engine.savePolicy(
      { ...defaultPolicySettings, intervalSeconds: 10, name: 'silver' },
      null,
      { by },
    )
    const [, second] = [...lab.machine.disks.keys()]
    if (!second) throw new Error('there are two disks')
    const adapters = [{ adapterKey: 'net0', failoverNetworkId: 'isolated', testNetworkId: 'isolated' }]
    await lab.engine.editProtection({ ...ask, policyId: silver.id, excludedDisks: [second], adapters })
    const [edited] = await lab.events('protection/edited')
    expect(edited?.message).toMatch(
      /^web was edited by olga: policy from "gold" to "silver"; excluded disks from none to [^;]+; failover network of adapter 1 from "[^"]+" to "[^"]+"$/,
    )
    expect(edited?.message).not.toContain(silver.id)
    expect(edited?.facts.changes).toHaveLength(3)
    await lab.engine.savePolicy(
      { ...defaultPolicySettings, intervalSeconds: 20, name: 'silver' },
      silver.id,
      {
        by,
      },
    )
    expect((await lab.events('policy/saved'))[0]?.message).toBe(
      'The policy "silver" was changed by olga: interval from 10 s to 20 s',
    )
  })

  test('encryption cannot be switched by a policy while replicas of it live', async () => {
    const { lab, ask } = await newProtectedLab()
    const fixed = { name: 'Refusal', code: 'policy/encryption-fixed' }
    const encrypted = { ...defaultPolicySettings, encrypt: true }
    await expect(
      lab.engine.savePolicy({ ...encrypted, name: 'gold' }, lab.policy.id, { by }),
    ).rejects.toMatchObject(fixed)
    const other = await lab.engine.savePolicy({ ...encrypted, name: 'vault' }, null, { by })
    await expect(lab.engine.editProtection({ ...ask, policyId: other.id })).rejects.toMatchObject(fixed)
    await lab.engine.savePolicy({ ...defaultPolicySettings, priority: 9, name: 'gold' }, lab.policy.id, {
      by,
    })
  })

  test('hardware that was changed since the machine was protected is what would boot', async () => {
    const { lab, protectionId } = await newProtectedLab()
    const { hardware } = await lab.state(protectionId)
    const ofTheFirstDay = { ...hardware, memoryBytes: hardware.memoryBytes / 2, cpus: 16 }
    await lab.stores.protections.update(protectionId, { hardware: ofTheFirstDay })
    await lab.engine.refreshSite(lab.siteA.id)
    expect((await lab.state(protectionId)).hardware).toEqual(hardware)
  })

  test('a resync compares, says why, and becomes protected again', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.resync(ask))
    const points = await lab.engine.recoveryPoints(protectionId)
    expect(points.filter(({ cycle }) => cycle === 'resync')).toHaveLength(1)
    expect((await lab.events('cycle/resync-asked'))[0]?.message).toContain('olga')
  })

  test('an excluded disk is missing from newer points and comes back whole', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const [, second] = [...lab.machine.disks.keys()]
    if (!second) throw new Error('there are two disks')
    await lab.engine.editProtection({ ...ask, excludedDisks: [second] })
    await lab.clock.advance(15_000)
    expect((await lab.engine.recoveryPoints(protectionId)).at(-1)?.disks).toHaveLength(1)
    await lab.engine.editProtection({ ...ask, excludedDisks: [] })
    await lab.clock.advance(15_000)
    const { replicas } = lab.b
    const replica = await replicas.openReplica((await lab.state(protectionId)).replicaId, null)
    const newest = (await lab.engine.recoveryPoints(protectionId)).at(-1)
    if (!newest) throw new Error('there is a point')
    const opened = await replica.openPoint(newest.id)
    await checkGuest(opened.disks.map(({ reader }) => reader))
  })

  test('ending it removes tracking, replica and row', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const { replicaId } = await lab.state(protectionId)
    await lab.done(lab.engine.endProtection({ ...ask, deleteReplica: true }))
    expect(await lab.stores.protections.find(protectionId)).toBeNull()
    expect(await lab.b.replicas.exists(replicaId)).toBe(false)
    expect(lab.machine.checkpoints.size).toBe(0)
  })

  test('ending it resolves whatever is open about it', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const facts = { severity: 'critical', message: 'Damaged', remedy: 'Look.', acknowledgedBy: null } as const
    await lab.stores.alerts.raise({
      ...facts,
      id: 'alert-1' as AlertId,
      code: 'replica/damaged',
      subjectId: protectionId,
      subjectName: 'web',
      raisedAt: lab.clock.now(),
      resolvedAt: null,
    })
    await lab.done(lab.engine.endProtection({ ...ask, deleteReplica: true }))
    expect(await lab.openAlerts()).toEqual([])
  })
})

describe('a test failover', () => {
  test('boots in isolation while replication goes on, marks the point as verified, and leaves nothing after clean-up', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const before = (await lab.engine.recoveryPoints(protectionId)).length
    await lab.done(lab.engine.testFailover({ ...ask, choice: latest }))
    const [run] = await lab.activeRuns(protectionId)
    expect(run).toMatchObject({ kind: 'test', testState: 'running' })
    expect(run?.addresses).toHaveLength(1)
    expect(runningAt(lab.b).map(({ isolated }) => isolated)).toEqual([true])
    expect(run && (await lab.stores.runs.screenshot(run.id))).not.toBeNull()
    await lab.clock.advance(minute)
    const points = await lab.engine.recoveryPoints(protectionId)
    expect(points.length).toBeGreaterThan(before + 8)
    expect(points.find(({ id }) => id === run?.pointId)?.annotations.verifiedAt).toBeDefined()
    expect(lab.world.violations).toEqual([])
    expect(lab.machine.power).toBe('running')
    await lab.done(lab.engine.cleanUpTest(ask))
    expect(lab.b.machines()).toEqual([])
    expect(await lab.holds(protectionId)).toEqual([])
  })

  test('what the test writes never reaches the replica', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.testFailover({ ...ask, choice: latest }))
    const [run] = await lab.activeRuns(protectionId)
    if (!run) throw new Error('a test is up')
    await lab.clock.advance(minute)
    const replica = await lab.b.replicas.openReplica((await lab.state(protectionId)).replicaId, null)
    for (const { id } of replica.points()) {
      const claim = await checkGuest((await replica.openPoint(id)).disks.map(({ reader }) => reader))
      expect(claim?.branch).not.toContain('run-')
    }
  })

  test('a point of the past can be tested', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const [first] = await lab.engine.recoveryPoints(protectionId)
    if (!first) throw new Error('there is a point')
    await lab.done(lab.engine.testFailover({ ...ask, choice: { kind: 'point', id: first.id } }))
    expect((await lab.activeRuns(protectionId))[0]?.pointId).toBe(first.id)
  })

  test('an open network is refused before anything is made, unless the operator insists', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const adapters = [{ adapterKey: 'net0', failoverNetworkId: 'lan', testNetworkId: 'lan' }]
    await lab.engine.editProtection({ ...ask, adapters })
    const job = await lab.settle(lab.engine.testFailover({ ...ask, choice: latest }))
    expect(job).toMatchObject({ state: 'failed', failure: { code: 'failover/network-not-isolated' } })
    expect(await lab.activeRuns(protectionId)).toEqual([])
    expect(lab.b.machines()).toEqual([])
  })

  test('a guest that does not answer leaves the test up, not passed', async () => {
    const { lab, protectionId, ask } = await newProtectedLab({ machine: { writeEveryMilliseconds: 0 } })
    await lab.done(lab.engine.testFailover({ ...ask, choice: latest, answerTimeoutSeconds: 5 }))
    expect((await lab.activeRuns(protectionId))[0]).toMatchObject({ testState: 'running' })
    expect((await lab.stores.protections.summary(protectionId)).lastTestPassed).toBe(false)
  })
})

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
    expect(await lab.openAlerts()).toEqual([])
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
  })

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

async function failedOverAndCommitted(wanted: Wanted = {}) {
  const prepared = await newProtectedLab(wanted)
  const { lab, ask } = prepared
  await lab.done(lab.engine.plannedFailover(ask))
  await lab.clock.advance(minute)
  await lab.done(lab.engine.commit(ask))
  await lab.clock.advance(minute)
  return prepared
}

describe('reprotect and fail back', () => {
  test('the direction turns with a delta from the common point, not with a comparison', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    const protection = await lab.state(protectionId)
    expect(protection).toMatchObject({
      state: 'protected',
      direction: 'reverse',
      originalRef: lab.machine.ref,
    })
    expect([protection.sourceSiteId, protection.targetSiteId]).toEqual([lab.siteB.id, lab.siteA.id])
    await lab.clock.advance(minute)
    const points = await lab.engine.recoveryPoints(protectionId)
    expect(points.map(({ cycle }) => cycle).slice(0, 3)).toEqual(['seed', 'delta', 'delta'])
    expect(await lab.b.replicas.list()).toEqual([])
    expect(await lab.openAlerts()).toEqual([])
  })

  test('home again with every byte: fail back, commit, reprotect, and the circle is closed', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    const there = (await lab.state(protectionId)).sourceRef
    const back = await lab.done(lab.engine.failBack({ ...ask, overwriteModified: false }))
    expect(lab.machine.power).toBe('running')
    expect(await recordsOf(lab.a, lab.machine.ref)).toBeGreaterThanOrEqual(await recordsOf(lab.b, there))
    expect(lab.b.machines().find(({ ref }) => ref === there)?.power).toBe('off')
    // Only what changed was written, not the whole of both disks.
    const note = back.tasks.find(({ name }) => name.startsWith('Restore'))?.note
    expect(note).toMatch(/^[1-9][\d.]* KiB written$/)
    await lab.done(lab.engine.commit(ask))
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    expect(await lab.state(protectionId)).toMatchObject({
      state: 'protected',
      direction: 'forward',
      sourceRef: lab.machine.ref,
    })
    const points = await lab.engine.recoveryPoints(protectionId)
    expect(points.slice(1).every(({ cycle }) => cycle === 'delta')).toBe(true)
    // What stood in at the second site has gone; the original, which is not ours, has not.
    expect(lab.b.machines()).toEqual([])
    expect(lab.a.machines().map(({ ref }) => ref)).toContain(lab.machine.ref)
    await lab.done(lab.engine.plannedFailover(ask))
    expect(lab.world.violations).toEqual([])
  })

  test('the original is asked like every other machine: recovery time ends with its answer, not with its start', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    // Two looks at a guest that is still booting.
    lab.a.faults.failNext('target.probe', 2)
    const job = await lab.done(lab.engine.failBack({ ...ask, overwriteModified: false }))
    const [run] = await lab.activeRuns(protectionId)
    const started = job.tasks.find(({ name }) => name === 'Start the original machine')
    expect(run?.answeredAt).toBeGreaterThanOrEqual((started?.endedAt ?? Infinity) + 2000)
    expect(run?.addresses).toEqual([`http://${lab.machine.ref}.invalid`])
    expect(run?.startedAt).toBe(job.createdAt)
    const { lastRecoverySeconds } = await lab.stores.protections.summary(protectionId)
    expect(lastRecoverySeconds).toBe(Math.round(((run?.answeredAt ?? 0) - job.createdAt) / 1000))
  })

  test('an original that does not answer is at home all the same, and nobody says that it answered', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    const before = (await lab.stores.protections.summary(protectionId)).lastRecoverySeconds
    lab.a.faults.hang('target.probe')
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: false }))
    const [run] = await lab.activeRuns(protectionId)
    expect(run?.answeredAt).toBeNull()
    expect(run?.failure).toContain('did not answer')
    expect((await lab.state(protectionId)).state).toBe('failedOver')
    expect((await lab.stores.protections.summary(protectionId)).lastRecoverySeconds).toBe(before)
    expect(await lab.events('failover/no-answer')).toHaveLength(1)
  })

  test('an original that was written to is not overwritten without a word', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    const [disk] = [...lab.machine.disks.keys()]
    if (!disk) throw new Error('there is a disk')
    await lab.machine.write(disk, 500_000, Buffer.alloc(100, 1))
    const refused = await lab.settle(lab.engine.failBack({ ...ask, overwriteModified: false }))
    expect(refused).toMatchObject({ state: 'failed', failure: { code: 'fail-back/original-modified' } })
    expect((await lab.state(protectionId)).state).toBe('protected')
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: true }))
    expect(await checkGuest(lab.machine.readDisks())).toMatchObject({ identity: lab.machine.identity })
    expect(lab.world.violations).toEqual([])
  })

  test('an original that is started beside the machine that took over is told, until it is off or is failed back to', async () => {
    const { lab, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    expect(await lab.openAlerts()).toEqual([])
    await lab.machine.start()
    await lab.clock.advance(minute)
    expect(await lab.openAlerts()).toContain('failover/original-runs')
    lab.machine.powerOff()
    await lab.clock.advance(2 * minute)
    expect(await lab.openAlerts()).toEqual([])
    // Its own run is no second life, nor is what comes after it.
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: true }))
    await lab.clock.advance(2 * minute)
    await lab.done(lab.engine.commit(ask))
    await lab.clock.advance(2 * minute)
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(2 * minute)
    expect(await lab.events('failover/original-runs')).toHaveLength(1)
    expect(await lab.openAlerts()).toEqual([])
  })

  test('an original that runs is refused', async () => {
    const { lab, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    await lab.machine.start()
    const refused = await lab.settle(lab.engine.failBack({ ...ask, overwriteModified: true }))
    expect(refused.failure?.code).toBe('fail-back/original-runs')
  })

  test('a fail-back can be rolled back: the machine at the second site goes on', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: false }))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.rollBack(ask))
    await lab.clock.advance(minute)
    expect(lab.machine.power).toBe('off')
    expect(runningAt(lab.b)).toHaveLength(1)
    expect(await lab.state(protectionId)).toMatchObject({ state: 'protected', direction: 'reverse' })
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: false }))
    expect(lab.machine.power).toBe('running')
    expect(lab.world.violations).toEqual([])
  })

  test('a restore that fails starts the second site’s machine again, and the next fail-back compares', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    // The task tries three times.
    lab.a.faults.failNext('target.restoreInto', 3)
    expect((await lab.settle(lab.engine.failBack({ ...ask, overwriteModified: false }))).state).toBe('failed')
    await lab.clock.advance(minute)
    expect(runningAt(lab.b)).toHaveLength(1)
    expect((await lab.state(protectionId)).state).toBe('protected')
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: false }))
    expect(await checkGuest(lab.machine.readDisks())).toMatchObject({ identity: lab.machine.identity })
  })

  test('after an unplanned failover the original, back on its feet, must be off, and is compared when it goes home', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.a.burnDown()
    await lab.done(lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true }))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.commit(ask))
    lab.a.comeBack()
    await lab.machine.start()
    await lab.clock.advance(minute)
    expect(await lab.openAlerts()).toContain('failover/two-live-copies')
    const refused = await lab.settle(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    expect(refused.failure?.code).toBe('reprotect/original-runs')
    expect((await lab.state(protectionId)).state).toBe('committed')
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: true }))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: false }))
    expect(await checkGuest(lab.machine.readDisks())).toMatchObject({ identity: lab.machine.identity })
  })

  test('fail back to another place is a planned failover in reverse: a new machine beside the original', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.plannedFailover(ask))
    expect(lab.machine.power).toBe('off')
    expect(runningAt(lab.a).map(({ name }) => name)).toEqual(['web-2'])
    expect((await lab.state(protectionId)).state).toBe('failedOver')
    expect(lab.world.violations).toEqual([])
  })
})

/** Lets time pass in small steps until it is so. */
async function until(lab: Lab, isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2000 && !isSo(); turn += 1) await lab.clock.advance(100)
  expect(isSo()).toBe(true)
}

/** A planned failover that has shut its source down and is about to copy the last changes. */
async function stoppedSource(lab: Lab, ask: { by: string; protectionId: ProtectionId }) {
  const release = lab.a.faults.hang('source.openStoppedDisks')
  const started = lab.engine.plannedFailover(ask)
  await started
  await until(lab, () => lab.machine.power === 'off')
  return { started, release }
}

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
    lab.database.failNext('protections.moveState', 3)
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
    const release = lab.a.faults.hang('source.powerState')
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

describe('a request whose answer was lost', () => {
  const away = new Outage({ code: 'store/unreachable', message: 'Away', remedy: 'Wait.' })

  test.each([
    ['a failover', (lab: Lab, ask: Ask, jobId: JobId) => lab.engine.plannedFailover({ ...ask, jobId })],
    [
      'an end',
      (lab: Lab, ask: Ask, jobId: JobId) => lab.engine.endProtection({ ...ask, jobId, deleteReplica: true }),
    ],
  ])('begins %s when it is repeated: it is not refused because of itself', async (_, request) => {
    const { lab, ask } = await newProtectedLab()
    const jobId = 'repeated' as JobId
    vi.spyOn(lab.durable, 'start').mockRejectedValueOnce(away)
    await expect(request(lab, ask, jobId)).rejects.toBe(away)
    await lab.done(request(lab, ask, jobId))
    await request(lab, ask, jobId)
    expect((await lab.job(jobId)).state).toBe('succeeded')
  })

  test('protects a machine when it is repeated', async () => {
    const lab = await newLab()
    const request = {
      by,
      jobId: 'repeated' as JobId,
      machineId: lab.row.id,
      targetSiteId: lab.siteB.id,
      policyId: lab.policy.id,
      adapters: [],
      excludedDisks: [],
    }
    vi.spyOn(lab.durable, 'start').mockRejectedValueOnce(away)
    await expect(lab.engine.protect(request)).rejects.toBe(away)
    const { protectionId } = await lab.engine.protect(request)
    await lab.clock.advance(minute)
    expect((await lab.state(protectionId)).state).toBe('protected')
  })

  test('begins nothing that was given up meanwhile', async () => {
    const { lab, ask } = await newProtectedLab()
    const request = { ...ask, jobId: 'repeated' as JobId }
    vi.spyOn(lab.durable, 'start').mockRejectedValueOnce(away)
    await expect(lab.engine.plannedFailover(request)).rejects.toBe(away)
    await lab.clock.advance(3 * minute)
    await lab.engine.plannedFailover(request)
    await lab.clock.advance(minute)
    expect(await lab.job(request.jobId)).toMatchObject({ state: 'failed', failure: { code: 'job/lost' } })
    expect(lab.machine.power).toBe('running')
  })
})

test('a job that succeeds while lost ones are looked for stays as it is', async () => {
  const { lab, ask } = await newProtectedLab()
  lab.b.faults.hang('target.boot')
  const { jobId } = await lab.engine.plannedFailover(ask)
  await lab.clock.advance(3 * minute)
  // The watcher has it in its list; it comes to its end before the watcher asks about it.
  const asked = vi.spyOn(lab.durable, 'isRunning').mockImplementation(async (id) => {
    if (id === jobId) await lab.stores.jobs.update(jobId, { state: 'succeeded' })
    return id !== jobId
  })
  await lab.clock.advance(2 * minute)
  expect(asked).toHaveBeenCalledWith(jobId)
  expect(await lab.job(jobId)).toMatchObject({ state: 'succeeded', failure: null })
})

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

test('a replica that was committed belongs to its protection and is not protected by another one', async () => {
  const { lab, ask } = await failedOverAndCommitted()
  await lab.engine.refreshSite(lab.siteB.id)
  const [replica] = await lab.stores.machines.list(lab.siteB.id)
  if (!replica) throw new Error('the replica is in the inventory')
  const request = { by, machineId: replica.id, policyId: lab.policy.id, adapters: [], excludedDisks: [] }
  const other = lab.engine.protect({ ...request, targetSiteId: lab.siteA.id })
  await expect(other).rejects.toMatchObject({ code: 'protection/exists' })
  await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
})

describe('what stood in at the second site', () => {
  test('stays when it holds what was never copied, and is told', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    const there = (await lab.state(protectionId)).sourceRef
    const [oldest] = await lab.engine.recoveryPoints(protectionId)
    if (!oldest) throw new Error('there is a point')
    lab.b.cutOff()
    const choice = { kind: 'point', id: oldest.id } as const
    await lab.done(lab.engine.unplannedFailover({ ...ask, choice, acceptUnfenced: true }))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.commit(ask))
    lab.b.comeBack()
    const records = await recordsOf(lab.b, there)
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: true }))
    expect(lab.b.machines().find(({ ref }) => ref === there)?.power).toBe('off')
    expect(await recordsOf(lab.b, there)).toBeGreaterThanOrEqual(records)
    const [told] = await lab.events('reprotect/stand-in-kept')
    expect(told?.message).toContain('stays at B')
    // And it is in nobody's way.
    await lab.clock.advance(minute)
    await lab.done(lab.engine.plannedFailover(ask))
    expect(lab.b.machines().map(({ ref }) => ref)).toContain(there)
  })

  test.each(['before', 'in'])(
    'stays when it was written to after it had been shut down, %s the reprotect',
    async (moment) => {
      const { lab, protectionId, ask } = await failedOverAndCommitted()
      await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
      await lab.clock.advance(minute)
      const there = lab.b.machine((await lab.state(protectionId)).sourceRef)
      await lab.done(lab.engine.failBack({ ...ask, overwriteModified: false }))
      await lab.done(lab.engine.commit(ask))
      const [disk] = [...there.disks.keys()]
      if (!disk) throw new Error('there is a disk')
      const write = () => there.write(disk, 500_000, Buffer.alloc(100, 1))
      if (moment === 'before') await write()
      const { createReplica } = lab.b.replicas
      vi.spyOn(lab.b.replicas, 'createReplica').mockImplementationOnce(async (...replica) => {
        if (moment === 'in') await write()
        return await createReplica(...replica)
      })
      await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
      expect(lab.b.machines()).toContain(there)
      expect(await lab.events('reprotect/stand-in-kept')).toHaveLength(1)
      expect((await lab.state(protectionId)).originalRef).toBe(there.ref)
    },
  )
})

test('a fail-back whose home site dies in the middle starts the machine at the second site again', async () => {
  const { lab, protectionId, ask } = await failedOverAndCommitted()
  await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
  await lab.clock.advance(minute)
  const release = lab.a.faults.hang('target.restoreInto')
  const started = lab.engine.failBack({ ...ask, overwriteModified: false })
  await started
  await until(lab, () => (lab.a.faults.calls.get('target.restoreInto') ?? 0) > 0)
  expect(runningAt(lab.b)).toEqual([])
  lab.a.cutOff()
  release()
  expect((await lab.settle(started)).state).toBe('failed')
  expect(runningAt(lab.b)).toHaveLength(1)
  expect((await lab.state(protectionId)).state).toBe('protected')
  lab.a.comeBack()
  await lab.clock.advance(15 * minute)
  expect(await lab.activeRuns(protectionId)).toEqual([])
  expect(await lab.holds(protectionId)).toEqual([])
  expect(lab.world.violations).toEqual([])
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
    const { update } = runs
    let open = (): void => {}
    const tidyingUp = new Promise<void>((resolve) => (open = resolve))
    vi.spyOn(protections, 'claimState').mockImplementationOnce(async (...claim) => {
      await tidyingUp
      return await claimState(...claim)
    })
    vi.spyOn(runs, 'update').mockImplementation(async (id, change) => {
      await update(id, change)
      if (change.over !== true) return
      open()
      await lab.clock.sleep(1000)
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

describe('a process that stood still while another one took its job over', () => {
  /** Its failover stands still in the middle of its undo, until another process has ended it and the next one is through. */
  async function stunnedIn(lab: Lab, { ask, stun }: { ask: Ask; stun: (gate: Promise<void>) => Stun }) {
    let wake = (): void => {}
    const { isStill } = stun(new Promise<void>((resolve) => (wake = resolve)))
    lab.b.faults.failNext('target.boot', 3)
    const started = lab.engine.plannedFailover(ask)
    await started
    await until(lab, isStill)
    await lab.restart()
    expect((await lab.settle(started)).state).toBe('failed')
    expect(lab.machine.power).toBe('running')
    await lab.done(lab.engine.plannedFailover(ask))
    wake()
    await lab.clock.advance(minute)
  }
  type Stun = { readonly isStill: () => boolean }
  const bootFailed = (lab: Lab) => (lab.b.faults.calls.get('target.boot') ?? 0) >= 3

  test.each([
    [
      'before it starts the source',
      (lab: Lab) =>
        (gate: Promise<void>): Stun => {
          const { powerState } = lab.a.source
          let still = false
          vi.spyOn(lab.a.source, 'powerState').mockImplementation(async (...machine) => {
            const power = await powerState(...machine)
            if (still || !bootFailed(lab)) return power
            still = true
            await gate
            return power
          })
          return { isStill: () => still }
        },
    ],
    [
      'before it removes the replica',
      (lab: Lab) =>
        (gate: Promise<void>): Stun => {
          const { active } = lab.stores.runs
          let still = false
          vi.spyOn(lab.stores.runs, 'active').mockImplementation(async (id) => {
            if (!still && id !== undefined && bootFailed(lab)) {
              still = true
              await gate
            }
            return await active(id)
          })
          return { isStill: () => still }
        },
    ],
  ])('%s leaves alone what the next job has made since', async (_, stun) => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await stunnedIn(lab, { ask, stun: stun(lab) })
    expect((await lab.state(protectionId)).state).toBe('failedOver')
    expect(lab.machine.power).toBe('off')
    expect(runningAt(lab.b).map(({ ref }) => ref)).toEqual([await failedOverRef(lab, protectionId)])
    expect(lab.world.violations).toEqual([])
  })

  /**
   * The job stands still at the first call of that method for which `when` is true, until another process has ended it and
   * `meanwhile` is through. `before`: it stands before the call, else with its answer in hand.
   */
  async function standStill<Port extends object>(
    lab: Lab,
    how: {
      readonly port: Port
      readonly method: keyof Port & string
      readonly when: () => boolean | Promise<boolean>
      readonly before?: boolean
      readonly start: () => Promise<JobStarted>
      readonly whileStill?: () => Promise<void>
      readonly meanwhile: () => Promise<unknown>
    },
  ) {
    const call = Reflect.get(how.port, how.method) as (...parameters: unknown[]) => Promise<unknown>
    let [still, wake] = [false, (): void => {}]
    const gate = new Promise<void>((resolve) => (wake = resolve))
    const stopping = async (...parameters: unknown[]): Promise<unknown> => {
      const here = !still && (await how.when())
      if (!here) return await call(...parameters)
      still = true
      if (how.before) await gate
      const answer = await call(...parameters)
      await gate
      return answer
    }
    Reflect.set(how.port, how.method, stopping)
    const started = await how.start()
    await until(lab, () => still)
    await how.whileStill?.()
    const violations = [...lab.world.violations]
    await lab.restart()
    const ended = await lab.settle(Promise.resolve(started))
    await how.meanwhile()
    wake()
    await lab.clock.advance(minute)
    expect(lab.world.violations).toEqual(violations)
    return ended
  }
  const page = { limit: 10, cursor: null }
  const isIn = async (lab: Lab, id: ProtectionId, state: string) => (await lab.state(id)).state === state
  /** Committed at the second site, turned, and home again. */
  async function comeHome(lab: Lab, ask: Ask) {
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: true }))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.commit(ask))
  }

  test('while a change of the point was to remove the first machine leaves the second one alone', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    const first = await failedOverRef(lab, protectionId)
    await standStill(lab, {
      port: lab.stores.runs,
      method: 'active',
      before: true,
      when: () => isIn(lab, protectionId, 'failingOver'),
      start: async () => changeTo(lab, ask, await firstPointOf(lab, ask)),
      meanwhile: async () => {},
    })
    const second = await failedOverRef(lab, protectionId)
    expect(second).not.toBe(first)
    expect(runningAt(lab.b).map(({ ref }) => ref)).toEqual([second])
  })

  test('while a change of the point was to boot its machine does not boot it beside the next one', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    const ended = await standStill(lab, {
      port: lab.stores.protections,
      method: 'notes',
      before: true,
      when: async () =>
        (await isIn(lab, protectionId, 'failingOver')) && (await lab.activeRuns(protectionId)).length === 0,
      start: async () => changeTo(lab, ask, await firstPointOf(lab, ask)),
      // Whoever takes the job over refuses to boot, and nothing is written down of the machine that was to be.
      whileStill: () => lab.machine.start(),
      async meanwhile() {
        lab.machine.powerOff()
        await lab.done(lab.engine.changePoint({ ...ask, choice: latest }))
      },
    })
    expect(ended.failure?.code).toBe('failover/source-runs')
    expect(runningAt(lab.b).map(({ ref }) => ref)).toEqual([await failedOverRef(lab, protectionId)])
    expect(await lab.activeRuns(protectionId)).toHaveLength(1)
  })

  test('while a fail-back was to start the original does not start it after the roll back', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(2 * minute)
    let restored = false
    const { restoreInto } = lab.a.target
    vi.spyOn(lab.a.target, 'restoreInto').mockImplementation(async (...all) => {
      const written = await restoreInto(...all)
      restored = true
      return written
    })
    await standStill(lab, {
      port: lab.a.source,
      method: 'powerState',
      when: () => restored,
      start: () => lab.engine.failBack({ ...ask, overwriteModified: false }),
      meanwhile: () => lab.done(lab.engine.rollBack(ask)),
    })
    expect(lab.machine.power).toBe('off')
    expect(runningAt(lab.b)).toHaveLength(1)
    expect((await lab.state(protectionId)).state).toBe('protected')
  })

  test('while a reprotect was to turn the places does not turn them once more', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    let home: Awaited<ReturnType<typeof lab.state>> | null = null
    await standStill(lab, {
      port: lab.a.target,
      method: 'networks',
      when: () => isIn(lab, protectionId, 'reprotecting'),
      start: () => lab.engine.reprotect({ ...ask, powerOffOriginal: false }),
      async meanwhile() {
        await lab.clock.advance(minute)
        await comeHome(lab, ask)
        await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
        home = await lab.state(protectionId)
      },
    })
    expect(home).toMatchObject({ direction: 'forward', state: 'protected' })
    expect(await lab.state(protectionId)).toEqual(home)
  })

  test('while a reprotect was to switch the original off does not switch it off once it serves again', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.a.source.start(lab.machine.ref)
    await standStill(lab, {
      port: lab.a.source,
      method: 'powerState',
      when: () => isIn(lab, protectionId, 'committed'),
      start: () => lab.engine.reprotect({ ...ask, powerOffOriginal: true }),
      async meanwhile() {
        await lab.clock.advance(minute)
        await comeHome(lab, ask)
      },
    })
    expect(lab.machine.power).toBe('running')
  })

  test('while a reprotect was to remove what stood in leaves it there once it was kept', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    await comeHome(lab, ask)
    const [standIn] = lab.b.machines()
    if (!standIn) throw new Error('it stood in')
    await standStill(lab, {
      port: lab.b.source,
      method: 'openStoppedDisks',
      when: () => isIn(lab, protectionId, 'protected'),
      start: () => lab.engine.reprotect({ ...ask, powerOffOriginal: false }),
      async whileStill() {
        await standIn.start()
        standIn.powerOff()
      },
      meanwhile: async () => {},
    })
    expect((await lab.state(protectionId)).originalRef).toBe(standIn.ref)
    expect(lab.b.machines()).toEqual([standIn])
  })

  test('while a commit was to hand the machine over leaves it to the roll back that follows', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    const ended = await standStill(lab, {
      port: lab.stores.runs,
      method: 'active',
      when: async () => {
        if (!(await isIn(lab, protectionId, 'committing'))) return false
        lab.b.faults.failNext('target.adopt', 3)
        return true
      },
      start: () => lab.engine.commit(ask),
      meanwhile: async () => {},
    })
    expect(ended.state).toBe('failed')
    await lab.done(lab.engine.rollBack(ask))
    expect(lab.machine.power).toBe('running')
    expect(runningAt(lab.b)).toEqual([])
  })

  test('while a replica that was off was to be started does not start it beside the original', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    const replica = lab.b.machine((await failedOverRef(lab, protectionId)) as MachineRef)
    replica.powerOff()
    await standStill(lab, {
      port: lab.stores.runs,
      method: 'active',
      when: async () => (await lab.stores.jobs.list({ kinds: ['start-replica'] }, page)).rows.length > 0,
      start: () => lab.engine.startReplica(ask),
      async meanwhile() {
        await lab.clock.advance(minute)
        await lab.done(lab.engine.commit(ask))
        await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
        await lab.clock.advance(minute)
        await comeHome(lab, ask)
        // Its answer is what else would have kept the replica from being started.
        lab.a.faults.failNext('source.powerState', 10)
      },
    })
    expect(replica.power).toBe('off')
    expect(lab.machine.power).toBe('running')
  })

  test('while a source was to be started late does not start it beside its replica', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.machine.ignoresShutDown = true
    await lab.settle(lab.engine.plannedFailover({ ...ask, shutDownTimeoutSeconds: 60 }))
    await lab.clock.advance(minute)
    lab.machine.powerOff()
    lab.machine.ignoresShutDown = false
    await standStill(lab, {
      port: lab.a.source,
      method: 'powerState',
      when: async () => (await lab.stores.jobs.list({ kinds: ['tidy-up'] }, page)).rows.length > 0,
      async start() {
        for (;;) {
          const [job] = (await lab.stores.jobs.list({ kinds: ['tidy-up'] }, page)).rows
          if (job) return { jobId: job.id }
          await lab.clock.advance(1000)
        }
      },
      meanwhile: () => lab.done(lab.engine.plannedFailover(ask)),
    })
    expect(lab.machine.power).toBe('off')
    expect(runningAt(lab.b).map(({ ref }) => ref)).toEqual([await failedOverRef(lab, protectionId)])
  })
})

test('a part that does not stop cleanly keeps no other from being stopped', async () => {
  const { lab, ask } = await newProtectedLab()
  let hydrating: AbortSignal | undefined
  vi.spyOn(lab.b.target, 'hydrate').mockImplementation(async (_, __, signal) => {
    hydrating = signal
    await lab.clock.sleep(24 * 60 * minute, signal)
  })
  await lab.done(lab.engine.plannedFailover(ask))
  const shutDown = vi.spyOn(lab.durable, 'shutDown').mockRejectedValueOnce(new Error('it cannot sign off'))
  await expect(lab.engine.stop()).rejects.toThrow('did not stop cleanly')
  expect(shutDown).toHaveBeenCalled()
  expect(hydrating?.aborted).toBe(true)
})

describe('a restart', () => {
  test('of the server while a replica still streams: its readers come back and hydration ends', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const release = lab.b.faults.hang('target.hydrate')
    await lab.done(lab.engine.plannedFailover(ask))
    expect((await lab.activeRuns(protectionId))[0]?.hydrated).toBeLessThan(1)
    await lab.restart()
    release()
    await lab.clock.advance(minute)
    expect((await lab.activeRuns(protectionId))[0]?.hydrated).toBe(1)
    await lab.done(lab.engine.commit(ask))
  })

  test('while the target site does not answer: its readers come back as soon as it does', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const release = lab.b.faults.hang('target.hydrate')
    await lab.done(lab.engine.plannedFailover(ask))
    lab.b.faults.failNext('target.reattach', 2)
    await lab.restart()
    release()
    await lab.clock.advance(minute)
    expect((await lab.activeRuns(protectionId))[0]?.hydrated).toBe(1)
  })

  /** Counts the handles at site B that only read: those of the keeper, and short ones. */
  function countReaders(
    lab: Lab,
    change: { readonly openPoint?: Replica['openPoint']; readonly firstWaitsFor?: Promise<void> },
  ) {
    const count = { opened: 0, closed: 0 }
    let before = change.firstWaitsFor
    const { openReplica } = lab.b.replicas
    vi.spyOn(lab.b.replicas, 'openReplica').mockImplementation(async (id, epoch) => {
      const wait = before
      before = undefined
      await wait
      const replica = await openReplica(id, epoch)
      if (epoch !== null) return replica
      count.opened += 1
      const close = async (): Promise<void> => {
        count.closed += 1
        await replica.close()
      }
      return { ...replica, close, openPoint: change.openPoint ?? replica.openPoint }
    })
    return count
  }

  test('with a point that cannot be opened leaves no handle behind, however often it is tried', async () => {
    const { lab, ask } = await newProtectedLab()
    const release = lab.b.faults.hang('target.hydrate')
    await lab.done(lab.engine.plannedFailover(ask))
    const count = countReaders(lab, { openPoint: () => Promise.reject(new Error('The index is damaged')) })
    await lab.restart()
    release()
    await lab.clock.advance(minute)
    expect(count.opened).toBeGreaterThan(3)
    expect(count.closed).toBe(count.opened)
  })

  test('that takes up a replica which is removed meanwhile leaves no handle behind and offers nothing', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const release = lab.b.faults.hang('target.hydrate')
    await lab.done(lab.engine.plannedFailover(ask))
    const { promise: firstWaitsFor, resolve: goOn } = Promise.withResolvers<void>()
    const count = countReaders(lab, { firstWaitsFor })
    const offered = vi.spyOn(lab.b.target, 'reattach')
    await lab.restart()
    release()
    await lab.clock.advance(1000)
    await lab.done(lab.engine.rollBack(ask))
    goOn()
    await lab.clock.advance(minute)
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(offered).not.toHaveBeenCalled()
    expect(count.closed).toBe(count.opened)
  })

  test('a target site that hangs does not hold up the heartbeat of the mover', async () => {
    const { lab, ask } = await newProtectedLab()
    const release = lab.b.faults.hang('target.hydrate')
    await lab.done(lab.engine.plannedFailover(ask))
    const letGo = lab.b.faults.hang('target.reattach')
    await lab.restart()
    release()
    await lab.clock.advance(minute)
    const [mover] = await lab.stores.leases.movers()
    expect(lab.clock.now() - (mover?.beatAt ?? 0)).toBeLessThan(10_000)
    letGo()
  })
})

test('hydration that failed for good is begun again by itself, and the failover can be committed', async () => {
  const { lab, protectionId, ask } = await newProtectedLab()
  const full = { code: 'target/disk-full', message: 'The disk is full', remedy: 'Make room.' }
  lab.b.faults.failNext('target.hydrate', 1, new Refusal(full))
  await lab.done(lab.engine.plannedFailover(ask))
  expect(await lab.openAlerts()).toContain('failover/hydration')
  await lab.clock.advance(minute)
  expect((await lab.activeRuns(protectionId))[0]?.hydrated).toBe(1)
  expect(await lab.openAlerts()).not.toContain('failover/hydration')
  await lab.done(lab.engine.commit(ask))
})

test('a replica that depends on us is told of its readers again and again, and no more once it does not', async () => {
  const { lab, ask } = await newProtectedLab()
  const release = lab.b.faults.hang('target.hydrate')
  await lab.done(lab.engine.plannedFailover(ask))
  const told = () => lab.b.faults.calls.get('target.reattach') ?? 0
  const before = told()
  await lab.clock.advance(minute)
  expect(told()).toBeGreaterThanOrEqual(before + 3)
  release()
  await lab.clock.advance(minute)
  const after = told()
  await lab.clock.advance(minute)
  expect(told()).toBe(after)
})

test('a replica that another process has removed is let go here without an alarm', async () => {
  const { lab, protectionId, ask } = await newProtectedLab()
  const release = lab.b.faults.hang('target.hydrate')
  await lab.done(lab.engine.plannedFailover(ask))
  const [run] = await lab.activeRuns(protectionId)
  if (!run) throw new Error('a run is active')
  await lab.b.target.destroy(run.id, { kind: 'anywhere' })
  await lab.stores.runs.update(run.id, { over: true })
  release()
  await lab.clock.advance(minute)
  expect(await lab.openAlerts()).not.toContain('failover/hydration')
})

test('a replica that goes while it hydrates leaves no alarm behind', async () => {
  const { lab, ask } = await newProtectedLab()
  lab.b.faults.failNext('target.hydrate', 1000)
  await lab.done(lab.engine.plannedFailover(ask))
  await lab.clock.advance(minute)
  expect(await lab.openAlerts()).toContain('failover/hydration')
  await lab.done(lab.engine.rollBack(ask))
  expect(await lab.openAlerts()).not.toContain('failover/hydration')
})

test('settings that lose the host of a running replica are refused until it is gone', async () => {
  const { lab, protectionId, ask } = await newProtectedLab()
  const change = { settings: { hosts: ['another'] } }
  const places = vi.spyOn(lab.b.target, 'places').mockResolvedValue(['another place'])
  places.mockResolvedValueOnce(['the site', 'another place'])
  await lab.done(lab.engine.plannedFailover(ask))
  await lab.engine.updateSite(lab.siteB.id, change, { by })
  await expect(lab.engine.updateSite(lab.siteB.id, { settings: {} }, { by })).rejects.toMatchObject({
    name: 'Refusal',
    code: 'site/carries-run',
    message: expect.stringContaining('the site'),
  })
  expect((await lab.stores.sites.find(lab.siteB.id))?.settings).toEqual(change.settings)
  await lab.done(lab.engine.rollBack({ protectionId, by: ask.by }))
  await lab.engine.updateSite(lab.siteB.id, { settings: {} }, { by })
})

test('a site that cannot be reached raises an alert that resolves by itself', async () => {
  const lab = await newLab()
  lab.a.cutOff()
  await lab.clock.advance(2 * minute)
  expect(await lab.openAlerts()).toContain('site/unreachable')
  expect((await lab.stores.sites.find(lab.siteA.id))?.health).toBe('unreachable')
  lab.a.comeBack()
  await lab.clock.advance(2 * minute)
  expect(await lab.openAlerts()).toEqual([])
})

test('a stricter policy, and replication that begins again, get the time of their target before anybody is called', async () => {
  const { lab, ask, protectionId } = await newProtectedLab({
    policy: { intervalSeconds: 300, lagTargetSeconds: 600 },
  })
  await lab.clock.advance(4 * minute)
  const strict = await lab.engine.savePolicy(
    { ...defaultPolicySettings, name: 'strict', intervalSeconds: 5, lagTargetSeconds: 30 },
    null,
    { by },
  )
  await lab.engine.editProtection({ by, protectionId, policyId: strict.id })
  await lab.done(lab.engine.plannedFailover(ask))
  await lab.clock.advance(5 * minute)
  await lab.done(lab.engine.rollBack(ask))
  await lab.clock.advance(minute)
  const { rows } = await lab.stores.events.list({}, { limit: 500, cursor: null })
  expect(rows.map(({ code }) => code)).not.toContain('protection/lag')
})

test('the alert of replication that was stopped resolves when the machine runs elsewhere, and when cycles succeed again', async () => {
  const { lab, ask } = await newProtectedLab()
  const stopReplication = async () => {
    lab.a.faults.failNext('source.openPoint', 1, new Refusal({ code: 'x/y', message: 'No', remedy: 'None.' }))
    await lab.clock.advance(minute)
    expect(await lab.openAlerts()).toContain('protection/broken')
  }
  await stopReplication()
  await lab.done(lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true }))
  expect(await lab.openAlerts()).not.toContain('protection/broken')
  await lab.done(lab.engine.rollBack(ask))
  await lab.clock.advance(minute)
  await stopReplication()
  await lab.engine.resync(ask)
  await lab.clock.advance(minute)
  expect(await lab.openAlerts()).toEqual([])
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

test('a roll back whose source cannot be started says so, and its protection is not called protected', async () => {
  const { lab, ask, protectionId } = await newProtectedLab()
  lab.a.cutOff()
  await lab.done(lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true }))
  const job = await lab.settle(lab.engine.rollBack(ask))
  expect(job.tasks.find(({ name }) => name === 'Start the source machine again')?.state).not.toBe('succeeded')
  expect((await lab.stores.protections.find(protectionId))?.state).toBe('broken')
})

test('the second of two answers is refused, and the first one counts', async () => {
  const { lab, ask } = await newProtectedLab()
  lab.a.cutOff()
  const waiting = await lab.settle(
    lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: false }),
  )
  const answer = (value: string) =>
    lab.engine.answerJob(waiting.id, { by, questionId: waiting.question?.id ?? '', value })
  await answer('go-on')
  await expect(answer('stop')).rejects.toMatchObject({ code: 'job/no-question' })
  expect((await lab.settle(Promise.resolve({ jobId: waiting.id }))).state).toBe('succeeded')
})

test('little room for replicas raises an alert that resolves by itself, at the site that keeps them only', async () => {
  const { lab } = await newProtectedLab()
  const room = vi.spyOn(lab.b.replicas, 'freeBytes').mockResolvedValue(GiB)
  vi.spyOn(lab.a.replicas, 'freeBytes').mockResolvedValue(GiB)
  await lab.clock.advance(2 * minute)
  const { rows } = await lab.stores.alerts.list({ open: true }, { limit: 100, cursor: null })
  expect(rows).toMatchObject([{ code: 'site/low-space', subjectId: lab.siteB.id }])
  room.mockResolvedValue(10 * GiB)
  await lab.clock.advance(2 * minute)
  expect(await lab.openAlerts()).toEqual([])
})

test('little room is told although the site itself does not answer', async () => {
  const { lab } = await newProtectedLab()
  vi.spyOn(lab.b.replicas, 'freeBytes').mockResolvedValue(GiB)
  lab.b.cutOff()
  await lab.clock.advance(2 * minute)
  expect(await lab.openAlerts()).toContain('site/low-space')
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

test('a site with one host away is degraded, and what its other hosts have does not grow old', async () => {
  const lab = await newLab()
  const whole = lab.a.platform.checkConnection
  const away = { code: 'kvm/host-unreachable', message: 'Host h2 cannot be reached', remedy: 'Test.' }
  Object.assign(lab.a.platform, { checkConnection: () => Promise.reject(new Outage(away)) })
  await lab.a.addMachine({ name: 'young' })
  await lab.clock.advance(2 * minute)
  expect(await lab.stores.sites.find(lab.siteA.id)).toMatchObject({
    health: 'degraded',
    healthNote: away.message,
  })
  expect(await lab.openAlerts()).toContain('site/unreachable')
  expect((await lab.stores.machines.list(lab.siteA.id)).map(({ name }) => name)).toContain('young')
  Object.assign(lab.a.platform, { checkConnection: whole })
  await lab.clock.advance(2 * minute)
  expect(await lab.openAlerts()).toEqual([])
})

test('every action says why it is not allowed, and the engine refuses with the same words', async () => {
  const { lab, protectionId, ask } = await newProtectedLab()
  const actions = await lab.engine.allowedActions(protectionId)
  expect(actions.filter(({ allowed }) => allowed).map(({ action }) => action)).toEqual([
    'test-failover',
    'planned-failover',
    'unplanned-failover',
    'replicate-now',
    'resync',
    'pause',
    'edit',
    'end',
  ])
  const commit = actions.find(({ action }) => action === 'commit')
  await expect(lab.engine.commit(ask)).rejects.toThrow(commit?.reason ?? 'missing')
  const { protections } = lab.stores
  const all = await lab.engine.allAllowedActions(await protections.list(), await protections.summaries())
  expect(all.get(protectionId)).toEqual(actions)
})
