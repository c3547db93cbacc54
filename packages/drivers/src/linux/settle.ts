// From a server that writes while it is copied to one instant of all its disks: rounds, until so little is left that it can be read
// while nothing writes.
import { setTimeout as sleep } from 'node:timers/promises'
import { formatBytes, MiB } from '@understudy/base/bytes'
import { Outage } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { BlockReader, Extent } from '@understudy/block/device'
import { intersect, subtract } from '@understudy/block/extents'
import type { Consistency } from '@understudy/domain/recovery-points/recovery-point'
import type { SettledPoint, SettleRound, SourceDisk } from '@understudy/engine/ports/source-platform'
import { ALIGNMENT, type AlignedMemory } from './aligned-memory.ts'
import { findRebuilding, untilArraysAreClean } from './arrays.ts'
import { hasPreScripts, runScripts, type ScriptsFolder } from './consistency-scripts.ts'
import type { DirectDisk } from './direct-disk.ts'
import {
  afterTries,
  heldTooLong,
  notHeldStill,
  trackingWasLost,
  writesTooFast,
  writtenWhileHeld,
} from './failures.ts'
import { type FreezeKeeper, openFreezeKeeper, type PowerSwitch } from './freeze-keeper.ts'
import { heldMemory, holdExtents } from './held-disk.ts'
import type { HoldGate } from './hold-gate.ts'
import { type LastHold, openLastHold } from './last-hold.ts'
import { type HoldPlan, planHold, readMountsOn } from './mounts.ts'
import { runCommand } from './run-command.ts'
import type { TrackedDisk, Tracker, View } from './tracker.ts'

export type SettleLimits = {
  /** So much may be left to be read while the server is held still. */
  readonly holdBytes: number
  /** So many rounds may it take to come there. */
  readonly rounds: number
  /** After so long it goes on, whatever we do. */
  readonly holdSeconds: number
}

export type OpenDisk = {
  readonly tracked: TrackedDisk
  readonly reader: DirectDisk
  /** Whose content means nothing after a start: swap. Written at any time, and no doubt arises from it. */
  readonly careless: readonly Extent[]
}

export type SettleParts = {
  readonly tracker: Tracker
  /** What was written since the point was opened. */
  readonly round: View
  readonly disks: readonly OpenDisk[]
  readonly limits: SettleLimits
  readonly scripts: ScriptsFolder
  readonly asked: Consistency
  readonly memory: AlignedMemory
  readonly allowance: HoldAllowance
  readonly now: () => Instant
  readonly gate: HoldGate
  /** Held on after its instant, at most for so long, until it is switched off or let go. */
  readonly last?: { readonly holdSeconds: number; readonly power: PowerSwitch }
  /** For tests: the server is held still, and what is read is known. */
  readonly whileHeld?: () => Promise<void>
}

/** What may be left to read in a hold: learned, so that a server whose disks are slow is not held for longer and longer. */
export type HoldAllowance = { bytes: number }

/** `opened`: what was written after the instant is in it, in all that comes. */
export type Settled = Omit<SettledPoint, 'checkpoint'> & {
  readonly after: View
  /** There with `last`. */
  readonly hold: LastHold | null
}

/** What spoils a freeze may pass: more to bring to the disk than was foreseen, another tool that freezes, a late write. Tried again from the rounds. */
const TRIES = 4
const PASSING = ['linux/not-held-still', 'linux/written-while-held']
const PAUSE_MILLISECONDS = 1000
/** What a freeze itself brings to the disks comes on top of what was left before it. */
const HELD_MEMORY_FACTOR = 4
/** Of the time after which it goes on whatever we do: whoever has not read everything by then gives up himself. */
const READING_SHARE = 1 / 3
const LEAST_READING_SECONDS = 2
/** Above what a freeze itself brings to the disks. */
const LEAST_ALLOWED_BYTES = MiB

