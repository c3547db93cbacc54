// What people are told of the answers of agents: how an upgrade has ended.
import type { Outcome } from '@understudy/agent-protocol/messages'
import type { Agent, AgentOrderId } from '@understudy/domain/agents/agent'
import { raiseAlert, recordEvent, resolveAlert } from '@understudy/engine/events/report'
import type { AgentParts } from './agent-parts.ts'
import type { AgentAudit } from './audit-agent.ts'

const ROLLED_BACK = 'agent/upgrade-rolled-back'

/** When the answer has been taken. */
export async function tellAnswer(
  { parts, audit }: { readonly parts: AgentParts; readonly audit: AgentAudit },
  agent: Agent,
  { orderId, outcome }: { readonly orderId: string; readonly outcome: Outcome },
): Promise<void> {
  const order = await parts.stores.agents.findOrder(orderId as AgentOrderId)
  if (order?.kind !== 'upgrade' || outcome.kind === 'facts') return
  const entry = {
    who: `agent ${agent.name}`,
    action: 'agents.upgrade',
    subject: agent.id,
    subjectName: agent.name,
    ip: null,
  }
  if (outcome.kind === 'upgraded') {
    const { from, to } = outcome
    await recordEvent(parts, {
      severity: 'info',
      code: 'agent/upgraded',
      message: `The agent ${agent.name} was upgraded from ${from} to ${to}`,
      subject: agent,
      facts: { from, to, by: order.askedBy },
    })
    await resolveAlert(parts, ROLLED_BACK, agent)
    return audit({ ...entry, outcome: 'granted', facts: { from, to } })
  }
  const { code, message } = outcome
  const report = {
    severity: 'warning' as const,
    code,
    message: `The agent ${agent.name} was not upgraded: ${message}`,
    subject: agent,
    facts: { by: order.askedBy },
  }
  if (code === ROLLED_BACK)
    await raiseAlert(parts, {
      ...report,
      remedy:
        'The agent goes on with the program that it had. See its log there (journalctl -u understudy-agent), and upgrade it again.',
    })
  else await recordEvent(parts, { ...report, code: 'agent/upgrade-failed', facts: { ...report.facts, code } })
  await audit({ ...entry, outcome: 'refused', facts: { problem: code } })
}
