import { toIso, toIsoOrNull } from '@understudy/base/instant'
import type { Agent as ShownAgent } from '@understudy/contract/agent'
import { type Agent, type AgentId, stateOfAgent } from '@understudy/domain/agents/agent'
import { callerOf } from './asker.ts'
import { type ApiDeps, os } from './context.ts'
import { findAgent, findSite } from './find.ts'

export function agentRoutes(deps: ApiDeps) {
  const { agents } = deps.stores
  const show = (agent: Agent, waitedFor: ReadonlySet<AgentId>): ShownAgent =>
    showAgent(agent, {
      now: deps.clock.now(),
      silentSeconds: deps.agents.silentSeconds,
      waitsForAnswer: waitedFor.has(agent.id),
    })
  const showOne = async (id: string): Promise<ShownAgent> => {
    const [agent, waitedFor] = await Promise.all([findAgent(deps, id), agents.waitedFor()])
    return show(agent, waitedFor)
  }
  return {
    list: os.agents.list.handler(async ({ input }) => {
      const [all, waitedFor] = await Promise.all([agents.list(), agents.waitedFor()])
      const here = all.filter(({ siteId }) => input.siteId === undefined || siteId === input.siteId)
      return { items: here.map((agent) => show(agent, waitedFor)), next: null, total: here.length }
    }),
    get: os.agents.get.handler(({ input }) => showOne(input.id)),
    invite: os.agents.invite.handler(async ({ input, context }) => {
      const site = await findSite(deps, input.id)
      context.audit(site.id, { name: site.name, roles: input.roles })
      const { invitation, token, command, installCommand } = await deps.agents.invite({
        siteId: site.id,
        roles: input.roles,
        proxy: input.proxy ?? null,
        by: callerOf(context).name,
      })
      context.audit(null, { invitation: invitation.id })
      const { id, siteId, roles, expiresAt } = invitation
      return {
        id,
        siteId,
        roles: [...roles],
        expiresAt: toIso(expiresAt),
        command,
        installCommand,
        secret: token,
      }
    }),
    lookAround: os.agents.lookAround.handler(async ({ input, context }) => {
      const agent = await findAgent(deps, input.id)
      context.audit(agent.id, { name: agent.name })
      await deps.agents.ask(agent, { kind: 'report-facts', by: callerOf(context).name })
      return showOne(input.id)
    }),
    protections: os.agents.protections.handler(async ({ input }) => {
      const { siteId, serverIdentity } = await findAgent(deps, input.id)
      const protections = await deps.stores.protections.list()
      const items = protections
        .filter(
          ({ sourceSiteId, sourceRef }) =>
            sourceSiteId === siteId && (sourceRef as string) === serverIdentity,
        )
        .map(({ id, name }) => ({ id, name }))
      return { items }
    }),
    acceptHardware: os.agents.acceptHardware.handler(async ({ input, context }) => {
      const agent = await findAgent(deps, input.id)
      context.audit(agent.id, { name: agent.name, why: agent.otherHardware?.why ?? null })
      await deps.agents.acceptHardware(agent, Date.parse(input.at), callerOf(context).name)
      return showOne(input.id)
    }),
    revoke: os.agents.revoke.handler(async ({ input, context }) => {
      const agent = await findAgent(deps, input.id)
      context.audit(agent.id, { name: agent.name })
      await deps.agents.revoke(agent, callerOf(context).name)
      return showOne(input.id)
    }),
  }
}

type Moment = {
  readonly now: number
  readonly silentSeconds: number
  readonly waitsForAnswer: boolean
}

function showAgent(agent: Agent, { now, silentSeconds, waitsForAnswer }: Moment): ShownAgent {
  const { facts, clockSkewMilliseconds, otherHardware } = agent
  return {
    id: agent.id,
    siteId: agent.siteId,
    invitationId: agent.invitationId,
    name: agent.name,
    roles: [...agent.roles],
    state: stateOfAgent(agent, now, silentSeconds),
    version: agent.version,
    enrolledAt: toIso(agent.enrolledAt),
    seenAt: toIsoOrNull(agent.seenAt),
    clockSkewSeconds: clockSkewMilliseconds === null ? null : Math.round(clockSkewMilliseconds / 100) / 10,
    system: facts.system,
    hostName: facts.hostName,
    processors: facts.processors,
    memoryBytes: facts.memoryBytes,
    health: agent.health && { ...agent.health },
    model: agent.hardware?.model ?? null,
    otherHardware: otherHardware && {
      at: toIso(otherHardware.at),
      hostName: otherHardware.hostName,
      model: otherHardware.hardware.model,
      why: otherHardware.why,
    },
    waitsForAnswer,
    revokedAt: toIsoOrNull(agent.revokedAt),
    revokedBy: agent.revokedBy,
  }
}
