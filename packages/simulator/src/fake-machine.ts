// A machine in memory: disks, power, a guest that writes, and change tracking as hypervisors do it.

import type { Clock, Instant } from '@understudy/base/instant'
import { present } from '@understudy/base/invariant'
import type { BlockReader, Extent } from '@understudy/block/device'
import { coalesce } from '@understudy/block/extents'
import { GRAIN_BYTES } from '@understudy/block/zero-detection'
import type { RunId } from '@understudy/domain/failover/failover'
import type {
  DiscoveredMachine,
  DiskKey,
  MachineHardware,
  MachineRef,
  PowerState,
} from '@understudy/domain/machines/machine'
import { imageReader, type MemoryDisk, memoryDisk } from './memory-disk.ts'
import { bootGuest, type SyntheticGuest } from './synthetic-guest.ts'

/** What was written since a moment, per disk that was there then. */
export type FakeCheckpoint = {
  readonly id: string
  readonly trackingId: string
  readonly dirty: ReadonlyMap<DiskKey, Set<number>>
}

export type FakeMachineSpec = {
  readonly ref: MachineRef
  readonly hardware: MachineHardware
  readonly host: string
  readonly guestAgent: boolean
  readonly writeEveryMilliseconds: number
  /** A clean shut-down keeps what was tracked, as bitmaps stored in the image do. */
  readonly keepsTrackingOverShutDown: boolean
  /** The run that it was made for, or null for a machine of the site's own. */
  readonly runId: RunId | null
  /** Nothing that it does reaches anybody. */
  readonly isolated: boolean
  readonly disks: ReadonlyMap<DiskKey, MemoryDisk>
}

export type FakeMachine = {
  readonly ref: MachineRef
  readonly runId: RunId | null
  readonly isolated: boolean
  readonly guestAgent: boolean
  name: string
  /** Does not react to the power button. */
  ignoresShutDown: boolean
  /** Cannot be tracked: points have no checkpoint. */
  untrackable: boolean
  /** Writes on while it is copied, and has its instant at the end. */
  settles: boolean
  /** What it does between the rounds of settling, and after its instant. */
  whileSettling: (() => Promise<void>) | null
  /** The instant is now. */
  onSettled: (() => void) | null
  adopted: boolean
  /** The run whose restore has mixed old and new content on the disks. It must not start. */
  mixedBy: RunId | null
  readonly power: PowerState
  /** The point that holds it still: what its guest would write waits. */
  readonly heldBy: object | null
  readonly disks: ReadonlyMap<DiskKey, MemoryDisk>
  readonly guest: SyntheticGuest | null
  /** The same guest in every copy, null without one. */
  readonly identity: string | null
  readonly checkpoints: Map<string, FakeCheckpoint>
  /** Begins to track, from this instant, the disks that are not excluded. */
  addCheckpoint(trackingId: string, excluded: readonly DiskKey[]): FakeCheckpoint
  dropCheckpoints(where: (checkpoint: FakeCheckpoint) => boolean): void
  changedSince(checkpoint: FakeCheckpoint, key: DiskKey): Extent[] | null
  start(): Promise<void>
  shutDown(): void
  /** From now on, until it is let go or off. */
  hold(by: object): void
  letGo(): void
  /** The plug is pulled: what was tracked in memory is gone. */
  powerOff(): void
  /** The guest reboots by itself: for the hypervisor it never stopped. */
  reboot(): Promise<void>
  catchUp(now: Instant): void
  /** As the guest would, whatever the power state. */
  write(key: DiskKey, offset: number, data: Buffer): Promise<void>
  addDisk(bytes: number): DiskKey
  removeDisk(key: DiskKey): void
  resizeDisk(key: DiskKey, bytes: number): void
  /** The content now. */
  readDisk(key: DiskKey): BlockReader
  readDisks(): BlockReader[]
  discovered(): DiscoveredMachine
}

