// Reading every stored byte again, slowly, so that a rotten disk is found before the day the replica is needed.
import { formatBytes } from '@understudy/base/bytes'
import { toFailureReport } from '@understudy/base/errors'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, recordEvent, resolveAlert } from '../events/report.ts'
import type { ScrubReport } from '../ports/replica-store.ts'
import { type Slot, subjectOf } from './slot.ts'

const CODE = 'replica/damaged'
/** After a failure the next attempt comes this much sooner than the period says. */
const SOONER = 7

/** Scrubs once when it is due, repairs by a resync, tells. Never throws: replication must not stop because of it. */
export async function scrubSlot(parts: EngineParts, slot: Slot, signal: AbortSignal): Promise<void> {
  const { replica } = slot
  if (!replica) return
  const period = parts.config.scrubEverySeconds * 1000
  try {
    const { scrubbedAt = null } = await parts.stores.protections.notes(slot.id)
    const due = (scrubbedAt ?? slot.protection.createdAt) + period
    slot.scrubDueAt = due
    if (parts.clock.now() < due) return
    const report = await replica.scrub({ bytesPerSecond: parts.config.scrubBytesPerSecond, signal })
    await tell(parts, slot, report)
    const now = parts.clock.now()
    await parts.stores.protections.updateNotes(slot.id, { scrubbedAt: now })
    slot.scrubDueAt = now + period
  } catch (error) {
    if (signal.aborted || slot.replica !== replica) return
    slot.scrubDueAt = parts.clock.now() + period / SOONER
    parts.log('warn', 'a scrub failed', { protection: slot.id, failure: toFailureReport(error), error })
  }
}

async function tell(parts: EngineParts, slot: Slot, report: ScrubReport): Promise<void> {
  const subject = subjectOf(slot.protection)
  const { damage, checkedBytes } = report
  if (damage.length === 0) {
    await resolveAlert(parts, CODE, subject)
    const message = `The replica of ${subject.name} was read again (${formatBytes(checkedBytes)}): every checksum is right`
    await recordEvent(parts, { severity: 'info', code: 'replica/scrubbed', message, subject })
    return
  }
  const points = new Set(damage.flatMap((range) => range.points))
  const bytes = damage.reduce((sum, range) => sum + range.bytes, 0)
  const message = `${formatBytes(bytes)} of the replica of ${subject.name} are damaged; ${points.size} recovery points show it`
  // Comparing with the source writes good data over what reads as damaged: later points are whole again.
  await parts.stores.protections.updateNotes(slot.id, { resyncReason: { code: CODE, message } })
  await raiseAlert(parts, {
    severity: 'critical',
    code: CODE,
    message,
    remedy:
      'The next cycle repairs it from the source, so newer points are whole. Check the disks that hold the replica; do not use the damaged points.',
    subject,
    facts: { damage: damage.slice(0, 20), points: [...points].slice(0, 100) },
  })
}
