// Asks the targets, long before the bad day, whether they could boot what is replicated to them. What they say is part of the readiness.
import { isDeepStrictEqual } from 'node:util'
import { isAbort, toFailureReport } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { Finding } from '@understudy/domain/machines/machine'
import {
  type Protection,
  type ProtectionId,
  replicatingStates,
} from '@understudy/domain/protection/protection'
import type { EngineParts } from '../engine-parts.ts'
import { preflightFailover } from '../failover/preflight.ts'
import { withinSeconds } from '../sites/bounded-call.ts'

export type PreflightWatcher = {
  /** Begins to ask about what is due of the protections that this process holds. Does not wait. */
  look(held: ReadonlyMap<ProtectionId, Protection>): void
  stop(): Promise<void>
}

/** A site with a thousand machines is asked about a few at a time. */
const AT_ONCE = 4

export function createPreflightWatcher(parts: EngineParts): PreflightWatcher {
  const stopping = new AbortController()
  const dueAt = new Map<ProtectionId, Instant>()
  let asking: Promise<void> | null = null

  const ask = async (due: readonly Protection[]): Promise<void> => {
    for (let from = 0; from < due.length && !stopping.signal.aborted; from += AT_ONCE)
      await Promise.all(due.slice(from, from + AT_ONCE).map(({ id }) => askOne(parts, id, stopping.signal)))
  }

  return {
    look(held) {
      if (asking !== null || stopping.signal.aborted) return
      for (const id of dueAt.keys()) if (!held.has(id)) dueAt.delete(id)
      const now = parts.clock.now()
      const due = [...held.values()].filter(
        ({ id, state }) => replicatingStates.includes(state) && (dueAt.get(id) ?? 0) <= now,
      )
      if (due.length === 0) return
      for (const { id } of due) dueAt.set(id, now + parts.config.preflightEverySeconds * 1000)
      asking = ask(due).finally(() => {
        asking = null
      })
    },
    async stop() {
      stopping.abort(new DOMException('The watcher stops', 'AbortError'))
      await asking
    },
  }
}

/** Written down only when it is other than before. */
async function askOne(parts: EngineParts, id: ProtectionId, signal: AbortSignal): Promise<void> {
  const { protections } = parts.stores
  try {
    const preflight = await findingsOf(parts, id, signal)
    if (isDeepStrictEqual((await protections.summary(id)).preflight, preflight)) return
    await protections.updateSummary(id, { preflight })
    parts.live.changed('protections', id)
  } catch (error) {
    if (!isAbort(error)) parts.log('warn', 'a preflight could not be kept', { protection: id, error })
  }
}

async function findingsOf(
  parts: EngineParts,
  protectionId: ProtectionId,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const bound = { seconds: parts.config.deadSiteSeconds, signal }
  try {
    return await withinSeconds(parts, bound, () =>
      preflightFailover(parts, { protectionId, mode: 'failover' }),
    )
  } catch (error) {
    signal.throwIfAborted()
    const { code, message, remedy } = toFailureReport(error)
    return [{ level: 'blocker', code, message: `Its target could not be asked: ${message}`, remedy }]
  }
}
