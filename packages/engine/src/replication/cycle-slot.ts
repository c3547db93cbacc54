// One cycle of a protection that this mover holds, from the state to the summary, and what follows from how it ended.
import { InvariantError, Outage, Refusal, toFailureReport } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import { type RateLimit, rateLimit } from '@understudy/block/with-rate-limit'
import { type Protection, replicatingStates } from '@understudy/domain/protection/protection'
import { trackingIdOf } from '@understudy/domain/protection/tracking-id'
import { chooseConsistency } from '@understudy/domain/replication/choose-consistency'
import { nextCycleAt, retryDelaySeconds } from '@understudy/domain/replication/next-cycle'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, recordEvent, resolveAlert } from '../events/report.ts'
import type { Replica } from '../ports/replica-store.ts'
import type { ProtectionNotes } from '../ports/stores.ts'
import { withinSeconds } from '../sites/bounded-call.ts'
import { replicasOf, sourceOf } from '../sites/platform-of.ts'
import type { GroupSeat } from './group-opening.ts'
import { type LineLimits, rateClockOf } from './line-limits.ts'
import { openMeter } from './measure.ts'
import { onPlanned, recordCycle } from './record-cycle.ts'
import { type CycleOutcome, runCycle } from './run-cycle.ts'
import { intervalSecondsOf, type Slot, subjectOf } from './slot.ts'
import { learnFromSource, noteFailedCycle, noteGap } from './watch-pace.ts'

/** Open while replication is tried again and again: says why it does not go on. */
export const OUTAGE_ALERT = 'protection/outage'

/** The store knows less than the handle does. Only a handle that is opened now agrees with it again. */
const WENT_BACK = 'replica/went-back'

/** A newer writer is nothing unusual once; this often in a row two movers believe that they are the owner. */
const DEPOSED_LIMIT = 5

/**
 * Runs one cycle and settles everything that follows from how it ended. Throws only when the stores do. `seat`: where its group is
 * opened together; whatever becomes of the cycle, the others do not wait for it.
 */
export async function cycleSlot(
  parts: EngineParts,
  slot: Slot,
  lines: LineLimits,
  signal: AbortSignal,
  seat?: GroupSeat,
): Promise<void> {
  slot.sealedCut = null
  const startedAt = parts.clock.now()
  const { askedAt } = slot
  try {
    const ran = await attemptCycle(parts, slot, lines, { signal, seat })
    slot.dueAt = nextCycleAt({
      startedAt,
      endedAt: parts.clock.now(),
      intervalSeconds: intervalSecondsOf(slot),
    })
    if (!ran) return
    if (slot.troubleMayBeOpen) await resolveTrouble(parts, slot.protection)
    slot.troubleMayBeOpen = false
    slot.failures = 0
    slot.deposed = 0
  } catch (error) {
    // Whoever stopped the cycle (pause, failover, shut down) has said why; nothing failed.
    if (signal.aborted) return
    noteFailedCycle(slot)
    await settleFailure(parts, slot, error, signal)
  } finally {
    seat?.leave()
    // Asked for while this one ran: what it has seen may be older than the wish.
    if (slot.askedAt !== askedAt) slot.dueAt = parts.clock.now()
  }
}

