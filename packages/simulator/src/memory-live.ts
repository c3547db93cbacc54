import type { Live, Measurement, Topic } from '@understudy/engine/ports/live'

export type MemoryLive = Live & {
  readonly changes: readonly { readonly topic: Topic; readonly id: string | null }[]
  readonly measurements: readonly Measurement[]
}

/** Keeps every hint and measurement, for tests to look at. */
export function memoryLive(): MemoryLive {
  const changes: { topic: Topic; id: string | null }[] = []
  const measurements: Measurement[] = []
  return {
    changes,
    measurements,
    changed(topic, id) {
      changes.push({ topic, id })
    },
    measured(measurement) {
      measurements.push(measurement)
    },
  }
}
