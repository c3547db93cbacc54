// The lag alert of a protection, looked after by the mover that holds it.

import { type Instant, secondsBetween } from '@understudy/base/instant'
import { checkLag, lagSeconds } from '@understudy/domain/protection/lag'
import { replicatingStates } from '@understudy/domain/protection/protection'
import { lagTargetAt } from '@understudy/domain/replication/carried-pace'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, resolveAlert } from '../events/report.ts'
import { type Slot, subjectOf } from './slot.ts'

export async function watchLag(parts: EngineParts, slot: Slot): Promise<void> {
  const subject = subjectOf(slot.protection)
  if (!replicatingStates.includes(slot.protection.state)) {
    // Nobody expects new points now; an alert that stays would cry wolf.
    if (slot.lagRaised !== false) await resolveAlert(parts, 'protection/lag', subject)
    slot.lagRaised = false
    slot.lagCountsFrom = null
    parts.live.lagSeen(slot.id, null)
    return
  }
  const lag = lagSeconds(slot.newestInstant, parts.clock.now())
  parts.live.lagSeen(slot.id, lag)
  const targetSeconds = lagTargetAt(slot.policy, slot.pace)
  const late = lateSeconds(slot, lag, targetSeconds, parts.clock.now())
  // A mover that has just taken over does not know what its predecessor raised: it says the truth either way.
  const raised = slot.lagRaised ?? (late !== null && late <= targetSeconds)
  const verdict = checkLag({ lagSeconds: late, targetSeconds, raised })
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

/**
 * What the target is held against. Replication that has just begun again, or under another policy, gets the time of its target
 * before anybody is called: the old age of its newest point is not its fault. A mover that has just started knows of no
 * such beginning and takes the lag as it is.
 */
function lateSeconds(slot: Slot, lag: number | null, targetSeconds: number, now: Instant): number | null {
  const terms = `${slot.policy.id} ${targetSeconds}`
  if (slot.lagCountsFrom === null || slot.lagCountsFrom.terms !== terms) {
    const knowsOfIt = slot.lagRaised !== null
    slot.lagCountsFrom = { terms, since: knowsOfIt ? now : 0 }
  }
  return lag === null ? null : Math.min(lag, secondsBetween(slot.lagCountsFrom.since, now))
}
