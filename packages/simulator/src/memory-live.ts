import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { Live, Measurement, Topic } from '@understudy/engine/ports/live'

export type MemoryLive = Live & {
  readonly changes: readonly { readonly topic: Topic; readonly id: string | null }[]
  readonly measurements: readonly Measurement[]
  readonly lags: readonly SeenLag[]
}
type SeenLag = { readonly protectionId: ProtectionId; readonly lagSeconds: number | null }

/** Keeps every hint and measurement, for tests to look at. */
export function memoryLive(): MemoryLive {
  const changes: { topic: Topic; id: string | null }[] = []
  const measurements: Measurement[] = []
  const lags: SeenLag[] = []
  return {
    changes,
    measurements,
    lags,
    changed(topic, id) {
      changes.push({ topic, id })
    },
    measured(measurement) {
      measurements.push(measurement)
    },
    lagSeen(protectionId, lagSeconds) {
      lags.push({ protectionId, lagSeconds })
    },
  }
}
