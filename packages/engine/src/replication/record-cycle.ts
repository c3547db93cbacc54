// What a cycle leaves behind in the control plane: state, summary, notes, and words where it did not go the usual way.
import { formatBytes } from '@understudy/base/bytes'
import { Refusal, toFailureReport } from '@understudy/base/errors'
import type { RateLimit } from '@understudy/block/with-rate-limit'
import type { Consistency } from '@understudy/domain/recovery-points/recovery-point'
import type { CyclePlan } from '@understudy/domain/replication/plan-cycle'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import type { ProtectionNotes } from '../ports/stores.ts'
import type { CycleOutcome } from './run-cycle.ts'
import { type Slot, subjectOf } from './slot.ts'

/** Before anything is copied: a cycle that is more than a delta says why and how long it will take about. */
export async function onPlanned(
  parts: EngineParts,
  slot: Slot,
  plan: CyclePlan,
  { diskBytes, limits }: { readonly diskBytes: number; readonly limits: readonly RateLimit[] },
): Promise<void> {
  if (plan.kind === 'delta') return
  const seconds = forecastSeconds(parts, slot, diskBytes, limits)
  const amount = `${formatBytes(diskBytes)}, about ${describeSeconds(seconds)}`
  const { state } = slot.protection
  if (plan.kind === 'resync' && state === 'protected') {
    const note = `${plan.reason.message}. Comparing ${amount}.`
    // Not protected any more: somebody paused or failed over just now, and what they want comes first.
    if (!(await parts.stores.protections.moveState(slot.id, state, 'resyncing', note)))
      throw new Refusal({
        code: 'cycle/overtaken',
        message: 'The protection changed its state before the cycle began to copy',
        remedy: 'Nothing needs to be done.',
      })
    slot.protection = { ...slot.protection, state: 'resyncing', stateNote: note }
    parts.live.changed('protections', slot.id)
  }
  await recordEvent(parts, {
    severity: plan.kind === 'resync' ? 'warning' : 'info',
    code: plan.reason.code,
    message: `${plan.kind === 'resync' ? 'Resynchronising' : 'First copy of'} ${slot.protection.name}: ${plan.reason.message} (${amount})`,
    subject: subjectOf(slot.protection),
    facts: { kind: plan.kind, diskBytes, forecastSeconds: seconds },
  })
}

function forecastSeconds(
  parts: EngineParts,
  slot: Slot,
  diskBytes: number,
  limits: readonly RateLimit[],
): number {
  const measured = slot.measurement?.bytesPerSecond ?? 0
  const assumed = measured > 1_000_000 ? measured : parts.config.assumedBytesPerSecond
  const allowed = limits.map(({ bytesPerSecond }) => bytesPerSecond ?? Number.POSITIVE_INFINITY)
  return Math.ceil(diskBytes / Math.min(assumed, ...allowed))
}

const describeSeconds = (seconds: number): string =>
  seconds < 90
    ? `${seconds} s`
    : seconds < 5400
      ? `${Math.round(seconds / 60)} min`
      : `${Math.round(seconds / 3600)} h`

export type CycleRecord = {
  readonly outcome: CycleOutcome
  readonly notes: ProtectionNotes
  readonly asked: Consistency
}

/** Repeatable except for its events. */
export async function recordCycle(parts: EngineParts, slot: Slot, record: CycleRecord): Promise<void> {
  const { point, summary } = record.outcome
  const { protections } = parts.stores
  const usage = await slot.replica?.usage()
  await protections.updateSummary(slot.id, {
    newestPoint: { id: point.id, instant: point.instant, consistency: point.consistency },
    ...(point.consistency === 'application'
      ? { newestApplicationPoint: { id: point.id, instant: point.instant } }
      : {}),
    pointCount: usage?.pointCount ?? 0,
    storedBytes: usage?.storedBytes ?? 0,
    lastCycle: summary,
  })
  await updateNotes(parts, slot, record)
  await becomeProtected(parts, slot, record)
  await tellOddities(parts, slot, record)
  parts.live.changed('protections', slot.id)
}

async function updateNotes(parts: EngineParts, slot: Slot, { outcome, notes }: CycleRecord): Promise<void> {
  const { point, summary } = outcome
  const resynced = notes.resyncReason !== null && summary.kind !== 'delta' && summary.kind !== 'idle'
  if (!resynced && point.consistency !== 'application') return
  await parts.stores.protections.updateNotes(slot.id, {
    ...(resynced ? { resyncReason: null } : {}),
    ...(point.consistency === 'application' ? { lastApplicationConsistentAt: point.instant } : {}),
  })
}

async function becomeProtected(parts: EngineParts, slot: Slot, { outcome }: CycleRecord): Promise<void> {
  const { state } = slot.protection
  if (state !== 'seeding' && state !== 'resyncing') return
  if (!(await parts.stores.protections.moveState(slot.id, state, 'protected', null))) return
  slot.protection = { ...slot.protection, state: 'protected', stateNote: null }
  await recordEvent(parts, {
    severity: 'info',
    code: 'protection/protected',
    message: `${slot.protection.name} is protected: ${formatBytes(outcome.summary.changedBytes)} were copied`,
    subject: subjectOf(slot.protection),
    facts: { cycle: outcome.summary },
  })
}

async function tellOddities(parts: EngineParts, slot: Slot, { outcome, asked }: CycleRecord): Promise<void> {
  const subject = subjectOf(slot.protection)
  const { point, releaseFailure } = outcome
  if (asked === 'application' && point.consistency === 'crash')
    await recordEvent(parts, {
      severity: 'warning',
      code: 'cycle/consistency-fallback',
      message: `The point of ${slot.protection.name} is crash-consistent instead of application-consistent: ${point.consistencyNote ?? 'no reason given'}`,
      subject,
    })
  if (point.checkpoint === null)
    await recordEvent(parts, {
      severity: 'warning',
      code: 'cycle/not-tracked',
      message: `Changes of ${slot.protection.name} cannot be tracked now; the next cycle compares everything`,
      subject,
    })
  if (releaseFailure !== null)
    await recordEvent(parts, {
      severity: 'warning',
      code: 'cycle/release-failed',
      message: `The point of ${slot.protection.name} is sealed, but its source could not be tidied up: ${toFailureReport(releaseFailure).message}`,
      subject,
    })
}