/** Throws Outage when there can be no instant; nothing must be sealed then. */
export async function settle(parts: SettleParts, copy: SettleRound, signal?: AbortSignal): Promise<Settled> {
  // Everything that is needed while nothing may be written is made ready before.
  const memory = parts.memory.takeHeld(parts.limits.holdBytes * HELD_MEMORY_FACTOR)
  const { allowance, limits } = parts
  // A read that hangs may still come to an end, in memory that must not be another point's by then.
  const late = new Set<Promise<unknown>>()
  try {
    const settled = await settleWithin({ ...parts, heldMemory: memory, late }, copy, signal)
    allowance.bytes = Math.min(limits.holdBytes, allowance.bytes * 2)
    return settled
  } catch (error) {
    if (error instanceof Outage && error.code === 'linux/held-too-long')
      allowance.bytes = Math.min(allowance.bytes, Math.max(LEAST_ALLOWED_BYTES, allowance.bytes / 4))
    throw error
  } finally {
    void Promise.allSettled(late).then(() => parts.memory.giveHeld(memory))
  }
}

type PartsWithin = SettleParts & { readonly heldMemory: Buffer; readonly late: Set<Promise<unknown>> }

async function settleWithin(parts: PartsWithin, copy: SettleRound, signal?: AbortSignal): Promise<Settled> {
  const devices = new Set(parts.disks.map(({ tracked }) => tracked.device))
  for (let tries = 1; ; tries += 1) {
    const rebuilt = await findRebuilding(devices)
    if (rebuilt !== null)
      throw notHeldStill(`the array ${rebuilt} is being rebuilt, and written to all the time`)
    const hold = planHold(await readMountsOn(devices))
    const [covered] = hold.unreachable
    if (covered !== undefined)
      throw notHeldStill(`something else is mounted over ${covered}, which is written to`)
    await approach(parts, hold, copy, signal)
    const done = await holdWithScripts(parts, hold, signal).catch((error: unknown) => {
      if (!(error instanceof Outage) || !PASSING.includes(error.code)) throw error
      if (tries >= TRIES) throw afterTries(error, tries)
      return null
    })
    if (done === null) {
      await sleep(PAUSE_MILLISECONDS * tries, undefined, { signal })
      continue
    }
    const { preNote, held, postNote } = done
    if (held.kind === 'held') {
      try {
        await unlessAborted(() => copy(held.disks), signal)
      } catch (error) {
        await held.hold?.letGo()
        held.after.close()
        throw error
      } finally {
        for (const { reader } of held.disks) await reader.close()
      }
      const note = [preNote, postNote].filter((some) => some !== null).join('; ')
      const asAsked = parts.asked === 'application' && preNote === null
      return {
        instant: held.instant,
        consistency: asAsked ? 'application' : 'crash',
        consistencyNote: note === '' ? null : note,
        pauseMilliseconds: held.pauseMilliseconds,
        after: held.after,
        hold: held.hold,
      }
    }
    if (tries >= TRIES) throw writesTooFast(formatBytes(held.leftBytes))
  }
}

/** Rounds until no more is left than may be read while it is held still. */
async function approach(
  { tracker, round, disks, limits, allowance }: SettleParts,
  hold: HoldPlan,
  copy: SettleRound,
  signal?: AbortSignal,
): Promise<void> {
  let before = Number.POSITIVE_INFINITY
  let stalled = 0
  for (let rounds = 0; ; rounds += 1) {
    signal?.throwIfAborted()
    // What waits in memory would come to the disk in the freeze, and the server would wait for it.
    await syncAll([...hold.freeze.map(({ mountPoint }) => mountPoint), ...hold.syncOnly], signal)
    await fenceOrFail(tracker)
    const left = round.changedBytes
    if (left <= allowance.bytes) return
    stalled = left < before ? 0 : stalled + 1
    if (rounds >= limits.rounds || stalled > 1) throw writesTooFast(formatBytes(left))
    before = left
    const taken = round.take()
    await unlessAborted(
      () => copy(disks.map((disk) => toRound(disk, changedOf(taken, disk), disk.reader))),
      signal,
    )
  }
}

async function syncAll(mountPoints: readonly string[], signal?: AbortSignal): Promise<void> {
  if (mountPoints.length === 0) return
  const { code, output } = await runCommand('sync', ['-f', ...mountPoints], { signal })
  if (code !== 0) throw notHeldStill(`its file systems could not be brought to the disk: ${output.trim()}`)
}

