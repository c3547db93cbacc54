// What becomes of the policy's interval: how often points really come, why, and who is told.
import { secondsBetween } from '@understudy/base/instant'
import { replicatingStates } from '@understudy/domain/protection/protection'
import { GAPS_THAT_COUNT, judgePace, type Pace } from '@understudy/domain/replication/carried-pace'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, recordEvent, resolveAlert } from '../events/report.ts'
import type { SourcePlatform } from '../ports/source-platform.ts'
import type { ToldPace } from '../ports/stores.ts'
import type { CycleOutcome } from './run-cycle.ts'
import { type Slot, subjectOf } from './slot.ts'

/** Open while points come further apart than the policy wants, and the source could give them more often. */
const INTERVAL_ALERT = 'protection/interval'

/** At every look. Whoever does not replicate has no pace. */
export async function watchPace(parts: EngineParts, slot: Slot): Promise<void> {
  // A mover that died between an alert and the summary has left one open of which the summary knows nothing.
  if (slot.paceAlertMayBeLeft) await resolveAlert(parts, INTERVAL_ALERT, subjectOf(slot.protection))
  slot.paceAlertMayBeLeft = false
  if (replicatingStates.includes(slot.protection.state)) return await settlePace(parts, slot)
  forgetGaps(slot)
  slot.shortestIntervalSeconds = 0
  if (slot.pace !== null) await changePace(parts, slot, null)
}

/** Before a cycle: from now on it goes by what its source can do. */
export async function learnFromSource(
  parts: EngineParts,
  slot: Slot,
  { shortestIntervalSeconds }: SourcePlatform,
): Promise<void> {
  slot.shortestIntervalSeconds = shortestIntervalSeconds
  await settlePace(parts, slot)
}

/** After a sealed point. A copy of everything takes its time, whatever the interval is: nothing is counted from it. */
export async function noteGap(parts: EngineParts, slot: Slot, outcome: CycleOutcome): Promise<void> {
  const { point, summary } = outcome
  const before = slot.lastDelta
  const throttledTimes = throttledTimesOf(slot)
  const isDelta = summary.kind === 'delta' || summary.kind === 'idle'
  slot.lastDelta = isDelta ? { instant: point.instant, throttledTimes } : null
  if (!isDelta || before === null) return
  const gap = {
    seconds: secondsBetween(before.instant, point.instant),
    cycleSeconds: secondsBetween(summary.startedAt, summary.endedAt),
    throttled: throttledTimes > before.throttledTimes,
  }
  slot.gaps = [...slot.gaps, gap].slice(-GAPS_THAT_COUNT)
  await settlePace(parts, slot)
}

/** A cycle has failed: the outage is told by itself, and is no pace; unless it is the throttling. */
export function noteFailedCycle(slot: Slot): void {
  if (slot.lastDelta !== null && throttledTimesOf(slot) <= slot.lastDelta.throttledTimes)
    slot.lastDelta = null
}

export function forgetGaps(slot: Slot): void {
  slot.gaps = []
  slot.lastDelta = null
}

/** A store that was opened anew counts from nothing: then what it has counted by now is all that is known. */
const throttledTimesOf = ({ openedFrom }: Slot): number => openedFrom?.strain?.().times ?? 0

async function settlePace(parts: EngineParts, slot: Slot): Promise<void> {
  const { pace, gaps, policy, shortestIntervalSeconds: shortestSeconds } = slot
  const now = parts.clock.now()
  const next = judgePace({
    former: pace,
    gaps,
    wantedSeconds: policy.intervalSeconds,
    shortestSeconds,
    now,
  })
  if (next !== pace) await changePace(parts, slot, next && { ...next, ...(await wordsOf(parts, slot, next)) })
}

/** Told first: what cannot be written down is told again, and never kept silent. */
async function changePace(parts: EngineParts, slot: Slot, pace: ToldPace | null): Promise<void> {
  await tellPace(parts, slot, pace)
  await parts.stores.protections.updateSummary(slot.id, { pace })
  slot.pace = pace
  parts.live.changed('protections', slot.id)
}

async function tellPace(parts: EngineParts, slot: Slot, pace: ToldPace | null): Promise<void> {
  const subject = subjectOf(slot.protection)
  if (pace !== null && pace.cause !== 'source')
    return await raiseAlert(parts, {
      severity: 'warning',
      code: INTERVAL_ALERT,
      message: sentenceOf(subject.name, pace),
      remedy: pace.remedy,
      subject,
      facts: { pace },
    })
  await resolveAlert(parts, INTERVAL_ALERT, subject)
  // Paused, failed over: it does not keep to its interval because it does not copy.
  if (!replicatingStates.includes(slot.protection.state)) return
  if (pace !== null)
    return await recordEvent(parts, {
      severity: 'info',
      code: 'protection/interval-of-source',
      message: sentenceOf(subject.name, pace),
      subject,
      facts: { pace },
    })
  await recordEvent(parts, {
    severity: 'info',
    code: 'protection/interval-kept',
    message: `Recovery points of ${subject.name} come every ${slot.policy.intervalSeconds} s again, as its policy wants`,
    subject,
  })
}

const sentenceOf = (name: string, { wantedSeconds, carriedSeconds, why }: ToldPace): string =>
  `Recovery points of ${name} are wanted every ${wantedSeconds} s and come every ${carriedSeconds} s: ${why}`

async function wordsOf(
  parts: EngineParts,
  slot: Slot,
  { cause, carriedSeconds }: Pace,
): Promise<Pick<ToldPace, 'why' | 'remedy'>> {
  const nameOf = async (id: Slot['protection']['sourceSiteId']) =>
    (await parts.stores.sites.find(id))?.name ?? 'its site'
  switch (cause) {
    case 'throttled': {
      const strain = slot.openedFrom?.strain?.()
      const place = await nameOf(slot.protection.targetSiteId)
      return {
        why: strain === undefined ? `${place} asks for fewer requests` : `${strain.what} (${place})`,
        remedy: strain?.remedy ?? 'Lengthen the interval in the policy.',
      }
    }
    case 'waiting':
      return {
        why: 'its cycles wait for their turn, because this server copies other machines',
        remedy:
          'Give machines that matter less a longer interval, or start another server process: it takes over some of them.',
      }
    case 'slow':
      return {
        why: 'a cycle takes longer than that',
        remedy:
          'Lengthen the interval in the policy, or look at what holds it up: the changes of each cycle, the line between the sites and its limit, the disks of both sides.',
      }
    case 'source':
      return {
        why: `${await nameOf(slot.protection.sourceSiteId)}, where it runs, gives them no more often`,
        remedy: `Nothing is wrong. Give it a policy with an interval of ${carriedSeconds} s or more while it runs there, so that its lag target fits as well.`,
      }
  }
}
