// One instant over all disks of all machines of a request: prepare, hold still, mark, let go, read.
import { Outage } from '@understudy/base/errors'
import type {
  OpenPointRequest,
  OpenPointResult,
  SourceMachinePoint,
  SourcePoint,
} from '@understudy/engine/ports/source-platform'
import { isOlder, removeBitmaps, restoreSince } from './dirty-bitmaps.ts'
import { type Held, holdAndMark } from './hold-and-mark.ts'
import { withMonitor } from './monitor.ts'
import type { OurNode } from './ownership.ts'
import { type OpenedMachine, openDisks } from './point-disks.ts'
import {
  type PreparedMachine,
  type PreparePointDeps,
  preparePoint,
  type VisitedMachine,
  visitForPoint,
} from './prepare-point.ts'
import { removeSnapshots } from './snapshot.ts'

/** See SourcePlatform.openPoint. */
export async function openPoint(
  deps: PreparePointDeps,
  request: OpenPointRequest,
  signal?: AbortSignal,
): Promise<OpenPointResult> {
  // In one order, always: two groups that share machines would wait for each other otherwise.
  const wanted = [...request.machines].sort((a, b) => (a.ref < b.ref ? -1 : 1))
  const alone = wanted.length === 1 && request.consistency === 'crash'
  const visited: VisitedMachine[] = []
  let prepared: readonly PreparedMachine[] = []
  try {
    for (const item of wanted) visited.push(await visitForPoint(deps, item, signal))
    const results = await Promise.allSettled(
      visited.map((machine) => preparePoint(deps, machine, { alone, machineCount: wanted.length })),
    )
    prepared = results.flatMap((result) =>
      result.status === 'fulfilled' && !('lost' in result.value) ? [result.value] : [],
    )
    for (const [index, result] of results.entries()) {
      if (result.status === 'rejected') throw result.reason
      const ref = visited[index]?.machine.ref
      if (!('lost' in result.value) || ref === undefined) continue
      await giveUp(prepared)
      return { kind: 'tracking-lost', ref, reason: result.value.lost }
    }
    signal?.throwIfAborted()
    const held = await holdAndMark(prepared, request.consistency, deps.clock)
    const opened = await openAll(prepared)
    return { kind: 'opened', point: toPoint(request, held, prepared, opened) }
  } catch (error) {
    await giveUp(prepared)
    throw error
  } finally {
    for (const { visit } of visited) visit.end()
  }
}

/** All or none. */
async function openAll(prepared: readonly PreparedMachine[]): Promise<readonly OpenedMachine[]> {
  const results = await Promise.allSettled(prepared.map(openDisks))
  const opened = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed === undefined) return opened
  await Promise.allSettled(opened.map(({ close }) => close()))
  throw failed.reason
}

function toPoint(
  request: OpenPointRequest,
  held: Held,
  prepared: readonly PreparedMachine[],
  opened: readonly OpenedMachine[],
): SourcePoint {
  const machines = request.machines.flatMap(({ ref }) =>
    prepared.flatMap((machine, index) => {
      const one = opened[index]
      return machine.machine.ref === ref && one !== undefined ? [toMachinePoint(machine, one)] : []
    }),
  )
  return {
    ...held,
    machines,
    async release(kept) {
      await Promise.all(machines.map((machine) => machine.release(kept)))
    },
  }
}

/** Each machine is let go by itself: what its snapshot costs the guest ends with its own copy. */
function toMachinePoint(prepared: PreparedMachine, opened: OpenedMachine): SourceMachinePoint {
  let released: Promise<void> | null = null
  const release = async (kept: boolean): Promise<void> => {
    await Promise.allSettled([opened.close()])
    await releaseMachine(prepared, kept)
  }
  return {
    ...opened.point,
    release(kept) {
      released ??= release(kept)
      return released
    },
  }
}

/** Never throws: whatever is left is found by its name when the next point is opened. */
async function giveUp(machines: readonly PreparedMachine[]): Promise<void> {
  for (const { visit } of machines) visit.end()
  await Promise.all(machines.map((machine) => releaseMachine(machine, false)))
}

/**
 * `kept`: the new bitmap is the baseline now. Else the old one is made complete again. A machine that has gone, or cannot be
 * reached, has nothing to do now: opening the next point settles it by what the newest sealed point names.
 */
async function releaseMachine(prepared: PreparedMachine, kept: boolean): Promise<void> {
  const { machine, trackingId, since, checkpoint, snapshots } = prepared
  const tails = new Set(snapshots.map(({ tail }) => tail))
  try {
    await withMonitor(machine, async (qmp) => {
      const isOurs = ({ tail }: OurNode): boolean => tails.has(tail)
      const { disks } = await removeSnapshots(qmp, machine.host, machine.folder, isOurs)
      if (kept) await removeBitmaps(qmp, disks, trackingId, (name) => isOlder(name, checkpoint.bitmap))
      else if (since === null)
        await removeBitmaps(qmp, disks, trackingId, (name) => name === checkpoint.bitmap)
      else await restoreSince(qmp, disks, trackingId, since)
    })
  } catch (error) {
    if (!(error instanceof Outage)) throw error
    if (error.code === 'kvm/socket-closed' || error.code === 'kvm/qemu-gone')
      await Promise.allSettled(snapshots.map(({ scratchPath }) => machine.host.removeFile(scratchPath)))
  }
}
