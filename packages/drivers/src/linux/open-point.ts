// A point of this server: what changed since the last one is copied from the running disks, then it settles.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Instant } from '@understudy/base/instant'
import { present } from '@understudy/base/invariant'
import type { Extent, MappedExtent } from '@understudy/block/device'
import type {
  OpenPointRequest,
  OpenPointResult,
  ShutDownProof,
  SourceDisk,
} from '@understudy/engine/ports/source-platform'
import type { AlignedMemory } from './aligned-memory.ts'
import type { WholeDisk } from './block-devices.ts'
import { type DirectDisk, openDirectDisk } from './direct-disk.ts'
import { disksToCopy } from './eligibility.ts'
import { diskWasReplaced, machineNotFound, noCommonInstant, switchingOff } from './failures.ts'
import type { HoldGate } from './hold-gate.ts'
import type { LastHold } from './last-hold.ts'
import { readServerFacts } from './server-facts.ts'
import type { LinuxSettings } from './settings.ts'
import { type HoldAllowance, type OpenDisk, settle } from './settle.ts'
import type { TrackedDisk } from './tracker.ts'
import type { Tracking, Trackings } from './trackings.ts'
import { readUnusedAreas, type UnusedAreas } from './unused-areas.ts'

export type LinuxParts = {
  readonly settings: LinuxSettings
  readonly trackings: Trackings
  readonly memory: AlignedMemory
  readonly allowance: HoldAllowance
  readonly now: () => Instant
  readonly gate: HoldGate
  readonly whileHeld?: () => Promise<void>
  /** Its server goes off. */
  switchedOff: LastHold | null
}

/** Whatever is asked for: so long nobody's server stands still. */
const MOST_LAST_HOLD_SECONDS = 300

export async function openPoint(
  parts: LinuxParts,
  request: OpenPointRequest,
  signal?: AbortSignal,
): Promise<OpenPointResult> {
  const [wanted, ...others] = request.machines
  if (wanted === undefined || others.length > 0) throw noCommonInstant()
  const { ref, trackingId, since, excludedDisks, readWhole = false } = wanted
  if (parts.switchedOff) throw switchingOff()
  const facts = await readServerFacts(parts.settings, signal)
  if (facts.ref !== ref) throw machineNotFound(ref)
  const disks = disksToCopy(facts, excludedDisks)
  const tracked = disks.map(toTracked)

  const { trackings } = parts
  const found =
    since === null
      ? { tracking: await trackings.begin(trackingId, tracked), mark: null }
      : await trackings.continueFrom(trackingId, since)
  if ('reason' in found) return { kind: 'tracking-lost', ref, reason: found.reason }
  const { tracking, mark } = found
  const replaced = tracked.find((disk) => mark?.knewAnother(disk))
  if (replaced) return { kind: 'tracking-lost', ref, reason: diskWasReplaced(replaced.key) }
  const open = await openDisks(disks, parts.memory)
  try {
    await tracking.tracker.watch(tracked)
  } catch (error) {
    await closeDisks(open)
    throw error
  }
  // One turn: what is not in the changes any more is in the round already.
  trackings.keepOnly(tracking, since)
  const changed = new Map(tracked.map((disk) => [disk.key, mark?.changedOf(disk) ?? wholeDisk(disk)]))
  tracking.round?.close()
  const round = tracking.tracker.openView()
  tracking.round = round
  // A copy of the whole that is interrupted goes on from its opening.
  const opening =
    since === null || readWhole ? trackings.mark(tracking, tracking.tracker.openView()).checkpoint : null
  const unused = new Map<string, UnusedAreas>()

  let checkpoint: string | null = null
  let hold: LastHold | null = null
  const stop = new AbortController()
  let settling: Promise<void> = Promise.resolve()
  let letGo: Promise<void> | null = null
  /** Nothing of the point goes on when it resolves: not its freeze, not its scripts. */
  const release = (kept: boolean): Promise<void> => {
    letGo ??= letGoOnce(kept)
    return letGo
  }
  const letGoOnce = async (kept: boolean): Promise<void> => {
    stop.abort(new DOMException('The point was let go', 'AbortError'))
    await settling
    await hold?.letGo()
    round.close()
    if (tracking.round === round) {
      tracking.round = null
      if (kept) trackings.keepOnly(tracking, checkpoint)
      else trackings.keepOnly(tracking, since, opening)
    }
    await closeDisks(open)
  }
  if (mark === null && parts.settings.wholeCopy === 'used') {
    try {
      for (const [index, disk] of disks.entries()) {
        const reader = present(open[index], 'every disk is open').reader
        unused.set(
          disk.key,
          await readUnusedAreas(disk, reader, facts.mounts, {
            gate: parts.gate,
            seconds: parts.settings.limits.holdSeconds,
          }),
        )
      }
    } catch (error) {
      await release(false)
      throw error
    }
  }
  const machine = {
    ref,
    checkpoint: opening,
    disks: open.map((disk) => {
      const { key } = disk.tracked
      return toSourceDisk(disk, present(changed.get(key), 'every disk has changes'), unused.get(key) ?? null)
    }),
    settle: async (copy: (some: readonly SourceDisk[]) => Promise<void>, given?: AbortSignal) => {
      const either = AbortSignal.any([stop.signal, ...(given ? [given] : [])])
      either.throwIfAborted()
      const { last } = request
      const asked = request.consistency
      const settled = settleFor(parts, { tracking, open, asked, ...(last ? { last } : {}) }, copy, either)
      settling = settled.then(
        (made) => {
          checkpoint = made.settled.checkpoint
          hold = made.hold
        },
        () => {},
      )
      return (await settled).settled
    },
    ...(request.last === undefined
      ? {}
      : {
          async powerOff(): Promise<ShutDownProof> {
            const held = present(hold, 'it has settled as a last point')
            await held.switchOff()
            parts.switchedOff = held
            return {
              at: parts.now(),
              evidence:
                'All file systems were held still from the instant of the point until the server switched itself off',
            }
          },
        }),
    release,
  }
  return {
    kind: 'opened',
    point: {
      instant: parts.now(),
      consistency: 'crash',
      consistencyNote: null,
      machines: [machine],
      pauseMilliseconds: 0,
      release,
    },
  }
}

