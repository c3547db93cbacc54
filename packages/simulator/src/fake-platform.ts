// Sites in memory, at the ports: machines that write, fail, die and are booted again, and a book of who ran when.

import { Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import { present } from '@understudy/base/invariant'
import type { BlockReader } from '@understudy/block/device'
import type { DiskKey, MachineHardware, MachineRef } from '@understudy/domain/machines/machine'
import type { Network, SiteId } from '@understudy/domain/sites/site'
import type { Platforms, SitePlatform } from '@understudy/engine/ports/platforms'
import type { ReplicaStore } from '@understudy/engine/ports/replica-store'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import type { TargetPlatform } from '@understudy/engine/ports/target-platform'
import { type FakeMachine, type FakeMachineSpec, fakeMachine } from './fake-machine.ts'
import { type FakeMachines, fakeSource } from './fake-source.ts'
import { type FakeTargetSite, fakeTarget } from './fake-target.ts'
import { type Faults, faultInjection } from './faults.ts'
import { type MemoryDisk, memoryDisk } from './memory-disk.ts'
import { memoryReplicaStore } from './memory-replica-store.ts'
import { rescuedSite } from './rescued-site.ts'
import { seededRandom } from './seeded-random.ts'
import { installGuest } from './synthetic-guest.ts'
import type { VirtualClock } from './virtual-clock.ts'

export type BootRecord = {
  readonly at: Instant
  readonly siteId: SiteId
  readonly ref: MachineRef
  /** Whose copy it is, read from its disks; null without a guest. */
  readonly identity: string | null
  readonly isolated: boolean
}

export type NewFakeMachine = {
  readonly name: string
  /** Bytes of each disk; one of 1 MiB unless told otherwise. */
  readonly disks?: readonly number[]
  readonly guestAgent?: boolean
  /** 0: nothing is installed, the disks are empty and nobody writes. 1,000 unless told otherwise. */
  readonly writeEveryMilliseconds?: number
  readonly keepsTrackingOverShutDown?: boolean
  readonly power?: 'running' | 'off'
}

export type FakeSite = {
  readonly id: SiteId
  readonly source: SourcePlatform
  readonly target: TargetPlatform
  readonly replicas: ReplicaStore
  readonly platform: SitePlatform & { readonly replicas: ReplicaStore }
  readonly faults: Faults
  /** From now on, and not more often. */
  givesPointsEvery(seconds: number): void
  /** From now on its machines are servers that are read by a program inside them, and shut down at a last point. */
  readsByThemselves(): void
  addMachine(machine: NewFakeMachine): Promise<FakeMachine>
  removeMachine(ref: MachineRef): void
  machines(): readonly FakeMachine[]
  machine(ref: MachineRef): FakeMachine
  /** By name; the newest of that name. */
  named(name: string): FakeMachine | null
  /** Power and network are gone, and with them every machine and what was tracked in memory. */
  burnDown(): void
  /**
   * From now on like a site of physical servers: it makes no machines and switches none, and what is off cannot be asked. Its own come
   * home through a rescue system.
   */
  makesNoMachines(): void
  /** Of a site that makes no machines: a rescue system runs on the machine, or does not any more. */
  rescue(ref: MachineRef, runs: boolean): void
  /** Nobody can reach it, but its machines run on. */
  cutOff(): void
  comeBack(): void
}

export type FakeWorld = {
  readonly clock: VirtualClock
  readonly platforms: Platforms
  addSite(id: string): FakeSite
  site(id: string): FakeSite
  /** Every power-on, in order. */
  readonly boots: readonly BootRecord[]
  /** Two live copies of one machine at a time, and the like. Must stay empty unless a person insisted. */
  readonly violations: readonly string[]
  /** Machines that are on, not isolated, and carry this guest. */
  liveCopies(identity: string): readonly FakeMachine[]
}

const MiB = 2 ** 20

const networks: readonly Network[] = [
  { id: 'lan', name: 'LAN', isolated: false, description: 'A network of the fake site' },
  { id: 'isolated', name: 'Isolated', isolated: true, description: 'Lets nothing out' },
]

/** `seed` drives faults by chance; print it when a test fails. */
export function fakeWorld(clock: VirtualClock, seed = 1): FakeWorld {
  const random = seededRandom(seed)
  const sites = new Map<string, FakeSite>()
  const boots: BootRecord[] = []
  const violations: string[] = []
  const allMachines = (): FakeMachine[] => [...sites.values()].flatMap((site) => [...site.machines()])
  const liveCopies = (identity: string): FakeMachine[] =>
    allMachines().filter(
      (machine) => machine.power === 'running' && !machine.isolated && machine.identity === identity,
    )
  clock.onMove((now) => {
    for (const machine of allMachines()) machine.catchUp(now)
  })
  const onPowerOn = (siteId: SiteId, machine: FakeMachine): void => {
    const { ref, identity, isolated } = machine
    boots.push({ at: clock.now(), siteId, ref, identity, isolated })
    if (isolated || identity === null) return
    const copies = liveCopies(identity)
    if (copies.length > 1)
      violations.push(`two live copies of ${identity}: ${copies.map((copy) => copy.ref).join(' and ')}`)
  }
  const site = (id: string): FakeSite => present(sites.get(id), `the world has site ${id}`)

  return {
    clock,
    boots,
    violations,
    liveCopies,
    site,
    addSite(id) {
      const added = fakeSite(id as SiteId, { clock, random: random.fork(id), onPowerOn })
      sites.set(id, added)
      return added
    },
    platforms: {
      of: async ({ id }) => site(id).platform,
      preview: async ({ id }) => site(id).platform,
      secretPlaces: () => ({}),
      forget: async () => {},
    },
  }
}

type WorldParts = {
  readonly clock: VirtualClock
  readonly random: ReturnType<typeof seededRandom>
  onPowerOn(siteId: SiteId, machine: FakeMachine): void
}

function fakeSite(id: SiteId, { clock, random, onPowerOn }: WorldParts): FakeSite {
  const { faults, inject } = faultInjection(random)
  const machines = new Map<MachineRef, FakeMachine>()
  const listeners = new Set<() => void>()
  const changed = (): void => {
    for (const listener of listeners) listener()
  }
  const find = (ref: MachineRef): FakeMachine => {
    const machine = machines.get(ref)
    if (machine) return machine
    throw new Refusal({
      code: 'machine/not-found',
      message: `There is no machine ${ref} here`,
      remedy: 'It may have been removed; refresh the inventory.',
    })
  }
  const add = (spec: FakeMachineSpec, name: string): FakeMachine => {
    const machine = fakeMachine(spec, clock, (started) => {
      onPowerOn(id, started)
      changed()
    })
    machine.name = name
    machines.set(spec.ref, machine)
    changed()
    return machine
  }
  let shortestIntervalSeconds = 1
  let readByThemselves = false
  const parts: FakeMachines = {
    clock,
    readByThemselves: () => readByThemselves,
    shortestIntervalSeconds: () => shortestIntervalSeconds,
    list: () => [...machines.values()],
    find,
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    guard: (reader: BlockReader) => inject('disk', reader),
  }
  const targetSite: FakeTargetSite = {
    ...parts,
    // A replica's content comes from the replica store at its own site, which does not depend on the network to it.
    guard: (reader) => reader,
    networks,
    make: (spec, disks, isolated) =>
      add(
        {
          ...madeFor(id, spec.hardware),
          ref: `run-${spec.runId}` as MachineRef,
          runId: spec.runId,
          isolated,
          disks,
        },
        spec.name,
      ),
    remove(ref) {
      machines.delete(ref)
      changed()
    },
  }
  const source = inject('source', fakeSource(parts))
  const target = inject('target', fakeTarget(targetSite))
  const replicas = memoryReplicaStore(clock)
  const common = {
    replicas,
    checkConnection: async () => ({ summary: `${machines.size} machines` }),
    close: async () => {},
  }
  const platform: FakeSite['platform'] = inject('site', { source, target, ...common })
  const rescued = rescuedSite({ source, target })
  const withoutMachines: FakeSite['platform'] = inject('site', {
    source: rescued.source,
    originals: rescued.originals,
    ...common,
  })
  let makesMachines = true
  return {
    id,
    source,
    target,
    replicas,
    get platform() {
      return makesMachines ? platform : withoutMachines
    },
    faults,
    givesPointsEvery(seconds) {
      shortestIntervalSeconds = seconds
    },
    readsByThemselves() {
      readByThemselves = true
    },
    async addMachine(wanted) {
      const { spec, name } = newMachine(id, wanted)
      const machine = add(spec, name)
      if (spec.writeEveryMilliseconds < Infinity) installGuest(`${id}/${name}`, [...spec.disks.values()])
      if (wanted.power !== 'off') await machine.start()
      return machine
    },
    removeMachine(ref) {
      machines.get(ref)?.powerOff()
      targetSite.remove(ref)
    },
    machines: () => [...machines.values()],
    machine: find,
    named: (name) => [...machines.values()].findLast((machine) => machine.name === name) ?? null,
    burnDown() {
      faults.siteDown = true
      for (const machine of machines.values()) machine.powerOff()
    },
    makesNoMachines() {
      makesMachines = false
    },
    rescue: rescued.rescue,
    cutOff() {
      faults.siteDown = true
    },
    comeBack() {
      faults.siteDown = false
    },
  }
}

const hardware: MachineHardware = {
  cpus: 1,
  memoryBytes: 128 * MiB,
  firmware: 'bios',
  disks: [],
  adapters: [{ key: 'net0', macAddress: '52:54:00:00:00:01', networkId: 'lan', model: 'virtio' }],
}

const madeFor = (
  id: SiteId,
  of: MachineHardware,
): Omit<FakeMachineSpec, 'ref' | 'runId' | 'isolated' | 'disks'> => ({
  hardware: of,
  host: `${id}-host`,
  guestAgent: true,
  writeEveryMilliseconds: 1_000,
  keepsTrackingOverShutDown: true,
})

function newMachine(id: SiteId, wanted: NewFakeMachine): { spec: FakeMachineSpec; name: string } {
  const { name, disks = [MiB], guestAgent = true, keepsTrackingOverShutDown = true } = wanted
  const { writeEveryMilliseconds = 1_000 } = wanted
  const entries = disks.map((bytes, index): [DiskKey, MemoryDisk] => [
    `disk${index}` as DiskKey,
    memoryDisk(bytes),
  ])
  const spec: FakeMachineSpec = {
    ...madeFor(id, hardware),
    ref: `${id}-${name}` as MachineRef,
    guestAgent,
    keepsTrackingOverShutDown,
    writeEveryMilliseconds: writeEveryMilliseconds === 0 ? Infinity : writeEveryMilliseconds,
    runId: null,
    isolated: false,
    disks: new Map(entries),
  }
  return { spec, name }
}
