// What a failed-over machine that is off calls for. Whoever switched it off may have meant it; a host that failed did not.
import type { Instant } from '@understudy/base/instant'
import type { PowerState } from '../machines/machine.ts'

/** What one process has seen of a replica so far. */
export type ReplicaSight = {
  /** Since when it has been seen off, without a look between that said otherwise. */
  readonly offSince: Instant | null
  /** Its host did not answer since the replica was last seen on: that is why it is off. */
  readonly hostWasAway: boolean
  /** How often it was started again since then. */
  readonly starts: number
}

export const nothingSeen: ReplicaSight = { offSince: null, hostWasAway: false, starts: 0 }

export type ReplicaVerdict =
  | 'runs'
  /** Not known, or off for a moment only: a machine that is restarted there is off in between. */
  | 'wait'
  /** Off, and nobody knows why: a person decides. */
  | 'tell'
  /** Off because its host failed: start it again. */
  | 'start'

const PATIENCE_MILLISECONDS = 60_000
/** A guest that does not stay up is not started for ever. */
const MOST_STARTS = 3

/** Pure. `power` is null where the site did not answer. */
export function judgeReplica(
  seen: ReplicaSight,
  power: PowerState | null,
  now: Instant,
): { readonly seen: ReplicaSight; readonly verdict: ReplicaVerdict } {
  switch (power) {
    case 'running':
    case 'paused':
      return { seen: nothingSeen, verdict: 'runs' }
    case 'unknown':
    case null:
      return { seen: { ...seen, offSince: null, hostWasAway: true }, verdict: 'wait' }
    case 'off': {
      const offSince = seen.offSince ?? now
      if (now - offSince < PATIENCE_MILLISECONDS) return { seen: { ...seen, offSince }, verdict: 'wait' }
      if (!seen.hostWasAway || seen.starts >= MOST_STARTS)
        return { seen: { ...seen, offSince }, verdict: 'tell' }
      return { seen: { ...seen, offSince: now, starts: seen.starts + 1 }, verdict: 'start' }
    }
  }
}
