// Hints and measurements for whoever watches. Losing one loses nothing: the stores are the truth.
import type { ProtectionId } from '@understudy/domain/protection/protection'

export type Topic =
  | 'sites'
  | 'machines'
  | 'policies'
  | 'groups'
  | 'protections'
  | 'runs'
  | 'jobs'
  | 'events'
  | 'alerts'
  | 'plans'
  | 'plan-runs'
  | 'agents'

export type Measurement = {
  readonly protectionId: ProtectionId
  readonly at: number
  readonly phase: 'idle' | 'waiting' | 'opening' | 'copying' | 'sealing'
  /** Read from the source in the running cycle. */
  readonly doneBytes: number
  /** As far as known; 0 while unknown. */
  readonly totalBytes: number
  readonly bytesPerSecond: number
  /** Now minus the newest point's instant; null before the first point. */
  readonly lagSeconds: number | null
}

export interface Live {
  /** Something of this topic changed; `id` narrows it down. */
  changed(topic: Topic, id: string | null): void
  /** Throttled by the receiver to one a second and protection. */
  measured(measurement: Measurement): void
  /** The lag as its mover sees it every few seconds, cycles or none; null: nothing replicates it now. */
  lagSeen(protectionId: ProtectionId, lagSeconds: number | null): void
}
