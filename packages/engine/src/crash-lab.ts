// For tests only: an engine whose process dies where it is told to, and another one that finds what it left.

import { defaultPolicySettings } from '@understudy/domain/protection/policy'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import { fakeWorld } from '@understudy/simulator/fake-platform'
import {
  type DurableCrash,
  type DurableLog,
  durableLog,
  type MemoryDurable,
  memoryDurable,
} from '@understudy/simulator/memory-durable'
import { memoryLive } from '@understudy/simulator/memory-live'
import { memoryPrinter } from '@understudy/simulator/memory-printer'
import { memorySeedFolders } from '@understudy/simulator/memory-seed-folders'
import { memorySteps } from '@understudy/simulator/memory-steps'
import { memoryStores } from '@understudy/simulator/memory-stores'
import {
  type CrashPoint,
  type SimulatedProcess,
  simulatedProcess,
} from '@understudy/simulator/simulated-process'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { createEngine, type Engine } from './engine.ts'
import { by, withSlowShutDown } from './engine-lab.ts'
import { defaultEngineConfig } from './engine-parts.ts'
import type { Stores } from './ports/stores.ts'

export type Crash = { readonly act?: DurableCrash; readonly call?: CrashPoint }
type Other = { readonly moverId?: string; readonly log?: DurableLog; readonly stores?: Stores }
export type Process = {
  readonly engine: Engine
  readonly durable: MemoryDurable
  readonly outside: SimulatedProcess
}

/** Two fake sites on which one process after the other lives; each may be told where to die. */
export async function newCrashLab() {
  const clock = virtualClock()
  const world = fakeWorld(clock)
  const a = world.addSite('A')
  const b = world.addSite('B')
  const stores = memoryStores()
  const log = durableLog()
  const steps = memorySteps(clock)
  const seeds = memorySeedFolders()
  let ids = 0
  const newId = (): string => {
    ids += 1
    return `id-${ids}`
  }
  const platforms = {
    of: async ({ name }: { name: string }) => withSlowShutDown(world.site(name).platform, clock),
    preview: async ({ name }: { name: string }) => world.site(name).platform,
    secretPlaces: () => ({}),
    forget: async () => {},
  }
  /** Another process at the same time has a log of its own: its jobs are nobody else's. */
  const begin = async (crash: Crash, other: Other = {}): Promise<Process> => {
    const durable = memoryDurable({
      log: other.log ?? log,
      clock,
      ...(crash.act ? { crash: crash.act } : {}),
    })
    const outside = simulatedProcess(crash.call ?? null)
    // A clean stop announces itself in the same way, and is no death.
    void durable.died.then(() => durable.dead && outside.kill())
    void outside.died.then(() => durable.kill())
    const engine = createEngine({
      stores: outside.wrap(other.stores ?? stores),
      durable,
      platforms: outside.wrap(platforms),
      steps: outside.wrap(steps),
      seeds: outside.wrap(seeds),
      printer: memoryPrinter(),
      live: memoryLive(),
      clock,
      sleep: clock.sleep,
      newId,
      config: {
        ...defaultEngineConfig,
        moverId: other.moverId ?? 'mover',
        answerTimeoutSeconds: 20,
        inventoryEverySeconds: 3600,
        firstCopyKeepBytes: 2 ** 18,
      },
      log: () => {},
    })
    const started = engine.start()
    await Promise.race([started, outside.died])
    return { engine, durable, outside }
  }
  return { clock, world, a, b, stores, steps, seeds, log, begin }
}

export type CrashLab = Awaited<ReturnType<typeof newCrashLab>> & {
  readonly protectionId: ProtectionId
  process: Process
}
export const askOf = (lab: CrashLab) => ({ by, protectionId: lab.protectionId })

/** With one machine, 20 s into its protection. */
export async function protectedCrashLab(disks = [2 ** 18, 2 ** 17]): Promise<CrashLab> {
  const lab = await newCrashLab()
  const machine = await lab.a.addMachine({
    name: 'web',
    disks,
    writeEveryMilliseconds: 700,
  })
  const process = await lab.begin({})
  const { engine } = process
  const nothing = { platform: 'simulated' as const, settings: {}, secrets: {} }
  const siteA = await engine.registerSite({ ...nothing, name: 'A' }, { by })
  const siteB = await engine.registerSite({ ...nothing, name: 'B' }, { by })
  const policy = await engine.savePolicy({ ...defaultPolicySettings, name: 'gold' }, null, { by })
  const row = await lab.stores.machines.findByRef(siteA.id, machine.ref)
  if (!row) throw new Error('the inventory has the machine')
  const { protectionId } = await engine.protect({
    by,
    machineId: row.id,
    targetSiteId: siteB.id,
    policyId: policy.id,
    adapters: [{ adapterKey: 'net0', failoverNetworkId: 'lan', testNetworkId: 'isolated' }],
    excludedDisks: [],
  })
  await lab.clock.advance(20_000)
  return { ...lab, protectionId, process }
}
