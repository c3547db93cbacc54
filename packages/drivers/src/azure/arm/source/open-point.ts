// One point over the disks of machines: look, sweep what a predecessor left, mark, compare, read. See DESIGN.md for what each interruption
// leaves.
import type { Snapshot } from '@azure/arm-compute'
import { Outage } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { CycleReason } from '@understudy/domain/replication/plan-cycle'
import type {
  OpenPointRequest,
  OpenPointResult,
  SourceMachinePoint,
} from '@understudy/engine/ports/source-platform'
import { isRunning } from '../run-machine.ts'
import { type MarkedDisks, openMarked, whyNotCompared } from './marked-disks.ts'
import { formatCheckpoint, isOf, newMark, readMark } from './marks.ts'
import type { SourceParts } from './source-parts.ts'
import { listMarks, removeMarks, sweepMarks, takeMark } from './take-marks.ts'
import { findSince, loadTracked, lost, type Since, type TrackedMachine } from './tracked-machine.ts'

type Wanted = OpenPointRequest['machines'][number]
type Known = Extract<Since, { kind: 'known' }>
type Prepared = {
  readonly wanted: Wanted
  readonly machine: TrackedMachine
  readonly since: Known | null
  readonly isOn: boolean
}
type Marked = Prepared & { readonly snapshots: readonly Snapshot[]; readonly mark: string }
type Opened = Marked & { readonly marked: MarkedDisks }
type Lost = { readonly lost: CycleReason }

/** See SourcePlatform.openPoint. */
export async function openPoint(
  parts: SourceParts,
  request: OpenPointRequest,
  signal: AbortSignal | undefined,
): Promise<OpenPointResult> {
  signal?.throwIfAborted()
  const marks = await listMarks(parts, signal)
  const prepared: Prepared[] = []
  // Everything is looked at before anything changes: a failed call leaves every `since` valid.
  for (const wanted of request.machines) {
    const found = await prepare(parts, wanted, marks, signal)
    if ('lost' in found) return { kind: 'tracking-lost', ref: wanted.ref, reason: found.lost }
    prepared.push(found)
  }
  for (const one of prepared) await sweepMarks(parts, leftovers(one, marks), signal)
  const instant = parts.clock.now()
  const taken = await allOrNone(parts, prepared, (one) => mark(parts, one, signal))
  const opened: Opened[] = []
  for (const one of taken) {
    const found = await open(parts, one, signal).catch(async (error: unknown) => {
      await giveUp(parts, taken, opened)
      throw error
    })
    if (!('lost' in found)) opened.push(found)
    else {
      await giveUp(parts, taken, opened)
      return { kind: 'tracking-lost', ref: one.wanted.ref, reason: found.lost }
    }
  }
  const machines = opened.map((one) => toMachinePoint(parts, one))
  return {
    kind: 'opened',
    point: {
      instant,
      consistency: 'crash',
      consistencyNote: noteOf(request, taken, parts.clock.now() - instant),
      machines,
      pauseMilliseconds: 0,
      async release(kept) {
        await Promise.all(machines.map((machine) => machine.release(kept)))
      },
    },
  }
}

async function prepare(
  parts: SourceParts,
  wanted: Wanted,
  marks: readonly Snapshot[],
  signal: AbortSignal | undefined,
): Promise<Prepared | Lost> {
  const { ref, trackingId, since, excludedDisks } = wanted
  const machine = await loadTracked(parts, ref, excludedDisks, signal)
  const isOn = await isRunning(parts, machine.name, signal)
  if (since === null) return { wanted, machine, since: null, isOn }
  const found = findSince(machine, { since, trackingId }, marks)
  return found.kind === 'lost' ? { lost: found.reason } : { wanted, machine, since: found, isOn }
}

