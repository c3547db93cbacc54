// Keeps a short past of lag and change rate for the charts: one row a protection and half minute.
import type { Clock } from '@understudy/base/instant'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { HistoryStore, LagSample } from '@understudy/engine/ports/history-store'
import type { Live, Measurement } from '@understudy/engine/ports/live'
import type { Logger } from 'pino'

const sampleMilliseconds = 30_000
const keepMilliseconds = 7 * 24 * 3_600_000

type Kept = { lagSeconds: number | null; bytes: number; doneBytes: number }

/** Wraps a Live so that what passes is also sampled into the store. `stop` ends the sampling. */
export function withHistory(
  live: Live,
  history: HistoryStore,
  clock: Clock,
  log: Logger,
): Live & { stop(): void } {
  const kept = new Map<ProtectionId, Kept>()
  let flushes = 0

  function note(measurement: Measurement): void {
    const known = kept.get(measurement.protectionId) ?? { lagSeconds: null, bytes: 0, doneBytes: 0 }
    // `doneBytes` counts up within a cycle and begins anew with the next.
    const moved =
      measurement.doneBytes >= known.doneBytes
        ? measurement.doneBytes - known.doneBytes
        : measurement.doneBytes
    kept.set(measurement.protectionId, {
      lagSeconds: measurement.lagSeconds,
      bytes: known.bytes + moved,
      doneBytes: measurement.doneBytes,
    })
  }

  async function flush(): Promise<void> {
    const at = clock.now() - (clock.now() % sampleMilliseconds)
    const samples: LagSample[] = [...kept].map(([protectionId, { lagSeconds, bytes }]) => ({
      protectionId,
      at,
      lagSeconds,
      bytes,
    }))
    for (const sample of kept.values()) sample.bytes = 0
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
    stop: () => clearInterval(timer),
  }
}
