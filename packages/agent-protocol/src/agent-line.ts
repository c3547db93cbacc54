// What a site of servers needs of the line to their agents; the server has it, and a platform calls it.
import type { AgentId, AgentState } from '@understudy/domain/agents/agent'
import type { SiteId } from '@understudy/domain/sites/site'
import type { Answer, AskKind, Question } from './asks.ts'
import type { WantedRead } from './messages.ts'

/** A server that an agent of the site runs on. */
export type AgentServer = {
  readonly agentId: AgentId
  /** By which the server is known again, also when its agent was enrolled anew. */
  readonly identity: string
  readonly name: string
  readonly hostName: string
  readonly state: AgentState
  /** To this process. */
  readonly connected: boolean
}

export interface AgentLine {
  /** Those whose agents may be asked for their disks, without the revoked. */
  servers(siteId: SiteId): Promise<readonly AgentServer[]>
  /**
   * Survives cuts: it is asked again for two minutes. Throws what the agent says, as a Refusal or an Outage; an Outage (`agent/away`)
   * when it does not come back, and a Refusal (`agent/too-old`) from one that knows no asks.
   */
  ask<Kind extends AskKind>(
    agentId: AgentId,
    kind: Kind,
    question: Question<Kind>,
    signal?: AbortSignal,
  ): Promise<Answer<Kind>>
  /**
   * Exactly the wanted bytes, checked, at most `MOST_READ_BYTES`. Waits while as much as may be under way is. Survives cuts as `ask`
   * does; what was changed on its way is asked for again, three times.
   */
  read(agentId: AgentId, wanted: WantedRead, signal?: AbortSignal): Promise<Buffer>
  /** How long a word to it and back takes, at best of the last few; null: not known. */
  roundTripMilliseconds(agentId: AgentId): number | null
  /** Calls back when an agent has come or gone, until aborted. */
  watch(onChange: () => void, signal: AbortSignal): void
}
