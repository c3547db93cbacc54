// An engine between two fake sites, with one machine: where the use cases are tested as an operator would ask for them.

import type { JobId } from '@understudy/domain/jobs/job'
import { defaultPolicySettings, type PolicySettings } from '@understudy/domain/protection/policy'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import { type FakeSite, fakeWorld, type NewFakeMachine } from '@understudy/simulator/fake-platform'
import { faultInjection } from '@understudy/simulator/faults'
import { readAll } from '@understudy/simulator/memory-disk'
import { durableLog, memoryDurable } from '@understudy/simulator/memory-durable'
import { memoryLive } from '@understudy/simulator/memory-live'
import { memoryPrinter } from '@understudy/simulator/memory-printer'
import { memorySeedFolders } from '@understudy/simulator/memory-seed-folders'
import { memorySteps } from '@understudy/simulator/memory-steps'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { checkGuest } from '@understudy/simulator/synthetic-guest'
import { type VirtualClock, virtualClock } from '@understudy/simulator/virtual-clock'
import { afterEach, expect } from 'vitest'
import { createEngine, type Engine } from './engine.ts'
import { defaultEngineConfig, type EngineConfig } from './engine-parts.ts'
import type { SitePlatform } from './ports/platforms.ts'

export const by = 'olga'
export const minute = 60_000
export const latest = { kind: 'latest' } as const
const engines: Engine[] = []

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.stop()
})

export type Wanted = {
  readonly policy?: Partial<PolicySettings>
  readonly config?: Partial<EngineConfig>
  readonly machine?: Partial<NewFakeMachine>
  /** Without the rule that one job at a time works on a protection. */
  readonly jobsMeet?: boolean
}

/** Two sites, one machine that is not protected, one engine. */
export async function newLab(wanted: Wanted = {}) {
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
  const steps = memorySteps(clock)
  let ids = 0
  const newId = (): string => {
    ids += 1
    return `id-${ids}`
  }
  // What the process sees: time goes on, only the figures are wrong.
  let behindMilliseconds = 0
  const engineClock = { now: () => clock.now() - behindMilliseconds }
  const printer = memoryPrinter()
  const seeds = memorySeedFolders()
  const tried = new Map<string, SitePlatform>()
  const newEngine = () => {
    const durable = memoryDurable({ log, clock })
    const engine = createEngine({
      stores: faultyStores,
      durable,
      platforms: {
        of: async ({ name }) => withSlowShutDown(world.site(name).platform, clock),
        preview: async ({ name }) => tried.get(name) ?? world.site(name).platform,
        secretPlaces: ({ settings }) => (settings.secretPlaces ?? {}) as Record<string, string>,
        forget: async () => {},
      },
      steps,
      seeds,
      printer,
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
    /** What a site is with settings that are not saved yet, by its name; the same as with the saved ones unless it is in here. */
    tried,
    stores,
    /** Disks that are carried. */
    seeds,
    /** What the steps of plans do. */
    printer,
    steps,
    database,
    /** What the durable jobs have written down. */
    log,
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
export function withSlowShutDown(platform: SitePlatform, clock: VirtualClock): SitePlatform {
  const { source } = platform
  if (!source) return platform
  const shutDown: typeof source.shutDown = async (ref, options) => {
    await clock.sleep(3000, options.signal)
    return await source.shutDown(ref, options)
  }
  return { ...platform, source: { ...source, shutDown } }
}

export type Lab = Awaited<ReturnType<typeof newLab>>
export type Ask = { readonly by: string; readonly protectionId: ProtectionId }

/** The same, a minute into the machine's protection. */
export async function newProtectedLab(wanted: Wanted = {}) {
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

export const rollBack = (lab: Lab, ask: Ask) => lab.engine.rollBack(ask)

export const commit = (lab: Lab, ask: Ask) => lab.engine.commit(ask)

export const firstPointOf = async (lab: Lab, { protectionId }: Ask) => {
  const [first] = await lab.engine.recoveryPoints(protectionId)
  if (!first) throw new Error('there is a point')
  return first.id
}

export const changeTo = (lab: Lab, ask: Ask, id: PointId) =>
  lab.engine.changePoint({ ...ask, choice: { kind: 'point', id } })

export const runningAt = (site: FakeSite) => site.machines().filter(({ power }) => power === 'running')

export const contentOf = async (site: FakeSite, ref: string): Promise<Buffer> => {
  const machine = site.machines().find((candidate) => candidate.ref === ref)
  if (!machine) throw new Error(`there is a machine ${ref}`)
  return Buffer.concat(await Promise.all(machine.readDisks().map(readAll)))
}

/** Cut what the guest wrote since its boot: the disks of a boot at its very instant. */
export const recordsOf = async (site: FakeSite, ref: string): Promise<number> => {
  const machine = site.machines().find((candidate) => candidate.ref === ref)
  if (!machine) throw new Error(`there is a machine ${ref}`)
  return (await checkGuest(machine.readDisks()))?.records ?? 0
}

export const failedOverRef = async (lab: Lab, id: ProtectionId): Promise<string> => {
  const run = (await lab.activeRuns(id)).find(({ kind }) => kind !== 'test')
  if (!run?.machineRef) throw new Error('a replica runs')
  return run.machineRef
}

export async function failedOverAndCommitted(wanted: Wanted = {}) {
  const prepared = await newProtectedLab(wanted)
  const { lab, ask } = prepared
  await lab.done(lab.engine.plannedFailover(ask))
  await lab.clock.advance(minute)
  await lab.done(lab.engine.commit(ask))
  await lab.clock.advance(minute)
  return prepared
}

/** Lets time pass in small steps until it is so. */
export async function until(lab: Lab, isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2000 && !isSo(); turn += 1) await lab.clock.advance(100)
  expect(isSo()).toBe(true)
}

/** A planned failover that has shut its source down and is about to copy the last changes. */
export async function stoppedSource(lab: Lab, ask: { by: string; protectionId: ProtectionId }) {
  const release = lab.a.faults.hang('source.openStoppedDisks')
  const started = lab.engine.plannedFailover(ask)
  await started
  await until(lab, () => lab.machine.power === 'off')
  return { started, release }
}

/** One more machine at site A, a minute into its protection. */
export async function protectOneMore(
  lab: Lab,
  machine: Partial<NewFakeMachine> & { readonly name: string },
): Promise<ProtectionId> {
  const { ref } = await lab.a.addMachine({ disks: [2 ** 18], writeEveryMilliseconds: 500, ...machine })
  await lab.engine.refreshSite(lab.siteA.id)
  const row = await lab.stores.machines.findByRef(lab.siteA.id, ref)
  if (!row) throw new Error('the inventory has the machine')
  const { protectionId } = await lab.engine.protect({
    by,
    machineId: row.id,
    targetSiteId: lab.siteB.id,
    policyId: lab.policy.id,
    adapters: [{ adapterKey: 'net0', failoverNetworkId: 'lan', testNetworkId: 'isolated' }],
    excludedDisks: [],
  })
  await lab.clock.advance(minute)
  expect((await lab.state(protectionId)).state).toBe('protected')
  return protectionId
}
