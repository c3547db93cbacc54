// A simulated site at work: its machines, its memory, and what is wrong with it.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { MiB } from '@understudy/base/bytes'
import { Outage, Refusal } from '@understudy/base/errors'
import type { Clock, Instant } from '@understudy/base/instant'
import { invariant, present } from '@understudy/base/invariant'
import type { DiskKey, MachineHardware, MachineRef } from '@understudy/domain/machines/machine'
import { GRAIN_BYTES, hashText, type Stamp } from './generated-content.ts'
import type { SimulatedSettings } from './settings.ts'
import type { DiskState, SimulatedDisk } from './simulated-disk.ts'
import { type MachineState, type SimulatedMachine, writesPerSecond } from './simulated-machine.ts'
import { type SiteFiles, siteFiles } from './site-state.ts'
import { openWrittenGrains } from './written-grains.ts'

export type SimulatedDeps = {
  /** Holds one folder per simulated site. At a time one process works with a site's folder. */
  readonly folder: string
  readonly clock: Clock
  /** Rejects with the signal's reason when it aborts. */
  readonly sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>
}

export type SimulatedSite = {
  readonly settings: SimulatedSettings
  readonly deps: SimulatedDeps
  readonly files: SiteFiles
  now(): Instant
  /** Loads the machines at the first call. */
  machines(): Promise<ReadonlyMap<MachineRef, SimulatedMachine>>
  /** Throws Refusal `machine/not-found`. */
  find(ref: MachineRef): Promise<SimulatedMachine>
  add(state: MachineState): Promise<SimulatedMachine>
  remove(ref: MachineRef): Promise<void>
  /** Something that the inventory shows has changed. */
  changed(): void
  onChange(listener: () => void): () => void
  /** Latency and chance, before every call. */
  answer(call: string, signal?: AbortSignal): Promise<void>
  /** The same for the source side, which a simulated disaster cuts off. */
  answerAsSource(call: string, signal?: AbortSignal): Promise<void>
}

