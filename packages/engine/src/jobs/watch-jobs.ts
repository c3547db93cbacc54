// Jobs that nobody runs any more, and what they left behind: found while the server runs, not only when it starts.
import type { Instant } from '@understudy/base/instant'
import type { Run } from '@understudy/domain/failover/failover'
import type { Protection, ProtectionId, ProtectionState } from '@understudy/domain/protection/protection'
import type { EngineParts } from '../engine-parts.ts'
import { removeLeftOver } from '../failover/needless-replicas.ts'
import { exitOf, isWorkedOn } from '../failover/tidy-up.ts'
import { failLostJobs, startUnasked } from './start-job.ts'

export type JobWatcher = {
  /**
   * Begins to look, once a minute at most, at the protections that this process holds. Does not wait: the durable log may be
   * slow to answer, and the mover's heartbeat must not stop with it.
   */
  look(held: ReadonlyMap<ProtectionId, Protection>, runs: readonly Run[]): void
  stop(): Promise<void>
}

const EVERY_MILLISECONDS = 60_000
/** What could not be tidied up is tried again after this long. */
const AGAIN_AFTER_MILLISECONDS = 10 * 60_000

const working: readonly ProtectionState[] = ['failingOver', 'rollingBack', 'committing', 'reprotecting']

export function createJobWatcher(parts: EngineParts): JobWatcher {
  let dueAt = 0
  let looking: Promise<void> | null = null
  const stopping = new AbortController()
  const leftOverAgainAt = new Map<ProtectionId, Instant>()

  /** No state shows it, so it is no exit: a reprotect that was cut short, or failed, in its last step. */
  const lookForLeftOver = async (held: ReadonlySet<ProtectionId>): Promise<void> => {
    for (const id of await parts.stores.protections.turning()) {
      if (stopping.signal.aborted) return
      if (!held.has(id) || parts.clock.now() < (leftOverAgainAt.get(id) ?? 0)) continue
      if (await isWorkedOn(parts, id)) continue
      leftOverAgainAt.set(id, parts.clock.now() + AGAIN_AFTER_MILLISECONDS)
      await removeLeftOver(parts, id, stopping.signal).catch((error: unknown) =>
        parts.log('warn', 'what a reprotect left over could not be removed', { protection: id, error }),
      )
    }
  }

  const lookOnce = async (held: readonly Protection[], runs: readonly Run[]): Promise<void> => {
    await failLostJobs(parts)
    const inRun = new Set(runs.filter(({ kind }) => kind !== 'test').map(({ protectionId }) => protectionId))
    const leaving = new Set(await parts.stores.protections.withLeftReplicas())
    const candidates = held.filter(
      ({ id, state }) => working.includes(state) || inRun.has(id) || leaving.has(id),
    )
    for (const { id, name } of candidates)
      if (!stopping.signal.aborted && (await isStranded(parts, id)))
        await startUnasked(parts, 'tidy-up', { id, name })
    await lookForLeftOver(new Set(held.map(({ id }) => id)))
  }

  return {
    look(held, runs) {
      const now = parts.clock.now()
      if (stopping.signal.aborted || looking !== null || now < dueAt) return
      dueAt = now + EVERY_MILLISECONDS
      looking = lookOnce([...held.values()], runs)
        .catch((error: unknown) => parts.log('warn', 'lost jobs could not be looked for', { error }))
        .finally(() => {
          looking = null
        })
    },
    async stop() {
      stopping.abort(new DOMException('The watcher stops', 'AbortError'))
      await looking
    },
  }
}

/** In this order: a job that ends between the two questions has settled the state by then. */
async function isStranded(parts: EngineParts, id: ProtectionId): Promise<boolean> {
  if (await isWorkedOn(parts, id)) return false
  if ((await parts.stores.protections.find(id)) === null || (await exitOf(parts, id)) === 'none') return false
  const filter = { subjectId: id, kinds: ['tidy-up'] }
  const [last] = (await parts.stores.jobs.list(filter, { limit: 1, cursor: null })).rows
  return last?.state !== 'failed' || parts.clock.now() - (last.endedAt ?? 0) >= AGAIN_AFTER_MILLISECONDS
}