type Opened = {
  readonly tracking: Tracking
  readonly open: readonly OpenDisk[]
  readonly asked: OpenPointRequest['consistency']
  readonly last?: NonNullable<OpenPointRequest['last']>
}

async function settleFor(
  { settings, trackings, memory, allowance, now, gate, whileHeld }: LinuxParts,
  { tracking, open, asked, last }: Opened,
  copy: (some: readonly SourceDisk[]) => Promise<void>,
  signal?: AbortSignal,
) {
  const { after, hold, ...settled } = await settle(
    {
      tracker: tracking.tracker,
      round: present(tracking.round, 'the point is open'),
      disks: open,
      limits: settings.limits,
      scripts: settings.scripts,
      asked,
      memory,
      allowance,
      now,
      gate,
      ...(last
        ? { last: { holdSeconds: Math.min(last.holdSeconds, MOST_LAST_HOLD_SECONDS), power: settings.power } }
        : {}),
      ...(whileHeld ? { whileHeld } : {}),
    },
    copy,
    signal,
  )
  return { settled: { ...settled, checkpoint: trackings.mark(tracking, after).checkpoint }, hold }
}

const toTracked = ({ key, device, sequence, bytes }: WholeDisk): TrackedDisk => ({
  key,
  device,
  sequence,
  bytes,
})

const wholeDisk = ({ bytes }: TrackedDisk): Extent[] => [{ offset: 0, bytes }]

async function openDisks(disks: readonly WholeDisk[], memory: AlignedMemory): Promise<readonly OpenDisk[]> {
  const open: OpenDisk[] = []
  try {
    for (const disk of disks)
      open.push({
        tracked: toTracked(disk),
        reader: await openDirectDisk({ path: disk.path, name: disk.key, bytes: disk.bytes }, memory),
        careless: await swapAreas(disk),
      })
    return open
  } catch (error) {
    await closeDisks(open)
    throw error
  }
}

/** A disk is closed once its reads are over. One that hangs in the kernel has to be waited for by nobody: the point is over without it. */
const CLOSE_SECONDS = 5

export async function closeDisks(
  open: readonly { readonly reader: Pick<DirectDisk, 'close'> }[],
  seconds = CLOSE_SECONDS,
): Promise<void> {
  const late = new AbortController()
  const closed = Promise.all(open.map(({ reader }) => reader.close()))
  try {
    await Promise.race([closed, sleep(seconds * 1000, undefined, { signal: late.signal })])
  } finally {
    late.abort()
    closed.catch(() => {})
  }
}

/** Partitions that are swap: what is in them is of no use to a machine that starts. */
async function swapAreas({ children }: WholeDisk): Promise<readonly Extent[]> {
  const found: Extent[] = []
  for (const { type, fileSystem, device, bytes } of children) {
    if (type !== 'part' || fileSystem !== 'swap') continue
    const start = await readFile(join('/sys/dev/block', device, 'start'), 'latin1')
    found.push({ offset: Number(start) * 512, bytes })
  }
  return found.sort((a, b) => a.offset - b.offset)
}

const toSourceDisk = (
  { tracked, reader }: OpenDisk,
  extents: readonly Extent[],
  unused: UnusedAreas | null,
): SourceDisk => ({
  key: tracked.key,
  bytes: tracked.bytes,
  reader,
  async *changed(signal): AsyncGenerator<MappedExtent> {
    for (const extent of withUnused(extents, unused)) {
      signal?.throwIfAborted()
      yield extent
    }
  },
})

/** What is unused goes as zeros; the rest is read. */
function* withUnused(extents: readonly Extent[], unused: UnusedAreas | null): Generator<MappedExtent> {
  if (unused === null) {
    for (const extent of extents) yield { ...extent, kind: 'data' }
    return
  }
  // Of a copy of everything: each extent is a whole disk.
  for (const { offset, bytes } of extents) {
    let done = offset
    for (const area of unused.areas()) {
      if (area.offset > done) yield { offset: done, bytes: area.offset - done, kind: 'data' }
      yield { ...area, kind: 'zero' }
      done = area.offset + area.bytes
    }
    if (offset + bytes > done) yield { offset: done, bytes: offset + bytes - done, kind: 'data' }
  }
}