/** False: the protection is not to be replicated any more. */
async function attemptCycle(
  parts: EngineParts,
  slot: Slot,
  lines: LineLimits,
  { signal, seat }: { readonly signal: AbortSignal; readonly seat: GroupSeat | undefined },
): Promise<boolean> {
  const protection = await parts.stores.protections.find(slot.id)
  if (!protection || !replicatingStates.includes(protection.state)) return false
  slot.protection = protection
  const notes = await parts.stores.protections.notes(slot.id)
  const source = await sourceOf(parts, protection.sourceSiteId)
  await learnFromSource(parts, slot, source)
  const replica = await openSlotReplica(parts, slot, signal)
  signal.throwIfAborted()

  const consistency = chooseSlotConsistency(slot, notes, parts.clock.now())
  const meter = openMeter(parts, slot)
  const limits = limitsOf(parts, slot, lines)
  const outcome = await runCycle({
    source,
    replica,
    ref: protection.sourceRef,
    trackingId: trackingIdOf(protection.id),
    excludedDisks: protection.excludedDisks,
    resyncReason: notes.resyncReason,
    consistency,
    limits,
    config: parts.config,
    ...(parts.farRequests ? { farRequests: parts.farRequests } : {}),
    time: { now: () => parts.clock.now(), sleep: parts.sleep },
    signal,
    ...(seat ? { seat } : {}),
    onPlan: (plan, { diskBytes, besideDisks }) =>
      onPlanned(parts, slot, plan, { diskBytes, limits: besideDisks ? [] : limits }),
    onProgress: meter.progress,
  })
  if (consistency === 'application') slot.lastConsistencyAttemptAt = parts.clock.now()
  slot.newestInstant = outcome.point.instant
  slot.newestIsTracked = outcome.point.checkpoint !== null
  slot.sealedCut = toSealedCut(outcome)
  await recordCycle(parts, slot, { outcome, notes, asked: consistency })
  await noteGap(parts, slot, outcome)
  meter.idle()
  return true
}

/** The policy's is of one machine, the line's is shared with all that goes over it. */
function limitsOf(parts: EngineParts, { policy, protection }: Slot, lines: LineLimits): readonly RateLimit[] {
  const own = policy.rateLimitBytesPerSecond
  return [...(own === 0 ? [] : [rateLimit(own, rateClockOf(parts))]), lines.of(protection)]
}

const toSealedCut = ({ point, summary }: CycleOutcome): Slot['sealedCut'] =>
  point.group
    ? {
        cut: point.group.cut,
        instant: point.instant,
        consistency: point.consistency,
        pauseMilliseconds: summary.pauseMilliseconds,
      }
    : null

const chooseSlotConsistency = (slot: Slot, notes: ProtectionNotes, now: Instant) =>
  chooseConsistency({
    everySeconds: slot.policy.applicationConsistentEverySeconds,
    lastSuccessAt: notes.lastApplicationConsistentAt,
    lastAttemptAt: slot.lastConsistencyAttemptAt,
    now,
  })

async function openSlotReplica(parts: EngineParts, slot: Slot, signal: AbortSignal): Promise<Replica> {
  const replicas = await replicasOf(parts, slot.protection.targetSiteId)
  // Another store: the key, the proxy and the pace that the replica was opened with are not the site's any more.
  if (slot.replica?.id === slot.protection.replicaId && slot.openedFrom === replicas) return slot.replica
  await giveUpSlotReplica(parts, slot, signal)
  // One that was left behind and wakes up late must not depose whoever writes by now.
  signal.throwIfAborted()
  const epoch = await parts.stores.protections.nextEpoch(slot.id)
  slot.replica = await replicas.openReplica(slot.protection.replicaId, epoch)
  slot.openedFrom = replicas
  const newest = slot.replica.points().at(-1)
  slot.newestInstant = newest?.instant ?? null
  slot.newestIsTracked = (newest?.checkpoint ?? null) !== null
  return slot.replica
}

export async function closeSlotReplica(slot: Slot): Promise<void> {
  const { replica } = slot
  slot.replica = null
  await replica?.close()
}

/**
 * Between two cycles, to open it anew. What drops and reads points behind them stops first, and begins again with the next one; where
 * that hangs in a dead store, the replica is left behind and closed when it is over. Never throws: nobody writes through it any more.
 */
async function giveUpSlotReplica(parts: EngineParts, slot: Slot, signal: AbortSignal): Promise<void> {
  const { replica, retaining, scrubbing } = slot
  if (replica === null) return
  // Before anything is waited for: nothing new begins with it.
  slot.replica = null
  const reason = new DOMException('The replica is opened anew', 'AbortError')
  retaining?.stop.abort(reason)
  scrubbing?.stop.abort(reason)
  const close = async (): Promise<void> => {
    await retaining?.done
    await scrubbing?.done
    await replica.close()
  }
  try {
    await withinSeconds(parts, { seconds: parts.config.letGoSeconds, signal }, close)
  } catch (error) {
    if (!signal.aborted)
      parts.log('warn', 'a replica that was given up was not closed', { protection: slot.id, error })
  }
}

