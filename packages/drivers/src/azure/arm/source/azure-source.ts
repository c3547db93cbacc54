// Azure as a place that machines are replicated from: those that run there after a failover, and any other of the resource group. See
// DESIGN.md.
import { setTimeout as sleep } from 'node:timers/promises'
import { isAbort } from '@understudy/base/errors'
import type { DiscoveredMachine, Eligibility, MachineRef } from '@understudy/domain/machines/machine'
import type { SourcePlatform, TrackingId } from '@understudy/engine/ports/source-platform'
import { keptFor } from '../kept-for.ts'
import { readResourceId } from '../resource-id.ts'
import { getMachine } from '../run-machine.ts'
import { attachedDisks } from './attached-disks.ts'
import { readInventory } from './inventory.ts'
import { isOf, subjectOf } from './marks.ts'
import { openPoint } from './open-point.ts'
import { powerOff, powerState, shutDown, start } from './power.ts'
import type { SourceParts } from './source-parts.ts'
import { openStoppedDisks } from './stopped-disks.ts'
import { listMarks, removeMarks } from './take-marks.ts'

/** Megabytes that change in weeks. */
const SIZES_KEPT_MS = 10 * 60_000
/** Azure makes seven snapshots of a disk in five minutes; a second owner and the end of a failover need some as well. */
const SHORTEST_INTERVAL_SECONDS = 120

export function azureSource(parts: SourceParts): SourcePlatform {
  const sizes = keptFor(SIZES_KEPT_MS, parts.clock, (signal) => parts.arm.sizes(signal))
  const inventory = (signal?: AbortSignal): Promise<readonly DiscoveredMachine[]> =>
    readInventory({ ...parts, arm: { ...parts.arm, sizes } }, signal)
  return {
    shortestIntervalSeconds: SHORTEST_INTERVAL_SECONDS,
    inventory,
    watch: (onChange, signal) => void watch(inventory, parts.watchMs, onChange, signal),
    eligibility: (ref, signal) => eligibility(parts, ref, signal),
    openPoint: (request, signal) => openPoint(parts, request, signal),
    stopTracking: (ref, trackingId) => stopTracking(parts, ref, trackingId),
    powerState: (ref, signal) => powerState(parts, ref, signal),
    shutDown: (ref, options) => shutDown(parts, ref, options),
    powerOff: (ref, signal) => powerOff(parts, ref, signal),
    start: (ref, signal) => start(parts, ref, signal),
    openStoppedDisks: (ref, options, signal) => openStoppedDisks(parts, ref, options, signal),
  }
}

async function eligibility(
  parts: SourceParts,
  ref: MachineRef,
  signal: AbortSignal | undefined,
): Promise<Eligibility> {
  const { machine } = await getMachine(parts, ref, signal)
  const attached = attachedDisks(machine, await parts.arm.disks.list(signal))
  return {
    findings: attached.flatMap(({ obstacle }) => obstacle ?? []),
    shortestIntervalSeconds: SHORTEST_INTERVAL_SECONDS,
    applicationConsistent: false,
  }
}

/** What belongs to a run goes with the run as well: its machine may be gone, and with it the tag that says which run it was. */
async function stopTracking(parts: SourceParts, ref: MachineRef, trackingId: TrackingId): Promise<void> {
  const [name] = readResourceId(ref)?.names ?? []
  if (name === undefined) return
  const machine = await parts.arm.machines.find(name)
  const subjects = [
    { kind: 'machine', name: name.toLowerCase() } as const,
    ...(machine === null ? [] : [subjectOf({ name, machine })]),
  ]
  const marks = await listMarks(parts)
  await removeMarks(
    parts,
    marks.filter((mark) => subjects.some((subject) => isOf(mark, subject, trackingId))),
  )
}

/** Azure tells nobody when something changes: it is looked at again and again. */
async function watch(
  inventory: SourcePlatform['inventory'],
  everyMs: number,
  onChange: () => void,
  signal: AbortSignal,
): Promise<void> {
  let before: string | null = null
  while (!signal.aborted) {
    const now = await inventory(signal).then(JSON.stringify, (error: unknown) =>
      isAbort(error) ? before : 'unreachable',
    )
    // Not reachable is a change as well: whoever listens finds out by asking. What the first look finds may have come since it was called.
    if (!signal.aborted && now !== before) onChange()
    before = now
    await sleep(everyMs, undefined, { signal }).catch(() => undefined)
  }
}
