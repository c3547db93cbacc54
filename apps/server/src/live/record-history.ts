// Keeps a short past of lag and change rate for the charts: one row a protection and half minute.
import type { Clock } from '@understudy/base/instant'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { HistoryStore, LagSample } from '@understudy/engine/ports/history-store'
import type { Live, Measurement } from '@understudy/engine/ports/live'
import type { Logger } from 'pino'

const sampleMilliseconds = 30_000
const keepMilliseconds = 7 * 24 * 3_600_000

type Kept = {
  /** Greatest since the last sample: a chart, and who audits it, want the worst moment and not the best. */
  lagSeconds: number | null
  bytes: number
  doneBytes: number
}

const nothingYet: Kept = { lagSeconds: null, bytes: 0, doneBytes: 0 }

const greater = (left: number | null, right: number | null): number | null =>
  left === null || right === null ? (left ?? right) : Math.max(left, right)

/** Wraps a Live so that what passes is also sampled into the store. `stop` ends the sampling. */
export function withHistory(
  live: Live,
  history: HistoryStore,
  clock: Clock,
  log: Logger,
): Live & { stop(): void } {
  const kept = new Map<ProtectionId, Kept>()
  let flushes = 0

  function note({ protectionId, lagSeconds, doneBytes }: Measurement): void {
    const known = kept.get(protectionId) ?? nothingYet
    // `doneBytes` counts up within a cycle and begins anew with the next.
    const moved = doneBytes >= known.doneBytes ? doneBytes - known.doneBytes : doneBytes
    kept.set(protectionId, {
      lagSeconds: greater(known.lagSeconds, lagSeconds),
      bytes: known.bytes + moved,
      doneBytes,
    })
  }

  function noteLag(protectionId: ProtectionId, lagSeconds: number | null): void {
    const known = kept.get(protectionId) ?? nothingYet
    // What does not replicate has no lag that would mean anything; what was copied before still counts.
    if (lagSeconds === null && known.bytes === 0) kept.delete(protectionId)
    else kept.set(protectionId, { ...known, lagSeconds: greater(known.lagSeconds, lagSeconds) })
  }

  async function flush(): Promise<void> {
    const at = clock.now() - (clock.now() % sampleMilliseconds)
    const samples: LagSample[] = [...kept].map(([protectionId, { lagSeconds, bytes }]) => ({
      protectionId,
      at,
      lagSeconds,
      bytes,
    }))
    for (const sample of kept.values()) Object.assign(sample, { lagSeconds: null, bytes: 0 })
    if (samples.length > 0) await history.append(samples)
    flushes += 1
    if (flushes % 120 === 0) await history.trim(clock.now() - keepMilliseconds)
  }

  const timer = setInterval(() => {
    flush().catch((error: unknown) => log.warn({ error }, 'the lag history could not be written'))
  }, sampleMilliseconds)

  return {
    changed: (topic, id) => live.changed(topic, id),
    measured(measurement) {
      note(measurement)
      live.measured(measurement)
    },
    lagSeen(protectionId, lagSeconds) {
      noteLag(protectionId, lagSeconds)
      live.lagSeen(protectionId, lagSeconds)
    },
    stop: () => clearInterval(timer),
  }
}
