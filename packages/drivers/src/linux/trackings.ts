// What is tracked for whom on this server, and which checkpoints can be gone on from.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { CycleReason } from '@understudy/domain/replication/plan-cycle'
import { fromCheckpoint, reasonOfLoss, toCheckpoint } from './checkpoint.ts'
import { trackingWasLost } from './failures.ts'
import { OURS, removeTraceInstance } from './trace-instance.ts'
import { openTracker, type TrackedDisk, type Tracker, type View } from './tracker.ts'

/** Of one owner. */
export type Tracking = {
  readonly tracker: Tracker
  /** Instants by their number: what was written since. At most the newest sealed one, the opening of a whole copy, and one not sealed yet. */
  readonly marks: Map<number, View>
  nextRound: number
  /** Of the point that is open. */
  round: View | null
}

export type TrackingsOptions = {
  readonly bootId: string
  readonly tracefs: string
  readonly buffersKiB: number
}

export type Trackings = {
  /** With its fence taken: the mark is what it says. Or why one must begin anew. */
  continueFrom(
    trackingId: string,
    since: string,
  ): Promise<{ readonly tracking: Tracking; readonly mark: View } | { readonly reason: CycleReason }>
  /** Goes on with what runs if nothing was lost, so that the older checkpoints stay what they are. */
  begin(trackingId: string, disks: readonly TrackedDisk[]): Promise<Tracking>
  /** Numbers the instant that `after` begins at. */
  mark(tracking: Tracking, after: View): { readonly round: number; readonly checkpoint: string }
  /** Only the marks of these checkpoints stay. Null: none. */
  keepOnly(tracking: Tracking, ...checkpoints: readonly (string | null)[]): void
  stop(trackingId: string): Promise<void>
  close(): Promise<void>
}

export const instanceName = (trackingId: string): string => `${OURS}${trackingId}`

/** All that were made here, by whatever process, which has ended by now. Resolves to their names. */
export async function removeInstances(tracefs: string): Promise<readonly string[]> {
  const all = await readdir(join(tracefs, 'instances')).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const ours = all.filter((name) => name.startsWith(OURS))
  for (const name of ours) await removeTraceInstance(tracefs, name)
  return ours
}

export function openTrackings({ bootId, tracefs, buffersKiB }: TrackingsOptions): Trackings {
  const running = new Map<string, Tracking>()
  const stop = async (trackingId: string): Promise<void> => {
    const tracking = running.get(trackingId)
    running.delete(trackingId)
    await tracking?.tracker.close()
  }
  const roundOf = (checkpoint: string): number => fromCheckpoint(checkpoint)?.round ?? -1
  return {
    async continueFrom(trackingId, since) {
      const tracking = running.get(trackingId)
      const generation = tracking?.tracker.generation ?? null
      const mark = tracking?.marks.get(roundOf(since))
      const named = fromCheckpoint(since)
      if (!tracking || !mark || named?.bootId !== bootId || named.generation !== generation)
        return { reason: reasonOfLoss(since, { bootId, generation }) }
      await tracking.tracker.fence()
      return tracking.tracker.loss ? { reason: tracking.tracker.loss } : { tracking, mark }
    },
    async begin(trackingId, disks) {
      const known = running.get(trackingId)
      if (known) {
        await known.tracker.fence()
        if (known.tracker.loss === null) return known
        await stop(trackingId)
      }
      const tracker = await openTracker({ tracefs, name: instanceName(trackingId), buffersKiB, disks })
      const tracking: Tracking = { tracker, marks: new Map(), nextRound: 1, round: null }
      running.set(trackingId, tracking)
      await tracker.fence()
      if (tracker.loss) {
        await stop(trackingId)
        throw trackingWasLost(tracker.loss)
      }
      return tracking
    },
    mark(tracking, after) {
      const round = tracking.nextRound
      tracking.nextRound += 1
      tracking.marks.set(round, after)
      return { round, checkpoint: toCheckpoint({ bootId, generation: tracking.tracker.generation, round }) }
    },
    keepOnly(tracking, ...checkpoints) {
      const kept = checkpoints.map((checkpoint) => (checkpoint === null ? -1 : roundOf(checkpoint)))
      for (const [round, view] of tracking.marks) {
        if (kept.includes(round)) continue
        view.close()
        tracking.marks.delete(round)
      }
    },
    stop,
    async close() {
      for (const trackingId of [...running.keys()]) await stop(trackingId)
    },
  }
}
