// What the running cycle looks like from outside, at most a few times a second.
import { lagSeconds } from '@understudy/domain/protection/lag'
import type { EngineParts } from '../engine-parts.ts'
import type { Measurement } from '../ports/live.ts'
import type { CycleProgress } from './run-cycle.ts'
import type { Slot } from './slot.ts'

const SHORTEST_GAP_MILLISECONDS = 250

type Idle = Omit<CycleProgress, 'phase'> & { readonly phase: 'idle' }

export type CycleMeter = {
  progress(progress: CycleProgress): void
  idle(): void
}

export function openMeter(parts: Pick<EngineParts, 'clock' | 'live'>, slot: Slot): CycleMeter {
  const startedAt = parts.clock.now()
  let lastAt = 0
  let lastPhase: Measurement['phase'] | null = null
  const send = ({ beforeBytes = 0, ...measurement }: CycleProgress | Idle): void => {
    const at = parts.clock.now()
    if (measurement.phase === lastPhase && at - lastAt < SHORTEST_GAP_MILLISECONDS) return
    lastAt = at
    lastPhase = measurement.phase
    const seconds = (at - startedAt) / 1000
    slot.measurement = {
      ...measurement,
      protectionId: slot.id,
      at,
      bytesPerSecond: seconds > 0 ? (measurement.doneBytes - beforeBytes) / seconds : 0,
      lagSeconds: lagSeconds(slot.newestInstant, at),
    }
    parts.live.measured(slot.measurement)
  }
  return {
    progress: send,
    idle: () => send({ phase: 'idle', doneBytes: 0, totalBytes: 0 }),
  }
}