export function fakeMachine(
  spec: FakeMachineSpec,
  clock: Clock,
  onPowerOn: (machine: FakeMachine) => void,
): FakeMachine {
  const disks = new Map(spec.disks)
  const checkpoints = new Map<string, FakeCheckpoint>()
  let power: PowerState = 'off'
  let guest: SyntheticGuest | null = null
  let boots = 0
  let heldBy: object | null = null

  const track = (key: DiskKey, disk: MemoryDisk): void =>
    disk.onWrite(({ offset, bytes }) => {
      for (const { dirty } of checkpoints.values()) {
        const grains = dirty.get(key)
        for (let grain = Math.floor(offset / GRAIN_BYTES); grain * GRAIN_BYTES < offset + bytes; grain += 1)
          grains?.add(grain)
      }
    })
  for (const [key, disk] of disks) track(key, disk)

  const bootDisks = async (): Promise<void> => {
    boots += 1
    guest = await bootGuest({
      disks: [...disks.values()],
      branch: `${spec.ref} boot ${boots}`,
      startedAt: clock.now(),
      writeEveryMilliseconds: spec.writeEveryMilliseconds,
    })
  }
  const stop = (): void => {
    if (!heldBy) guest?.catchUp(clock.now())
    heldBy = null
    guest = null
    power = 'off'
  }
  const diskOf = (key: DiskKey): MemoryDisk => present(disks.get(key), `machine ${spec.ref} has disk ${key}`)

  const machine: FakeMachine = {
    ref: spec.ref,
    runId: spec.runId,
    isolated: spec.isolated,
    guestAgent: spec.guestAgent,
    name: spec.ref,
    ignoresShutDown: false,
    untrackable: false,
    settles: false,
    whileSettling: null,
    onSettled: null,
    adopted: false,
    mixedBy: null,
    disks,
    checkpoints,
    get power() {
      return power
    },
    get guest() {
      return guest
    },
    get identity() {
      return guest?.identity ?? null
    },
    get heldBy() {
      return heldBy
    },
    hold(by) {
      guest?.catchUp(clock.now())
      heldBy = by
    },
    letGo() {
      heldBy = null
    },
    addCheckpoint(trackingId, excluded) {
      checkpointCounter += 1
      const id = `${trackingId}-${checkpointCounter}`
      const tracked = [...disks.keys()].filter((key) => !excluded.includes(key))
      const checkpoint = { id, trackingId, dirty: new Map(tracked.map((key) => [key, new Set<number>()])) }
      checkpoints.set(id, checkpoint)
      return checkpoint
    },
    dropCheckpoints(where) {
      for (const checkpoint of checkpoints.values()) if (where(checkpoint)) checkpoints.delete(checkpoint.id)
    },
    changedSince(checkpoint, key) {
      const grains = checkpoint.dirty.get(key)
      return grains ? grainsToExtents(grains, diskOf(key).bytes) : null
    },
    async start() {
      if (power === 'running') return
      power = 'running'
      await bootDisks()
      onPowerOn(machine)
    },
    shutDown() {
      if (power !== 'running') return
      stop()
      if (!spec.keepsTrackingOverShutDown) checkpoints.clear()
    },
    powerOff() {
      if (power !== 'running') return
      stop()
      checkpoints.clear()
    },
    async reboot() {
      guest?.catchUp(clock.now())
      await bootDisks()
    },
    catchUp(now) {
      if (!heldBy) guest?.catchUp(now)
    },
    write: (key, offset, data) => diskOf(key).write(offset, data),
    addDisk(bytes) {
      let number = disks.size
      while (disks.has(`disk${number}` as DiskKey)) number += 1
      const key = `disk${number}` as DiskKey
      const disk = memoryDisk(bytes)
      disks.set(key, disk)
      track(key, disk)
      return key
    },
    removeDisk: (key) => disks.delete(key),
    resizeDisk: (key, bytes) => diskOf(key).resize(bytes),
    readDisk: (key) => imageReader(diskOf(key).image()),
    readDisks: () => [...disks.values()].map((disk) => imageReader(disk.image())),
    discovered: () => ({
      ref: spec.ref,
      name: machine.name,
      host: spec.host,
      power,
      hardware: {
        ...spec.hardware,
        disks: [...disks].map(([key, disk], index) => ({
          key,
          label: `Disk ${index + 1}`,
          bytes: disk.bytes,
          format: 'raw',
          bus: 'virtio',
          boot: index === 0,
        })),
      },
      guestAgent: spec.guestAgent,
      ownedBy: spec.runId,
    }),
  }
  return machine
}

/** Checkpoints are told apart over all machines, so that one machine's name never fits another. */
let checkpointCounter = 0

function grainsToExtents(grains: ReadonlySet<number>, diskBytes: number): Extent[] {
  const extents = [...grains]
    .sort((a, b) => a - b)
    .filter((grain) => grain * GRAIN_BYTES < diskBytes)
    .map((grain) => ({
      offset: grain * GRAIN_BYTES,
      bytes: Math.min(GRAIN_BYTES, diskBytes - grain * GRAIN_BYTES),
    }))
  return coalesce(extents)
}
