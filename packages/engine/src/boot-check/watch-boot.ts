// Asks protected machines from time to time whether they are prepared for their target: a kernel that was updated may have lost a driver.
import { isAbort } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import { bootCheckDueAt } from '@understudy/domain/boot-check/boot-check'
import {
  type Protection,
  type ProtectionId,
  replicatingStates,
} from '@understudy/domain/protection/protection'
import type { EngineParts } from '../engine-parts.ts'
import { type BootChecks, canBeChecked, keptCheck } from './check-boot.ts'

export type BootWatcher = {
  /** Begins to ask those that are due of the protections that this process holds. Does not wait. */
  look(held: ReadonlyMap<ProtectionId, Protection>): void
  /** With the questions under way, whoever has asked them. */
  stop(): Promise<void>
}

/** Each runs a program inside a guest: they are asked in turn, so that a host with many of them does not feel it. */
const AT_ONCE = 2

type Due = { readonly at: Instant; readonly of: string }

export function createBootWatcher(parts: EngineParts, checks: BootChecks): BootWatcher {
  const stopping = new AbortController()
  const known = new Map<ProtectionId, Due>()
  let asking: Promise<void> | null = null

  const askOne = async (protection: Protection): Promise<void> => {
    const { bootCheckEverySeconds, bootCheckRetrySeconds } = parts.config
    const rhythm = { everySeconds: bootCheckEverySeconds, retrySeconds: bootCheckRetrySeconds }
    const of = subjectText(protection)
    try {
      const now = parts.clock.now()
      // What another process has found out, or this one before it was started anew, need not be asked again.
      const kept = await keptCheck(parts, protection)
      if (bootCheckDueAt(kept, rhythm) <= now && (await canBeChecked(parts, protection))) {
        const check = await checks.check(protection.id)
        known.set(protection.id, { of, at: bootCheckDueAt(check, rhythm) })
      } else
        known.set(protection.id, {
          of,
          at: Math.max(bootCheckDueAt(kept, rhythm), now + bootCheckRetrySeconds * 1000),
        })
    } catch (error) {
      known.set(protection.id, { of, at: parts.clock.now() + bootCheckRetrySeconds * 1000 })
      if (!isAbort(error))
        parts.log('warn', 'whether a machine would boot could not be looked at', {
          protection: protection.id,
          error,
        })
    }
  }
  const ask = async (due: readonly Protection[]): Promise<void> => {
    for (let from = 0; from < due.length && !stopping.signal.aborted; from += AT_ONCE)
      await Promise.all(due.slice(from, from + AT_ONCE).map(askOne))
  }

  return {
    look(held) {
      if (asking !== null || stopping.signal.aborted) return
      for (const id of known.keys()) if (!held.has(id)) known.delete(id)
      const now = parts.clock.now()
      const due = [...held.values()].filter((protection) => {
        const { id, state } = protection
        const last = known.get(id)
        // Nothing is told before there is a point: the guest has enough to do with its first copy.
        if (!replicatingStates.includes(state) || state === 'seeding') return false
        return last === undefined || last.of !== subjectText(protection) || last.at <= now
      })
      if (due.length === 0) return
      asking = ask(due).finally(() => {
        asking = null
      })
    },
    async stop() {
      stopping.abort(new DOMException('The watcher stops', 'AbortError'))
      await checks.stop()
      await asking
    },
  }
}

/** After its direction has turned it is another machine, for another site. */
const subjectText = ({ sourceRef, targetSiteId }: Protection): string => `${sourceRef} ${targetSiteId}`
