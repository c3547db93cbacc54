// The source side of a simulated site.

import { Outage } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { BlockReader } from '@understudy/block/device'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type {
  OpenPointRequest,
  OpenPointResult,
  SourceDisk,
  SourceMachinePoint,
  SourcePlatform,
  StoppedDisks,
} from '@understudy/engine/ports/source-platform'
import type { Checkpoint } from './checkpoint.ts'
import { simulatedEligibility } from './eligibility.ts'
import { simulatedInventory } from './inventory.ts'
import { refuseRunning, simulatedPower } from './power.ts'
import { changedSince, imageReader, mapExtents } from './simulated-disk.ts'
import {
  addCheckpoint,
  dropCheckpoint,
  findCheckpoint,
  fingerprintOf,
  imageAt,
  type SimulatedMachine,
  setCheckpoints,
} from './simulated-machine.ts'
import type { SimulatedSite } from './simulated-site.ts'

/** How long a simulated guest is held still. */
const PAUSE_MILLISECONDS = 1

export function simulatedSource(site: SimulatedSite): SourcePlatform {
  return {
    ...simulatedInventory(site),
    ...simulatedEligibility(site),
    ...simulatedPower(site),
    async openPoint(request, signal) {
      await site.answerAsSource('openPoint', signal)
      return await openPoint(site, request)
    },
    async stopTracking(ref, trackingId) {
      await site.answerAsSource('stopTracking')
      const machine = (await site.machines()).get(ref)
      if (!machine) return
      setCheckpoints(machine, trackingId, [])
      site.files.saveSoon()
    },
    async openStoppedDisks(ref, { excludedDisks, trackingId, since }, signal): Promise<StoppedDisks> {
      await site.answerAsSource('openStoppedDisks', signal)
      const machine = await site.find(ref)
      refuseRunning(machine)
      const now = site.now()
      const checkpoint = since === null ? null : findCheckpoint(machine, trackingId, since)
      return {
        sinceKnown: checkpoint !== null,
        disks: sourceDisks(site, { machine, excluded: excludedDisks, since: checkpoint, now }),
        fingerprints: machine.disks.map((disk) => ({
          key: disk.state.key,
          value: fingerprintOf(machine, disk, now),
        })),
        close: async () => {},
      }
    },
  }
}

async function openPoint(site: SimulatedSite, request: OpenPointRequest): Promise<OpenPointResult> {
  const wanted: { request: OpenPointRequest['machines'][number]; machine: SimulatedMachine }[] = []
  for (const one of request.machines) wanted.push({ request: one, machine: await site.find(one.ref) })
  // Everything is checked before anything changes: a failed call leaves `since` valid.
  for (const { machine } of wanted) requireRunning(machine)
  for (const { request: one, machine } of wanted)
    if (one.since !== null && findCheckpoint(machine, one.trackingId, one.since) === null)
      return { kind: 'tracking-lost', ref: one.ref, reason: trackingLost(machine) }

  // Nothing awaits from here on: one instant over all disks of all machines.
  const instant = site.now()
  const opened = wanted.map(({ request: one, machine }) => openMachine(site, machine, one, instant))
  const silent = wanted.find(({ machine }) => !machine.state.guestAgent)?.machine
  const asked = request.consistency === 'application'
  site.files.saveSoon()
  return {
    kind: 'opened',
    point: {
      instant,
      consistency: asked && !silent ? 'application' : 'crash',
      consistencyNote:
        asked && silent ? `No agent answers in the simulated guest of ${silent.state.name}` : null,
      machines: opened,
      pauseMilliseconds: PAUSE_MILLISECONDS,
      async release(kept) {
        for (const point of opened) await point.release(kept)
      },
    },
  }
}

function openMachine(
  site: SimulatedSite,
  machine: SimulatedMachine,
  { ref, trackingId, since, excludedDisks }: OpenPointRequest['machines'][number],
  now: Instant,
): SourceMachinePoint {
  // Whatever else this owner has was left behind by a predecessor that died.
  const baseline = since === null ? null : findCheckpoint(machine, trackingId, since)
  setCheckpoints(machine, trackingId, baseline && since !== null ? [since] : [])
  const disks = sourceDisks(site, { machine, excluded: excludedDisks, since: baseline, now })
  const checkpoint = addCheckpoint(machine, trackingId, excludedDisks, now)
  let released = false
  return {
    ref,
    checkpoint,
    disks,
    async release(kept) {
      if (released) return
      released = true
      dropCheckpoint(machine, trackingId, kept ? since : checkpoint)
      site.files.saveSoon()
    },
  }
}

type DisksRequest = {
  readonly machine: SimulatedMachine
  readonly excluded: readonly DiskKey[]
  readonly since: Checkpoint | null
  readonly now: Instant
}

function sourceDisks(
  site: SimulatedSite,
  { machine, excluded, since, now }: DisksRequest,
): readonly SourceDisk[] {
  return machine.disks
    .filter((disk) => !excluded.includes(disk.state.key))
    .map((disk) => {
      const image = imageAt(machine, disk, now)
      const mark = since?.disks.get(disk.state.key) ?? null
      return {
        key: disk.state.key,
        bytes: image.bytes,
        reader: whileReachable(site, imageReader(image)),
        changed: (signal) => mapExtents(image, changedSince(image, mark), signal),
      }
    })
}

/** Reads fail like any other call when the settings say so. */
function whileReachable(site: SimulatedSite, reader: BlockReader): BlockReader {
  return {
    ...reader,
    async read(offset, bytes, signal) {
      await site.answerAsSource('read', signal)
      return await reader.read(offset, bytes, signal)
    },
  }
}

function requireRunning({ state }: SimulatedMachine): void {
  if (state.power === 'running') return
  throw new Outage({
    code: 'machine/not-running',
    message: `${state.name} is off`,
    remedy: 'Start it; replication goes on by itself.',
  })
}

const trackingLost = ({ state }: SimulatedMachine): { code: string; message: string } => ({
  code: 'tracking/lost',
  message: `What changed on the simulated machine ${state.name} is not known any more: it lost its power, or its tracking was stopped`,
})
