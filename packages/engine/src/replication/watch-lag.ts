// The lag alert of a protection, looked after by the mover that holds it.
import { checkLag, lagSeconds } from '@understudy/domain/protection/lag'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, resolveAlert } from '../events/report.ts'
import { replicatingStates, type Slot, subjectOf } from './slot.ts'

export async function watchLag(parts: EngineParts, slot: Slot): Promise<void> {
  const subject = subjectOf(slot.protection)
  if (!replicatingStates.includes(slot.protection.state)) {
    // Nobody expects new points now; an alert that stays would cry wolf.
    if (slot.lagRaised !== false) await resolveAlert(parts, 'protection/lag', subject)
    slot.lagRaised = false
    parts.live.lagSeen(slot.id, null)
    return
  }
  const lag = lagSeconds(slot.newestInstant, parts.clock.now())
  parts.live.lagSeen(slot.id, lag)
  const targetSeconds = slot.policy.lagTargetSeconds
  // A mover that has just taken over does not know what its predecessor raised: it says the truth either way.
  const raised = slot.lagRaised ?? (lag !== null && lag <= targetSeconds)
  const verdict = checkLag({ lagSeconds: lag, targetSeconds, raised })
  if (verdict === 'leave') return
  slot.lagRaised = verdict === 'raise'
  if (verdict === 'resolve') return await resolveAlert(parts, 'protection/lag', subject)
  await raiseAlert(parts, {
    severity: 'warning',
    code: 'protection/lag',
    message: `The newest recovery point of ${slot.protection.name} is ${Math.round(lag ?? 0)} s old; the target is ${targetSeconds} s`,
    remedy:
      'Look at the protection: its source or the network may be too slow or away. A longer interval lowers the load.',
    subject,
  })
}
