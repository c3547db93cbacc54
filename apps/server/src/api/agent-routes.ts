import { toIso, toIsoOrNull } from '@understudy/base/instant'
import type { Agent as ShownAgent } from '@understudy/contract/agent'
import { type Agent, type AgentId, stateOfAgent } from '@understudy/domain/agents/agent'
import { judgeSkew, judgeUpgrade } from '@understudy/domain/agents/agent-version'
import { callerOf } from './asker.ts'
import { type ApiDeps, os } from './context.ts'
import { findAgent, findSite } from './find.ts'
import { receiverRoutes } from './receiver-routes.ts'

export function agentRoutes(deps: ApiDeps) {
  const { agents } = deps.stores
  const around = async (): Promise<Around> => {
    const [waitedFor, answers, offered] = await Promise.all([
      agents.waitedFor(),
      agents.newestAnswers(),
      deps.agents.offered(),
    ])
    const failures = new Map<AgentId, string>()
    for (const { agentId, kind, answer } of answers)
      if (kind === 'upgrade' && answer?.kind === 'failed') failures.set(agentId, answer.message)
    return {
      now: deps.clock.now(),
      silentSeconds: deps.agents.silentSeconds,
      serverVersion: deps.version,
      waitedFor,
      failures,
      offered: (platform) => offered.get(platform) ?? null,
    }
  }
  const showOne = async (id: string): Promise<ShownAgent> => {
    const [agent, all] = await Promise.all([findAgent(deps, id), around()])
    return showAgent(agent, all)
  }
  return {
    list: os.agents.list.handler(async ({ input }) => {
      const [all, known] = await Promise.all([agents.list(), around()])
      const here = all.filter(({ siteId }) => input.siteId === undefined || siteId === input.siteId)
      return { items: here.map((agent) => showAgent(agent, known)), next: null, total: here.length }
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
    upgrade: os.agents.upgrade.handler(async ({ input, context }) => {
      const agent = await findAgent(deps, input.id)
      context.audit(agent.id, { name: agent.name, version: agent.version })
      await deps.agents.upgrade(agent, callerOf(context).name)
      return showOne(input.id)
    }),
    upgradeAll: os.agents.upgradeAll.handler(async ({ input, context }) => {
      const site = await findSite(deps, input.id)
      const [all, known] = await Promise.all([agents.list(), around()])
      const able = all.filter(({ id, siteId }) => siteId === site.id && !known.waitedFor.has(id))
      const asked = able.filter((agent) => judgeUpgrade(agent, known.offered)?.whyNot === null)
      context.audit(site.id, { name: site.name, agents: asked.map(({ name }) => name) })
      for (const agent of asked) await deps.agents.upgrade(agent, callerOf(context).name)
      return { asked: asked.length }
    }),
    revoke: os.agents.revoke.handler(async ({ input, context }) => {
      const agent = await findAgent(deps, input.id)
      context.audit(agent.id, { name: agent.name })
      await deps.agents.revoke(agent, callerOf(context).name)
      return showOne(input.id)
    }),
    ...receiverRoutes(deps),
  }
}

/** What decides how an agent is shown, beside itself. */
type Around = {
  readonly now: number
  readonly silentSeconds: number
  readonly serverVersion: string
  readonly waitedFor: ReadonlySet<AgentId>
  readonly failures: ReadonlyMap<AgentId, string>
  offered(platform: string): string | null
}

function showAgent(agent: Agent, around: Around): ShownAgent {
  const { now, silentSeconds, serverVersion, waitedFor, failures, offered } = around
  const upgrade = judgeUpgrade(agent, offered)
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
    versionSkew: judgeSkew(serverVersion, agent.version),
    upgrade: upgrade && { ...upgrade },
    // What it was about has been done otherwise since.
    upgradeFailure: upgrade === null ? null : (failures.get(agent.id) ?? null),
    waitsForAnswer: waitedFor.has(agent.id),
    revokedAt: toIsoOrNull(agent.revokedAt),
    revokedBy: agent.revokedBy,
  }
}
