// The alert of a group that has had no common point for too long, looked after by the mover that runs its cycles.
import { type Instant, secondsBetween } from '@understudy/base/instant'
import { checkLag } from '@understudy/domain/protection/lag'
import type { Protection, ProtectionState } from '@understudy/domain/protection/protection'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, resolveAlert } from '../events/report.ts'
import { type GroupSlot, hasAll } from './group-slot.ts'

export const GROUP_LAG_ALERT = 'group/no-common-point'

/** Of these a common point is expected. A first copy takes as long as it takes; a pause or a failover is somebody's wish. */
const expectedStates: readonly ProtectionState[] = ['protected', 'resyncing', 'broken']

export async function watchGroup(parts: EngineParts, slot: GroupSlot, targetSeconds: number): Promise<void> {
  const subject = { id: slot.id, name: slot.group.name }
  const expected = slot.members.filter(({ state }) => expectedStates.includes(state))
  if (expected.length < 2) {
    slot.lagCountsFrom = null
    if (slot.lagRaised !== false) await resolveAlert(parts, GROUP_LAG_ALERT, subject)
    slot.lagRaised = false
    return
  }
  const now = parts.clock.now()
  const newest = newestFor(slot, expected)
  const late = secondsBetween(Math.max(newest ?? 0, countsFrom(slot, expected, targetSeconds, now)), now)
  const verdict = checkLag({
    lagSeconds: late,
    targetSeconds,
    raised: slot.lagRaised ?? late <= targetSeconds,
  })
  if (verdict === 'leave') return
  slot.lagRaised = verdict === 'raise'
  if (verdict === 'resolve') return await resolveAlert(parts, GROUP_LAG_ALERT, subject)
  const age = newest === null ? 'none yet' : `the newest is ${Math.round(secondsBetween(newest, now))} s old`
  await raiseAlert(parts, {
    severity: 'warning',
    code: GROUP_LAG_ALERT,
    message: `The machines of "${slot.group.name}" have had no common recovery point for longer than ${targetSeconds} s (${age}): ${whyNone(slot, expected)}`,
    remedy:
      slot.summary.apart?.remedy ??
      'Look at the machines of the group. Each has points of its own meanwhile; a plan uses the newest common one.',
    subject,
  })
}

/** The instant of the newest cut that all of these have. */
function newestFor({ summary }: GroupSlot, expected: readonly Protection[]): Instant | null {
  const { newestCut, newestWholeCut } = summary
  if (newestCut && hasAll(newestCut, expected)) return newestCut.instant
  return newestWholeCut && hasAll(newestWholeCut, expected) ? newestWholeCut.instant : null
}

/** Whoever has just come in, or been given another target, gets the time of the target before anybody is called. */
function countsFrom(
  slot: GroupSlot,
  expected: readonly Protection[],
  targetSeconds: number,
  now: Instant,
): Instant {
  const terms = `${targetSeconds} ${expected.map(({ id }) => id).join(' ')}`
  if (slot.lagCountsFrom?.terms !== terms) slot.lagCountsFrom = { terms, since: now }
  return slot.lagCountsFrom.since
}

function whyNone({ summary }: GroupSlot, expected: readonly Protection[]): string {
  const [first] = expected
  const elsewhere = expected.find(({ sourceSiteId }) => sourceSiteId !== first?.sourceSiteId)
  if (first && elsewhere) return `${first.name} and ${elsewhere.name} run at two sites`
  const held = expected.filter(({ state }) => state !== 'protected')
  if (held.length > 0)
    return held
      .map(({ name, state }) => `${name} ${state === 'broken' ? 'is broken' : 'is resynchronising'}`)
      .join(', ')
  return summary.apart?.reason ?? 'one of them cannot be copied, or takes too long'
}
