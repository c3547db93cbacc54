// The servers of a site, as far as their agents may be asked for their disks.
import type { AgentLine } from '@understudy/agent-protocol/agent-line'
import type { Clock } from '@understudy/base/instant'
import { isProtectedServer, stateOfAgent } from '@understudy/domain/agents/agent'
import type { ControlPlaneStores } from '@understudy/engine/ports/access-stores'
import type { AgentLines } from './agent-lines.ts'

export function agentLineOf(
  lines: AgentLines,
  {
    stores,
    clock,
    silentSeconds,
  }: {
    readonly stores: Pick<ControlPlaneStores, 'agents'>
    readonly clock: Clock
    readonly silentSeconds: number
  },
): AgentLine {
  // What nobody listened for was not missed: after a stop of the server they have their time to come back.
  const since = clock.now()
  return {
    ask: lines.ask,
    read: lines.read,
    roundTripMilliseconds: lines.roundTripMilliseconds,
    watch: lines.watch,
    async servers(siteId) {
      const agents = await stores.agents.list()
      return agents
        .filter(
          (agent) => agent.siteId === siteId && agent.revokedAt === null && isProtectedServer(agent.roles),
        )
        .map((agent) => ({
          agentId: agent.id,
          identity: agent.serverIdentity,
          name: agent.name,
          hostName: agent.facts.hostName,
          state: stateOfAgent(
            { ...agent, seenAt: agent.seenAt === null ? null : Math.max(agent.seenAt, since) },
            clock.now(),
            silentSeconds,
          ),
          connected: lines.isConnected(agent.id),
        }))
    },
  }
}