async function fenceOrFail(tracker: Tracker): Promise<void> {
  await tracker.fence()
  if (tracker.loss) throw trackingWasLost(tracker.loss)
}

type Held =
  | {
      readonly kind: 'held'
      readonly instant: Instant
      readonly pauseMilliseconds: number
      readonly disks: readonly SourceDisk[]
      readonly after: View
      readonly hold: LastHold | null
    }
  /** It goes on again, and nothing was read. */
  | { readonly kind: 'too-much'; readonly leftBytes: number }

/** What was brought to rest goes on, whatever happens in between. */
async function holdWithScripts(
  parts: PartsWithin,
  hold: HoldPlan,
  signal?: AbortSignal,
): Promise<{ preNote: string | null; held: Held; postNote: string | null }> {
  const noPost = async (): Promise<null> => null
  if (parts.asked === 'crash')
    return { preNote: null, held: await holdStill(parts, { hold, post: noPost }, signal), postNote: null }
  if (!(await hasPreScripts(parts.scripts))) {
    const preNote = `There is no script in ${parts.scripts.folder}/pre.d that brings the applications to rest`
    return { preNote, held: await holdStill(parts, { hold, post: noPost }, signal), postNote: null }
  }
  const post = (): Promise<string | null> => runScripts(parts.scripts, 'post.d')
  const [preNote, held] = await (async () => {
    try {
      const note = await runScripts(parts.scripts, 'pre.d', signal)
      return [note, await holdStill(parts, { hold, post }, signal)] as const
    } catch (error) {
      await post()
      throw error
    }
  })()
  // What is held on goes on at the end of its hold, or never.
  const goesOn = held.kind === 'too-much' || held.hold === null
  return { preNote, held, postNote: goesOn ? await post() : null }
}

type ToHold = { readonly hold: HoldPlan; readonly post: () => Promise<string | null> }

async function holdStill(parts: PartsWithin, { hold, post }: ToHold, signal?: AbortSignal): Promise<Held> {
  const seconds = secondsOf(parts)
  const keeper = await openFreezeKeeper(hold.freeze, seconds, parts.last?.power)
  let isHeldOn = false
  try {
    await syncAll(hold.syncOnly, signal)
    signal?.throwIfAborted()
    // What this process writes itself would hang with all the rest.
    const end = await parts.gate.hold(seconds)
    try {
      const held = await whileFrozen(parts, keeper)
      if (!parts.last || held.kind === 'too-much') return held
      isHeldOn = true
      const last = openLastHold({
        keeper,
        // The guardian counts from the freeze on.
        seconds: seconds - held.pauseMilliseconds / 1000,
        refuseWritten: () => refuseAnyWritten(parts, held.after),
        async afterwards() {
          end()
          await post()
        },
      })
      return { ...held, hold: last }
    } finally {
      if (!isHeldOn) end()
    }
  } finally {
    if (!isHeldOn) await keeper.close()
  }
}

const secondsOf = ({ last, limits }: SettleParts): number => last?.holdSeconds ?? limits.holdSeconds

async function refuseAnyWritten({ tracker, disks }: SettleParts, after: View): Promise<void> {
  await fenceOrFail(tracker)
  for (const disk of disks) refuseWritten(disk, after)
}

