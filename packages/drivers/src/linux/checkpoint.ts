// The name of an instant up to which the changes of this server are known: which boot, which run of our tracking, which point of it. Pure.
import type { CycleReason } from '@understudy/domain/replication/plan-cycle'

export type Checkpoint = {
  readonly bootId: string
  /** Of the tracking that has run without a gap since. */
  readonly generation: string
  readonly round: number
}

export const toCheckpoint = ({ bootId, generation, round }: Checkpoint): string =>
  `linux:${bootId}:${generation}:${round}`

/** Null: not one of ours. */
export function fromCheckpoint(text: string): Checkpoint | null {
  const found = /^linux:([0-9a-f-]+):([0-9a-f-]+):(\d+)$/.exec(text)
  if (!found) return null
  const [, bootId = '', generation = '', round] = found
  return { bootId, generation, round: Number(round) }
}

/** Why what changed since is not known; `now` is what runs, `round` of it the newest one. Null generation: nothing is tracked. */
export function reasonOfLoss(
  since: string,
  now: { readonly bootId: string; readonly generation: string | null },
): CycleReason {
  const named = fromCheckpoint(since)
  if (named === null)
    return { code: 'linux/foreign-mark', message: 'The newest point was taken by another kind of source' }
  if (named.bootId !== now.bootId)
    return {
      code: 'linux/restarted',
      message:
        'The server was started anew since the newest point, and what was written meanwhile is not known',
    }
  if (named.generation !== now.generation)
    return {
      code: 'linux/tracking-restarted',
      message:
        'Change tracking on the server was begun anew since the newest point: its process ended in between',
    }
  return {
    code: 'linux/stale-mark',
    message: 'The newest point is older than what is still kept of the changes on the server',
  }
}