/** Whatever else this owner keeps of the machine was left behind by a predecessor that died, or is replaced. */
const leftovers = ({ wanted, machine, since }: Prepared, marks: readonly Snapshot[]): readonly Snapshot[] =>
  marks.filter(
    (snapshot) =>
      isOf(snapshot, machine.subject, wanted.trackingId) && readMark(snapshot)?.mark !== since?.mark,
  )

async function mark(
  parts: SourceParts,
  prepared: Prepared,
  signal: AbortSignal | undefined,
): Promise<Marked> {
  const { machine, wanted } = prepared
  const name = { subject: machine.subject, trackingId: wanted.trackingId, mark: newMark() }
  return { ...prepared, mark: name.mark, snapshots: await takeMark(parts, name, machine.disks, signal) }
}

/** All at once, so that as little as possible lies between them. */
async function allOrNone(
  parts: SourceParts,
  prepared: readonly Prepared[],
  work: (one: Prepared) => Promise<Marked>,
): Promise<readonly Marked[]> {
  const results = await Promise.allSettled(prepared.map(work))
  const made = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed === undefined) return made
  await giveUp(parts, made, [])
  throw failed.reason
}

async function open(
  parts: SourceParts,
  marked: Marked,
  signal: AbortSignal | undefined,
): Promise<Opened | Lost> {
  const { machine, since, snapshots } = marked
  try {
    const before = since?.snapshots ?? null
    return { ...marked, marked: await openMarked(parts, { disks: machine.disks, snapshots }, before, signal) }
  } catch (error) {
    const why = whyNotCompared(error)
    if (why === null) throw error
    return { lost: lost(`${machine.name}: ${why}`).reason }
  }
}

/** The marks that were to be go again; every `since` stays. */
async function giveUp(
  parts: SourceParts,
  taken: readonly Marked[],
  opened: readonly Opened[],
): Promise<void> {
  for (const { marked } of opened)
    await marked.end().catch((error: unknown) => {
      if (!(error instanceof Outage)) throw error
    })
  for (const { snapshots } of taken) await sweepMarks(parts, asRead(snapshots))
}

function toMachinePoint(parts: SourceParts, opened: Opened): SourceMachinePoint {
  const { wanted, machine, mark: name, snapshots, since, marked } = opened
  const ids = machine.disks.map(({ key }, index) => [
    key,
    present(snapshots[index]?.uniqueId, 'a snapshot has an id of its own'),
  ])
  let released: Promise<void> | null = null
  const release = async (kept: boolean): Promise<void> => {
    await marked.end()
    await removeMarks(parts, kept ? [...(since?.snapshots.values() ?? [])] : snapshots)
  }
  return {
    ref: wanted.ref,
    checkpoint: formatCheckpoint({ mark: name, snapshots: Object.fromEntries(ids) }),
    disks: marked.disks,
    release(kept) {
      released ??= release(kept).catch((error: unknown) => {
        // Asked again, it is tried again: nothing of it is done that may not be done twice.
        released = null
        throw error
      })
      return released
    },
  }
}

/** Somebody may have been given an address of it, whatever Azure told when it was made. */
export const asRead = (snapshots: readonly Snapshot[]): readonly Pick<Snapshot, 'name' | 'diskState'>[] =>
  snapshots.map(({ name = '' }) => ({ name, diskState: 'ActiveSAS' }))

function noteOf(
  { consistency }: OpenPointRequest,
  taken: readonly Marked[],
  milliseconds: number,
): string | null {
  const notes: string[] = []
  if (consistency === 'application')
    notes.push('Azure takes snapshots of disks without asking the guest to hold its applications still')
  const running = taken.filter(({ isOn }) => isOn)
  const disks = running.reduce((sum, { machine }) => sum + machine.disks.length, 0)
  // Each disk by itself is as after a power failure; together they are so only while nothing is written.
  if (disks > 1)
    notes.push(
      `Azure took the snapshots of its ${disks} disks one by one, within ${Math.ceil(milliseconds / 1000)} s, while it ran`,
    )
  return notes.length === 0 ? null : notes.join('; ')
}