export function openSimulatedSite(
  siteId: string,
  settings: SimulatedSettings,
  deps: SimulatedDeps,
): SimulatedSite {
  const machines = new Map<MachineRef, SimulatedMachine>()
  const files = siteFiles(join(deps.folder, siteId), () => [...machines.values()].map(({ state }) => state))
  const listeners = new Set<() => void>()
  const session = randomBytes(8).toString('hex')
  let loading: Promise<void> | null = null
  let calls = 0

  const load = async (): Promise<void> => {
    const known = (await files.load()) ?? []
    for (const state of wantedMachines(siteId, known, settings, deps.clock.now()))
      machines.set(state.ref, await openMachine(state, files, session))
  }
  const loaded = async (): Promise<ReadonlyMap<MachineRef, SimulatedMachine>> => {
    loading ??= load()
    try {
      await loading
    } catch (error) {
      // The next call tries again.
      loading = null
      throw error
    }
    return machines
  }
  const answer = async (call: string, signal?: AbortSignal): Promise<void> => {
    signal?.throwIfAborted()
    if (settings.latencyMilliseconds > 0) await deps.sleep(settings.latencyMilliseconds, signal)
    calls += 1
    const luck = hashText(`${settings.seed} call ${calls}`) % 1000
    if (luck < settings.faults.failuresPerThousandCalls) throw broken(call)
  }
  return {
    settings,
    deps,
    files,
    now: () => deps.clock.now(),
    machines: loaded,
    async find(ref) {
      const machine = (await loaded()).get(ref)
      if (machine) return machine
      throw notFound(ref)
    },
    async add(state) {
      await loaded()
      invariant(!machines.has(state.ref), `machine ${state.ref} is made once`)
      const machine = await openMachine(state, files, session)
      machines.set(state.ref, machine)
      return machine
    },
    async remove(ref) {
      await loaded()
      machines.delete(ref)
      await files.saveNow()
      await files.removeDisks(ref)
    },
    changed() {
      for (const listener of listeners) listener()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    answer,
    async answerAsSource(call, signal) {
      if (settings.faults.unreachable) throw unreachable()
      await answer(call, signal)
    },
  }
}

async function openMachine(
  state: MachineState,
  files: SiteFiles,
  session: string,
): Promise<SimulatedMachine> {
  const disks: SimulatedDisk[] = []
  for (const disk of state.disks) disks.push(await openDisk(state.ref, disk, files))
  return { state, disks, session, serialAtLoad: state.serial }
}

async function openDisk(ref: MachineRef, state: DiskState, files: SiteFiles): Promise<SimulatedDisk> {
  const written = await openWrittenGrains(files.diskFile(ref, state.key))
  return { state, written, point: null, queue: Promise.resolve() }
}

/** A disk more, while the machine runs. */
export async function addDisk(
  site: SimulatedSite,
  machine: SimulatedMachine,
  bytes: number,
): Promise<DiskKey> {
  let number = machine.disks.length
  while (machine.state.disks.some(({ key }) => key === `disk${number}`)) number += 1
  const key = `disk${number}` as DiskKey
  const state: DiskState = { key, bytes, origin: 'zeros', stamp: null, originSeed: '', churnSeed: '' }
  const disk = await openDisk(machine.state.ref, state, site.files)
  machine.state.disks = [...machine.state.disks, state]
  Object.assign(machine, { disks: [...machine.disks, disk] })
  await site.files.saveNow()
  return key
}

/** What is known, with the settings' machines completed or, where they are too many now, left out. */
function wantedMachines(
  siteId: string,
  known: readonly MachineState[],
  settings: SimulatedSettings,
  now: Instant,
): readonly MachineState[] {
  const kept = known.filter(({ number }) => number === null || number <= settings.machines)
  const numbers = new Set(kept.map(({ number }) => number))
  const made: MachineState[] = []
  for (let number = 1; number <= settings.machines; number += 1)
    if (!numbers.has(number)) made.push(settingsMachine(siteId, number, settings, now))
  return [...kept, ...made]
}

function settingsMachine(
  siteId: string,
  number: number,
  settings: SimulatedSettings,
  now: Instant,
): MachineState {
  const name = `sim-${String(number).padStart(4, '0')}`
  const identity = `${siteId}/${name}/${settings.seed}`
  const stamp = {
    identity,
    diskCount: settings.disksPerMachine,
    usedGrains: settings.usedBytes / GRAIN_BYTES,
    writesPerSecond: writesPerSecond(settings.churnBytesPerSecond),
  }
  const disks = Array.from({ length: settings.disksPerMachine }, (_, diskIndex) =>
    generatedDisk(settings.diskBytes, settings.usedBytes > 0 ? { ...stamp, diskIndex } : null, diskIndex),
  )
  return {
    ...newMachineState({ ref: name as MachineRef, name, disks, now }),
    number,
    hardware: simulatedHardware(identity),
    guestAgent: settings.guestAgent,
    identity: settings.usedBytes > 0 ? identity : null,
    writesPerSecond: stamp.writesPerSecond,
    power: 'running',
  }
}

function generatedDisk(bytes: number, stamp: Stamp | null, diskIndex: number): DiskState {
  const seed = stamp ? `${stamp.identity} disk ${diskIndex}` : ''
  return {
    key: `disk${diskIndex}` as DiskKey,
    bytes,
    origin: stamp ? 'generated' : 'zeros',
    stamp,
    originSeed: seed,
    churnSeed: seed,
  }
}

/** Off, without a guest. */
export function newMachineState(machine: {
  readonly ref: MachineRef
  readonly name: string
  readonly disks: DiskState[]
  readonly now: Instant
}): MachineState {
  return {
    ref: machine.ref,
    name: machine.name,
    number: null,
    hardware: simulatedHardware(machine.ref),
    guestAgent: false,
    identity: null,
    writesPerSecond: 0,
    disks: machine.disks,
    power: 'off',
    writes: 0,
    since: machine.now,
    generation: 1,
    serial: 0,
    mutation: 0,
    owners: {},
    run: null,
    mixedBy: null,
  }
}

export function simulatedHardware(identity: string): Omit<MachineHardware, 'disks'> {
  const tail = hashText(identity).toString(16).padStart(8, '0').match(/../g)?.slice(0, 3).join(':')
  return {
    cpus: 1,
    memoryBytes: 512 * MiB,
    firmware: 'bios',
    adapters: [
      {
        key: 'net0',
        macAddress: `52:54:00:${present(tail, 'eight digits are four pairs')}`,
        networkId: 'sim-lan',
        model: 'simulated',
      },
    ],
  }
}

const notFound = (ref: MachineRef): Refusal =>
  new Refusal({
    code: 'machine/not-found',
    message: `There is no machine ${ref} at the simulated site`,
    remedy: 'It may have been removed; refresh the inventory.',
  })

const broken = (call: string): Outage =>
  new Outage({
    code: 'simulated/broken-call',
    message: `The simulated site failed at ${call}, as its settings ask for`,
    remedy: 'Set failuresPerThousandCalls to 0 if that is not wanted.',
  })

const unreachable = (): Outage =>
  new Outage({
    code: 'site/unreachable',
    message: 'The simulated site does not answer, as its settings ask for',
    remedy: 'Switch off faults.unreachable in the settings of the site.',
  })
