// The source side: every call goes to the agent on the server. A machine is called by what its server is known again by, so that it stays
// the same one when its agent is enrolled anew.
import { randomUUID } from 'node:crypto'
import type { AgentLine, AgentServer } from '@understudy/agent-protocol/agent-line'
import type { ReceiverLine } from '@understudy/agent-protocol/receiver-line'
import { Outage, Refusal } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import type { DiscoveredMachine, MachineRef } from '@understudy/domain/machines/machine'
import type { SiteId } from '@understudy/domain/sites/site'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import { openRemotePoint } from './remote-point.ts'
import { untilDone } from './until-done.ts'

export type PhysicalSourceDeps = {
  readonly line: AgentLine
  /** As the inventory had them when they were last there. */
  lastSeen(siteId: SiteId): Promise<readonly DiscoveredMachine[]>
  readonly clock: Clock
  readonly receivers: Pick<ReceiverLine, 'standInOf'>
}

/** Rounds of settling and a freeze take a while; the agent says of its server how much longer. */
const SHORTEST_INTERVAL_SECONDS = 15
const POWER_SECONDS = 10
/** A list of servers is waited for by people. */
const DESCRIBE_SECONDS = 15

export function physicalSource(
  siteId: SiteId,
  { line, lastSeen, clock, receivers }: PhysicalSourceDeps,
): SourcePlatform {
  const serverOf = async (ref: MachineRef): Promise<AgentServer> => {
    const server = (await line.servers(siteId)).find(({ identity }) => identity === ref)
    if (server) return server
    throw new Refusal({
      code: 'machine/not-found',
      message: `No agent of this site runs on the server ${ref}`,
      remedy: 'Enrol an agent on it again, or end its protection if it is gone for good.',
    })
  }
  const isRescued = async (ref: MachineRef): Promise<boolean> =>
    (await receivers.standInOf(siteId, ref))?.connected === true
  return {
    shortestIntervalSeconds: SHORTEST_INTERVAL_SECONDS,
    async inventory(signal) {
      const servers = await line.servers(siteId)
      const here = await Promise.all(
        servers.map((server) => (server.connected ? describe(line, server, signal) : null)),
      )
      // Whoever does not answer is no machine that is gone.
      const before = here.includes(null) ? await lastSeen(siteId) : []
      const found = servers
        .map((server, index) => here[index] ?? asLastSeen(server, before))
        .filter((machine) => machine !== null)
      return await Promise.all(
        found.map(async (machine) =>
          machine.power === 'unknown' && (await isRescued(machine.ref))
            ? { ...machine, power: 'off' }
            : machine,
        ),
      )
    },
    watch: (onChange, signal) => line.watch(onChange, signal),
    async eligibility(ref, signal) {
      const { agentId } = await serverOf(ref)
      const found = await line.ask(agentId, 'check-eligibility', {}, signal)
      return {
        ...found,
        shortestIntervalSeconds: Math.max(found.shortestIntervalSeconds, SHORTEST_INTERVAL_SECONDS),
      }
    },
    async bootFacts(ref, signal) {
      const { agentId } = await serverOf(ref)
      const work = randomUUID()
      return await untilDone(() => line.ask(agentId, 'boot-facts', { work }, signal), signal)
    },
    async prepareBoot(ref, hardware, signal) {
      const { agentId } = await serverOf(ref)
      const work = { work: randomUUID(), hardware: [...hardware] }
      return await untilDone(() => line.ask(agentId, 'prepare-boot', work, signal), signal)
    },
    async findPreparation(ref, signal) {
      const { agentId } = await serverOf(ref)
      return (await line.ask(agentId, 'find-preparation', {}, signal)).prepared
    },
    // Read by its own agent, and silent when it is off.
    shutsDownAtPoint: true,
    async openPoint({ machines, consistency, last }, signal) {
      const [machine, ...others] = machines
      if (!machine || others.length > 0) throw noCommonInstant()
      const { agentId } = await serverOf(machine.ref)
      return await openRemotePoint(
        { line, clock },
        { agentId, machine, consistency, opening: randomUUID(), last },
        signal,
      )
    },
    async stopTracking(ref, trackingId) {
      const server = (await line.servers(siteId)).find(({ identity }) => identity === ref)
      // Whoever has no agent any more has no tracking either.
      if (server) await line.ask(server.agentId, 'stop-tracking', { trackingId })
    },
    async powerState(ref, signal) {
      const server = (await line.servers(siteId)).find(({ identity }) => identity === ref)
      if (!server?.connected) {
        // A rescue system runs in its place, which somebody has started and assigned to it.
        if (await isRescued(ref)) return 'off'
        await serverOf(ref)
        return 'unknown'
      }
      const { agentId } = server
      const late = AbortSignal.timeout(POWER_SECONDS * 1000)
      const bound = signal ? AbortSignal.any([signal, late]) : late
      const described = await line.ask(agentId, 'describe-server', {}, bound).catch(() => null)
      signal?.throwIfAborted()
      // It is the server itself that answers: no answer proves nothing.
      return described === null ? 'unknown' : 'running'
    },
    shutDown: () => Promise.reject(byHand()),
    powerOff: () => Promise.reject(byHand()),
    start: () => Promise.reject(startByHand()),
    async openStoppedDisks(ref) {
      const standIn = await receivers.standInOf(siteId, ref)
      if (!standIn?.connected) throw byHand()
      return {
        sinceKnown: false,
        disks: [],
        // Nobody else writes to them while a receiver has them; one that was started anew is another one, and has to be assigned anew.
        fingerprints: standIn.disks.map(({ key }) => ({ key, value: `${standIn.id}/${standIn.epoch}` })),
        close: async () => {},
      }
    },
  }
}

/** Null: it has just gone, or does not answer now. */
async function describe(
  line: AgentLine,
  { agentId, identity, name, hostName }: AgentServer,
  signal?: AbortSignal,
): Promise<DiscoveredMachine | null> {
  const late = AbortSignal.timeout(DESCRIBE_SECONDS * 1000)
  const bound = signal ? AbortSignal.any([signal, late]) : late
  try {
    const { power, guestAgent, hardware } = await line.ask(agentId, 'describe-server', {}, bound)
    return { ref: identity as MachineRef, name, host: hostName, power, hardware, guestAgent, ownedBy: null }
  } catch (error) {
    signal?.throwIfAborted()
    // One that says no, or is silent, does not hide the others.
    if (error instanceof Outage || error instanceof Refusal || late.aborted) return null
    throw error
  }
}

/** Null: nothing was ever known of its disks. */
function asLastSeen(
  { identity, name, hostName }: AgentServer,
  before: readonly DiscoveredMachine[],
): DiscoveredMachine | null {
  const known = before.find(({ ref }) => ref === identity)
  return known ? { ...known, name, host: hostName, power: 'unknown' } : null
}

const noCommonInstant = (): Refusal =>
  new Refusal({
    code: 'group/no-common-instant',
    message: 'Servers are copied while they run, each to an instant of its own',
    remedy: 'Protect them one by one, without a group.',
  })

const byHand = (): Refusal =>
  new Refusal({
    code: 'machine/switch-off-by-hand',
    message:
      'A server with an agent is switched off from here at a last point only, and cannot be read once it is off',
    remedy:
      'Run a planned failover; or switch the server off yourself, wait until it is, and run an unplanned one.',
  })

const startByHand = (): Refusal =>
  new Refusal({
    code: 'machine/start-by-hand',
    message: 'A server with an agent cannot be started from here',
    remedy: 'Switch the server on yourself.',
  })
