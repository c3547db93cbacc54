// A machine of a simulated site: what is kept of it, how its guest's writes follow the clock, and its power.
import type { Instant } from '@understudy/base/instant'
import type { RunId } from '@understudy/domain/failover/failover'
import type {
  DiscoveredMachine,
  DiskKey,
  MachineHardware,
  MachineRef,
} from '@understudy/domain/machines/machine'
import { type Checkpoint, checkpointName, parseCheckpoint } from './checkpoint.ts'
import { GRAIN_BYTES, hashText, writesOnDisk } from './generated-content.ts'
import { type DiskImage, type DiskState, imageOf, type SimulatedDisk } from './simulated-disk.ts'

export type RunState = {
  readonly id: RunId
  readonly mode: 'test' | 'failover'
  adopted: boolean
}

/** What of a machine is kept in the site's state file. JSON. */
export type MachineState = {
  readonly ref: MachineRef
  readonly name: string
  /** One of the machines that the settings ask for, counted from 1; null for one that was made later. */
  readonly number: number | null
  readonly hardware: Omit<MachineHardware, 'disks'>
  readonly guestAgent: boolean
  /** What the guest of every copy of this machine calls itself; null without a guest. */
  readonly identity: string | null
  readonly writesPerSecond: number
  disks: DiskState[]
  power: 'running' | 'off'
  /** Writes of the guest until `since`; while it runs they go on from there. */
  writes: number
  since: Instant
  /** Rises whenever tracking is lost. */
  generation: number
  serial: number
  mutation: number
  /** Live checkpoints by owner. */
  owners: Record<string, string[]>
  run: RunState | null
  /** The run whose restore was interrupted and has left mixed content. */
  mixedBy: RunId | null
}

export type SimulatedMachine = {
  readonly state: MachineState
  readonly disks: readonly SimulatedDisk[]
  /** Names this process among all that have opened the site. */
  readonly session: string
  /** Checkpoints after this one, of another session, were made after the state file was last written, by a process that died. */
  readonly serialAtLoad: number
}

/** The guest's writes until now, over all its disks. */
export function writesUntil({ state }: SimulatedMachine, now: Instant): number {
  if (state.power !== 'running') return state.writes
  const seconds = Math.max(0, now - state.since) / 1000
  return state.writes + Math.floor(seconds * state.writesPerSecond)
}

/** Of one disk. */
export function diskWritesUntil(machine: SimulatedMachine, disk: SimulatedDisk, now: Instant): number {
  const { stamp } = disk.state
  return stamp ? writesOnDisk(writesUntil(machine, now), stamp.diskIndex, stamp.diskCount) : 0
}

export const imageAt = (machine: SimulatedMachine, disk: SimulatedDisk, now: Instant): DiskImage =>
  imageOf(disk, diskWritesUntil(machine, disk, now))

export function powerOn({ state }: SimulatedMachine, now: Instant): void {
  if (state.power === 'running') return
  state.power = 'running'
  state.since = now
}

/** The guest has stopped cleanly: what was tracked stays known. */
export function powerDown(machine: SimulatedMachine, now: Instant): void {
  const { state } = machine
  state.writes = writesUntil(machine, now)
  state.since = now
  state.power = 'off'
}

/** The plug is pulled: what was tracked is lost. */
export function pullPlug(machine: SimulatedMachine, now: Instant): void {
  if (machine.state.power === 'off') return
  powerDown(machine, now)
  loseTracking(machine)
}

export function loseTracking({ state }: SimulatedMachine): void {
  state.generation += 1
  state.owners = {}
}

/** A new checkpoint of the owner, at `now`. */
export function addCheckpoint(
  machine: SimulatedMachine,
  trackingId: string,
  excluded: readonly DiskKey[],
  now: Instant,
): string {
  const { state, disks } = machine
  state.serial += 1
  const marks = disks
    .filter((disk) => !excluded.includes(disk.state.key))
    .map((disk) => {
      const writes = diskWritesUntil(machine, disk, now)
      return [disk.state.key, { bytes: disk.state.bytes, writes, mutation: state.mutation }] as const
    })
  const { generation, serial } = state
  const name = checkpointName({ generation, session: machine.session, serial, disks: new Map(marks) })
  state.owners[trackingId] = [...(state.owners[trackingId] ?? []), name]
  return name
}

/** Null when it is not valid any more, or never was. */
export function findCheckpoint(
  machine: SimulatedMachine,
  trackingId: string,
  name: string,
): Checkpoint | null {
  const { state, session, serialAtLoad } = machine
  const checkpoint = parseCheckpoint(name)
  if (checkpoint?.generation !== state.generation) return null
  const live = state.owners[trackingId]?.includes(name) === true
  // Made in the last moment of a process that died before it wrote the state down. Its name says enough.
  const unsaved = checkpoint.session !== session && checkpoint.serial > serialAtLoad
  return live || unsaved ? checkpoint : null
}

/** From now on the owner has these and no others. */
export function setCheckpoints(
  { state }: SimulatedMachine,
  trackingId: string,
  names: readonly string[],
): void {
  if (names.length > 0) state.owners[trackingId] = [...names]
  else delete state.owners[trackingId]
}

export function dropCheckpoint(machine: SimulatedMachine, trackingId: string, name: string | null): void {
  const names = machine.state.owners[trackingId] ?? []
  setCheckpoints(
    machine,
    trackingId,
    names.filter((other) => other !== name),
  )
}

/** Changes with every write. */
export function fingerprintOf(machine: SimulatedMachine, disk: SimulatedDisk, now: Instant): string {
  const newest = [...disk.written.index().values()].reduce(
    (most, { mutation }) => Math.max(most, mutation),
    0,
  )
  const { key, bytes, churnSeed } = disk.state
  const facts = [machine.state.ref, key, bytes, churnSeed, diskWritesUntil(machine, disk, now), newest].join(
    '|',
  )
  return `sim-${hashText(facts).toString(16).padStart(8, '0')}-${newest}-${diskWritesUntil(machine, disk, now)}`
}

export function toDiscovered({ state }: SimulatedMachine): DiscoveredMachine {
  return {
    ref: state.ref,
    name: state.name,
    host: 'simulated host',
    power: state.power,
    hardware: {
      ...state.hardware,
      disks: state.disks.map(({ key, bytes }, index) => ({
        key,
        label: `Simulated disk ${index + 1}`,
        bytes,
        format: 'simulated',
        bus: 'simulated',
        boot: index === 0,
      })),
    },
    guestAgent: state.guestAgent,
    ownedBy: state.run?.id ?? null,
  }
}

export const writesPerSecond = (churnBytesPerSecond: number): number => churnBytesPerSecond / GRAIN_BYTES
