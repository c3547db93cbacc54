// For tests only: every machine of a source as a server with an agent, and a line to them over which nothing goes but texts and frames.
import type { AgentLine } from '@understudy/agent-protocol/agent-line'
import {
  type Answer,
  type AskKind,
  fromFailureText,
  type Question,
  readAnswer,
  toFailureText,
} from '@understudy/agent-protocol/asks'
import { encodeFrame, readFrames } from '@understudy/agent-protocol/frames'
import type { ReceiverLine } from '@understudy/agent-protocol/receiver-line'
import { present } from '@understudy/base/invariant'
import type { AgentId } from '@understudy/domain/agents/agent'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { SiteId } from '@understudy/domain/sites/site'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import { openPhysicalPlatform } from './platform.ts'
import { createSourceDesk, type SourceDesk } from './source-desk.ts'

export type WireWorld = {
  connected: boolean
  readonly state: 'connected'
  /** What was asked, from the first on. */
  readonly asked: AskKind[]
  /** A cut takes every first answer away. */
  twice: boolean
  /** Of frames, from agents to the server. */
  carriedBytes: number
  /** By the clock of the server. */
  now: () => number
  /** By those of the agents. */
  agentNow: () => number
}

const nobody = (): never => {
  throw new Error('Nobody is assigned')
}
/** Of a site at which no rescue system runs. */
export const noReceivers: ReceiverLine = {
  standInOf: async () => null,
  free: async () => 0,
  hold: nobody,
  note: nobody,
  write: nobody,
  expectHome: nobody,
  tellFinished: nobody,
  cameHome: nobody,
}

export function wireLab(behind: SourcePlatform, now: () => number) {
  const world: WireWorld = {
    connected: true,
    state: 'connected',
    asked: [],
    twice: false,
    carriedBytes: 0,
    now,
    agentNow: now,
  }
  const desks = new Map<MachineRef, SourceDesk>()
  const deskOf = (agent: AgentId): SourceDesk => {
    const ref = agent as string as MachineRef
    const desk =
      desks.get(ref) ??
      createSourceDesk(onlyOf(behind, ref), { clock: { now: () => world.agentNow() }, elapsed: () => now() })
    desks.set(ref, desk)
    return desk
  }
  const line: AgentLine = {
    servers: async () =>
      (await behind.inventory()).map(({ ref, name, host }) => ({
        agentId: ref as string as AgentId,
        identity: ref,
        name,
        hostName: host ?? name,
        state: world.state,
        connected: world.connected,
      })),
    async ask<Kind extends AskKind>(
      agent: AgentId,
      kind: Kind,
      question: Question<Kind>,
      signal?: AbortSignal,
    ) {
      world.asked.push(kind)
      signal?.throwIfAborted()
      const stop = signal ?? new AbortController().signal
      const once = async (): Promise<Answer<Kind>> => {
        const body = await deskOf(agent)
          .answer(kind, overTheWire(question), stop)
          .catch((error: unknown) => {
            throw fromFailureText(toFailureText(error))
          })
        return readAnswer(kind, overTheWire(body))
      }
      if (world.twice) await once()
      return await once()
    },
    async read(agent, wanted, signal) {
      const content = await deskOf(agent)
        .read(wanted, signal ?? new AbortController().signal)
        .catch((error: unknown) => {
          throw fromFailureText(toFailureText(error))
        })
      const parts = encodeFrame({ read: 1, offset: wanted.offset, content })
      for (const part of parts) world.carriedBytes += part.length
      const found: Buffer[] = []
      const stream = (async function* () {
        yield* parts
      })()
      await readFrames(stream, { expect: () => {}, take: (frame) => void found.push(frame.content) })
      return present(found[0], 'a frame came')
    },
    roundTripMilliseconds: () => null,
    watch: (onChange, signal) => behind.watch(onChange, signal),
  }
  const { source } = openPhysicalPlatform(
    { id: 'harbour' as SiteId },
    {
      line,
      lastSeen: async () => [],
      clock: { now: () => world.now() },
      receivers: noReceivers,
      sleep: async () => {},
    },
  )
  return {
    source,
    world,
    /** The agents are started anew: nothing that they held is there any more. */
    restartAgents: () => desks.clear(),
    async close(): Promise<void> {
      for (const desk of desks.values()) await desk.close()
    },
  }
}

const overTheWire = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

const onlyOf = (source: SourcePlatform, ref: MachineRef): SourcePlatform => ({
  ...source,
  inventory: async (signal) => (await source.inventory(signal)).filter((machine) => machine.ref === ref),
})
