// What agents do to themselves, and what they are refused, in the audit log. Strangers can knock as often as they like, so there is a
// bound on how much of that is kept, and reaching it is told.

import { recordEvent } from '@understudy/engine/events/report'
import type { AuditEntry, AuditEntryId } from '@understudy/engine/ports/access-stores'
import type { AgentParts } from './agent-parts.ts'

export type AgentAudit = (
  entry: Pick<AuditEntry, 'who' | 'action' | 'subject' | 'subjectName' | 'outcome' | 'facts' | 'ip'>,
) => Promise<void>

const MOST_REFUSALS = 100
const WINDOW_MILLISECONDS = 60_000

export function agentAudit(parts: Pick<AgentParts, 'stores' | 'live' | 'clock' | 'newId'>): AgentAudit {
  let window = { begunAt: 0, refusals: 0 }
  return async (entry) => {
    const at = parts.clock.now()
    if (entry.outcome !== 'granted') {
      if (Math.abs(at - window.begunAt) > WINDOW_MILLISECONDS) window = { begunAt: at, refusals: 0 }
      window.refusals += 1
      if (window.refusals === MOST_REFUSALS + 1)
        await recordEvent(parts, {
          severity: 'warning',
          code: 'agent/many-refusals',
          message: `More than ${MOST_REFUSALS} attempts of agents were refused within a minute; the audit log leaves out the rest of them`,
          subject: null,
          facts: { ip: entry.ip },
        })
      if (window.refusals > MOST_REFUSALS) return
    }
    await parts.stores.audit.append({ ...entry, id: parts.newId() as AuditEntryId, at })
  }
}
