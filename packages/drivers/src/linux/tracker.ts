// What of this server's disks was written since certain moments. Each such moment has a view, and every completed write goes into all of them.
import { randomUUID } from 'node:crypto'
import type { Extent } from '@understudy/block/device'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { CycleReason } from '@understudy/domain/replication/plan-cycle'
import { type GrainSet, grainSet } from './grain-set.ts'
import { openTraceInstance, type TraceInstance, type TraceOptions } from './trace-instance.ts'

/** A disk as the kernel has it now. Another one under the same number has another `sequence`. */
export type TrackedDisk = {
  readonly key: DiskKey
  /** `major:minor` */
  readonly device: string
  readonly sequence: string
  readonly bytes: number
}

/** What was written since it was opened. */
export type View = {
  /** Null: the disk was not there then, or is another one, so that all of it counts as written. */
  changedOf(disk: TrackedDisk): Extent[] | null
  /** Another disk went by this key then, or this one was away since. */
  knewAnother(disk: TrackedDisk): boolean
  readonly changedBytes: number
  /** What was written so far is handed out, and forgotten here. */
  take(): View
  close(): void
}

export type Tracker = {
  readonly generation: string
  /** Why it may have missed something; final. */
  readonly loss: CycleReason | null
  /** What had completed when it was called is in all views when it resolves; else there is a `loss`. */
  fence(): Promise<void>
  /** From here on these are tracked. */
  watch(disks: readonly TrackedDisk[]): Promise<void>
  openView(): View
  close(): Promise<void>
}

export type TrackerOptions = Omit<TraceOptions, 'devices' | 'onLine'> & {
  readonly disks: readonly TrackedDisk[]
}

/** Short enough that the buffer never fills up meanwhile, long enough to cost nothing. */
const PUMP_MILLISECONDS = 20
/** Somebody may change the tracing and change it back: looked for every few seconds, and at each fence. */
const LOOK_PUMPS = 100

type Entry = { readonly disk: TrackedDisk; grains: GrainSet }

const isSame = (one: TrackedDisk, other: TrackedDisk): boolean =>
  one.key === other.key && one.device === other.device && one.sequence === other.sequence

export async function openTracker({ disks, ...options }: TrackerOptions): Promise<Tracker> {
  const views = new Set<Map<string, Entry>>()
  let tracked = disks
  let loss: CycleReason | null = null
  const lose = (why: string): void => {
    loss ??= { code: 'linux/events-lost', message: `Change tracking on the server is not complete: ${why}` }
  }
  const look = async (): Promise<void> => {
    const doubt = await trace.doubt()
    if (doubt !== null) lose(doubt)
  }
  const trace: TraceInstance = await openTraceInstance({
    ...options,
    devices: disks.map(({ device }) => device),
    onLine(line) {
      if (line.kind === 'lost') return lose('some writes came faster than they could be read')
      for (const view of views) view.get(line.device)?.grains.add(line.extent)
    },
  })
  const loseBy = (error: unknown): void => lose(error instanceof Error ? error.message : String(error))
  let pumps = 0
  const timer = setInterval(() => {
    if (loss) return
    try {
      trace.pump()
    } catch (error) {
      loseBy(error)
    }
    pumps += 1
    if (pumps % LOOK_PUMPS === 0) void look()
  }, PUMP_MILLISECONDS)
  timer.unref()

  const emptyEntries = (): Map<string, Entry> =>
    new Map(tracked.map((disk) => [disk.device, { disk, grains: grainSet(disk.bytes) }]))
  const viewOf = (entries: Map<string, Entry>): View => ({
    changedOf(disk) {
      const entry = entries.get(disk.device)
      if (!entry || !isSame(entry.disk, disk)) return null
      if (disk.bytes < entry.disk.bytes) return null
      const grown = { offset: entry.disk.bytes, bytes: disk.bytes - entry.disk.bytes }
      return grown.bytes > 0 ? [...entry.grains.extents(), grown] : entry.grains.extents()
    },
    knewAnother: (disk) =>
      [...entries.values()].some((entry) => entry.disk.key === disk.key && !isSame(entry.disk, disk)),
    get changedBytes() {
      let bytes = 0
      for (const { grains } of entries.values()) bytes += grains.changedBytes
      return bytes
    },
    take() {
      const taken = new Map([...entries].map(([device, entry]) => [device, { ...entry }]))
      for (const entry of entries.values()) entry.grains = grainSet(entry.disk.bytes)
      return viewOf(taken)
    },
    close: () => void views.delete(entries),
  })

  return {
    generation: randomUUID(),
    get loss() {
      return loss
    },
    async fence() {
      if (loss) return
      try {
        await trace.fence()
      } catch (error) {
        // What does not come to its end may have missed anything.
        return loseBy(error)
      }
      await look()
    },
    async watch(next) {
      await trace.watch(next.map(({ device }) => device))
      tracked = next
      // Of what is not watched for a while a view would not be complete when it is watched again.
      for (const view of views)
        for (const [device, { disk }] of view)
          if (!next.some((other) => isSame(other, disk))) view.delete(device)
    },
    openView() {
      const entries = emptyEntries()
      views.add(entries)
      return viewOf(entries)
    },
    async close() {
      clearInterval(timer)
      await trace.close()
    },
  }
}