async function settleFailure(
  parts: EngineParts,
  slot: Slot,
  error: unknown,
  signal: AbortSignal,
): Promise<void> {
  if (error instanceof Refusal && error.code === 'cycle/overtaken') {
    slot.dueAt = parts.clock.now() + intervalSecondsOf(slot) * 1000
  } else if (error instanceof Refusal && error.code === 'replica/newer-writer') {
    await giveUpSlotReplica(parts, slot, signal)
    slot.deposed += 1
    slot.dueAt = parts.clock.now() + intervalSecondsOf(slot) * 1000
    // A failover of this very protection takes the replica over in passing. The next cycle asks the lease again.
    if (slot.deposed < DEPOSED_LIMIT) return
    await retryLater(parts, slot, error)
  } else if (error instanceof Outage) {
    if (error.code === WENT_BACK) await giveUpSlotReplica(parts, slot, signal)
    await retryLater(parts, slot, error)
  } else await breakDown(parts, slot, error)
}

/** Our own database was away. Neither source nor target needs a rest then, and every machine would miss its target because of us. */
const OUR_STORE = 'store/'
const OUR_STORE_RETRY_SECONDS = 5

async function retryLater(parts: EngineParts, slot: Slot, error: unknown): Promise<void> {
  const failure = toFailureReport(error)
  slot.failures += 1
  slot.troubleMayBeOpen = true
  const delaySeconds = failure.code.startsWith(OUR_STORE)
    ? OUR_STORE_RETRY_SECONDS
    : retryDelaySeconds(slot.failures, parts.config.retryDelaysSeconds)
  slot.dueAt = parts.clock.now() + delaySeconds * 1000
  await raiseAlert(parts, {
    severity: 'warning',
    code: OUTAGE_ALERT,
    message: `${slot.protection.name} could not be replicated: ${failure.message}`,
    remedy: `${failure.remedy} Understudy tries again in ${delaySeconds} s.`,
    subject: subjectOf(slot.protection),
    facts: { cause: failure.code, attempt: slot.failures },
  })
}

/** Repeatable. Replication works again, or nobody expects it to. */
export async function resolveTrouble(
  parts: EngineParts,
  protection: Pick<Protection, 'id' | 'name'>,
): Promise<void> {
  for (const code of [OUTAGE_ALERT, 'protection/broken'])
    await resolveAlert(parts, code, subjectOf(protection))
}

/** A refusal stops at once: trying again changes nothing until somebody has done something. */
async function breakDown(parts: EngineParts, slot: Slot, error: unknown): Promise<void> {
  const failure = toFailureReport(error)
  const note = `${failure.message}. ${failure.remedy}`
  // A refusal is the operator's to settle, and told below; only a fault of ours is for the log's reader.
  parts.log(failure.kind === 'invariant' ? 'error' : 'warn', 'cycle failed', { protection: slot.id, error })
  slot.troubleMayBeOpen = true
  const { state } = slot.protection
  if (!(await parts.stores.protections.moveState(slot.id, state, 'broken', note))) return
  parts.live.changed('protections', slot.id)
  await raiseAlert(parts, {
    severity: 'critical',
    code: 'protection/broken',
    message: `Replication of ${slot.protection.name} stopped: ${failure.message}`,
    remedy: `${failure.remedy} Then resynchronise.`,
    subject: subjectOf(slot.protection),
    facts: { cause: failure.code, ourFault: error instanceof InvariantError },
  })
  await recordEvent(parts, {
    severity: 'critical',
    code: failure.code,
    message: failure.message,
    subject: subjectOf(slot.protection),
    facts: { remedy: failure.remedy },
  })
}