/** From the freeze to the thaw nothing here writes a file, and nothing waits for the outside. */
async function whileFrozen(parts: PartsWithin, keeper: FreezeKeeper): Promise<Held> {
  const { tracker, round, disks } = parts
  const memory = heldMemory(parts.heldMemory)
  const startedAt = performance.now()
  await keeper.freeze()
  const { holdSeconds } = parts.limits
  const deadlineSeconds = secondsOf(parts)
  /** What is seen then follows from it: file systems that go on write. */
  const pastDeadline = (): Outage | null =>
    performance.now() - startedAt >= deadlineSeconds * 1000
      ? heldTooLong(`its file systems went on by themselves after ${deadlineSeconds} s`)
      : null
  const readUntil = performance.now() + Math.max(LEAST_READING_SECONDS, holdSeconds * READING_SHARE) * 1000
  let after: View | null = null
  let held: Held
  try {
    await untilArraysAreClean(new Set(disks.map(({ tracked }) => tracked.device)))
    await fenceOrFail(tracker)
    const leftBytes = round.changedBytes
    // The end of a disk need not be one of what is read at once.
    const most = Math.min(parts.heldMemory.length, parts.allowance.bytes * HELD_MEMORY_FACTOR)
    if (leftBytes + disks.length * ALIGNMENT > most) held = { kind: 'too-much', leftBytes }
    else {
      const instant = parts.now()
      // Of one turn: whatever is noted from here on was written after the instant, or makes it none. What is left stays in the round, which
      // goes on from it if that is so.
      const left = disks.map((disk) => ({ disk, extents: changedOf(round, disk) }))
      after = tracker.openView()
      const read: SourceDisk[] = []
      for (const { disk, extents } of left) {
        const holding = holdExtents(disk.reader, extents, memory)
        read.push(toRound(disk, extents, await untilLate(parts, disk, holding, readUntil)))
      }
      await parts.whileHeld?.()
      await refuseAnyWritten(parts, after)
      held = { kind: 'held', instant, pauseMilliseconds: 0, disks: read, after, hold: null }
    }
  } catch (error) {
    after?.close()
    const wasOurs = await keeper.thaw()
    throw wasOurs ? error : (pastDeadline() ?? error)
  }
  const pauseMilliseconds = (): number => Math.round(performance.now() - startedAt)
  if (parts.last && held.kind === 'held') return { ...held, pauseMilliseconds: pauseMilliseconds() }
  const isOurs = await keeper.thaw()
  if (held.kind === 'too-much') return held
  if (!isOurs) {
    after?.close()
    throw pastDeadline() ?? notHeldStill('its file systems went on before everything was read')
  }
  return { ...held, pauseMilliseconds: pauseMilliseconds() }
}

/** All writes of the server wait for this: neither a slow disk nor one that does not answer may hold them. */
async function untilLate<Result>(
  { late }: PartsWithin,
  { tracked }: OpenDisk,
  reading: Promise<Result>,
  deadline: number,
): Promise<Result> {
  late.add(reading)
  const over = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => over.reject(heldTooLong(`disk ${tracked.key} was not read in time`)),
    Math.max(0, deadline - performance.now()),
  )
  try {
    const result = await Promise.race([reading, over.promise])
    late.delete(reading)
    return result
  } finally {
    clearTimeout(timer)
    over.promise.catch(() => {})
    reading.catch(() => {})
  }
}

/** Whoever copies may not hear that nothing is wanted any more. */
async function unlessAborted(copy: () => Promise<void>, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted()
  const copying = copy()
  if (!signal) return await copying
  const over = Promise.withResolvers<never>()
  const abort = (): void => over.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    await Promise.race([copying, over.promise])
  } finally {
    signal.removeEventListener('abort', abort)
    over.promise.catch(() => {})
    copying.catch(() => {})
  }
}

/** Nothing may have come to a disk between the instant and the end of its reading. */
function refuseWritten(disk: OpenDisk, after: View): void {
  const [written] = subtract(changedOf(after, disk), disk.careless)
  if (written) throw writtenWhileHeld(disk.tracked.key, written.offset)
}

/** A disk that has become another one meanwhile has no part in this point any more. */
function changedOf(view: View, { tracked }: OpenDisk): Extent[] {
  const changed = view.changedOf(tracked)
  if (changed === null) throw notHeldStill(`disk ${tracked.key} was changed for another one meanwhile`)
  return changed
}

const toRound = ({ tracked }: OpenDisk, extents: readonly Extent[], reader: BlockReader): SourceDisk => ({
  key: tracked.key,
  bytes: tracked.bytes,
  reader,
  async *changed(signal) {
    for (const extent of intersect(extents, [{ offset: 0, bytes: tracked.bytes }])) {
      signal?.throwIfAborted()
      yield { ...extent, kind: 'data' }
    }
  },
})
