// What agent and server say to each other: JSON texts over one WebSocket, and the enrolment before it. Fields and kinds that a
// newer side adds are left alone by an older one; whatever else does not fit ends the connection.
import { Refusal } from '@understudy/base/errors'
import { agentOrderKinds, agentRoles } from '@understudy/domain/agents/agent'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { z } from 'zod'
import { FailureText } from './asks.ts'
import { MOST_READ_BYTES } from './frames.ts'

const Text = z.string().max(200)
const Name = z
  .string()
  .trim()
  .min(1)
  .max(120)
  .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u)
const Id = z.string().min(1).max(120)
const Sequence = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
const Count = z.number().min(0).max(Number.MAX_SAFE_INTEGER)
/** Milliseconds since 1970 by the clock of whoever says it, which may be years off. */
const Time = z.number().min(-8.64e15).max(8.64e15)

/** The larger of one side and the smaller of the other are compared, so that neighbours of one minor release understand each other. */
export const ProtocolRange = z.object({ lowest: Sequence, highest: Sequence })
export type ProtocolRange = z.infer<typeof ProtocolRange>

export const Facts = z.object({
  hostName: Text,
  system: Text,
  kernel: Text,
  architecture: Text,
  processors: Count,
  memoryBytes: Count,
  /** An older agent says nothing of it. */
  program: z.object({ platform: Text, fixedBecause: z.string().max(500).nullable() }).optional(),
})

/** Ed25519, SPKI, base64url: programs are signed with it. An older server has none. */
const ProgramKey = z.string().min(20).max(200).optional()

/** By which a server is known again: digests, but for the model. An older agent says nothing of it. */
const Digests = z.array(z.string().max(64)).max(256).readonly()
export const Hardware = z.object({
  model: Text.nullable(),
  firmwareId: z.string().max(64).nullable(),
  serials: Digests,
  disks: Digests,
})

const Health = z.object({
  bytesPerSecond: Count,
  backlog: Count,
  freeBytes: Count,
  diskBytes: Count,
  memoryBytes: Count,
  upSeconds: Count,
})

export const EnrolRequest = z.object({
  token: z.string().min(20).max(200),
  name: Name,
  /** Ed25519, SPKI, base64url. */
  publicKey: z.string().min(20).max(200),
  /** Over `enrolProof`: the key is the sender's own, and meant for this server. */
  signature: z.string().max(200),
  serverIdentity: z.string().regex(/^[0-9a-f]{64}$/),
  version: Text,
  facts: Facts,
  hardware: Hardware.optional(),
  /** It is to be written through, and never read. Whoever does not say so is not made one, whatever its token is for. */
  receives: z.boolean().optional(),
})
export type EnrolRequest = z.infer<typeof EnrolRequest>
export const EnrolAnswer = z.object({
  agentId: Id,
  siteName: z.string().max(200),
  roles: z.array(z.string().max(60)).max(20),
  programKey: ProgramKey,
})

const Order = z.object({ id: Id, kind: z.string().max(60) })
export type Order = z.infer<typeof Order>
export type KnownOrderKind = (typeof agentOrderKinds)[number]
export const isKnownOrder = (kind: string): kind is KnownOrderKind =>
  agentOrderKinds.some((known) => known === kind)

const Outcome = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('facts'), facts: Facts }),
  z.object({ kind: z.literal('upgraded'), from: Text, to: Text }),
  z.object({ kind: z.literal('failed'), code: Text, message: z.string().max(2000) }),
])
export type Outcome = z.infer<typeof Outcome>

/** Kept by the agent until the server has it. */
export const Said = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('started'), version: Text, at: Time }),
  z.object({ kind: z.literal('answer'), orderId: Id, outcome: Outcome }),
])
export type Said = z.infer<typeof Said>

/** A number of the connection alone. */
const ReadNumber = z
  .number()
  .int()
  .min(1)
  .max(2 ** 32 - 1)
/** Of a disk of a point that the agent holds open. Refused where it is more than a frame holds. */
const WantedRead = z.object({
  opening: Id,
  round: Sequence,
  disk: z
    .string()
    .min(1)
    .max(200)
    .transform((key) => key as DiskKey),
  offset: Sequence,
  bytes: z.number().int().min(1).max(MOST_READ_BYTES),
})
export type WantedRead = z.infer<typeof WantedRead>

const FromAgent = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    agentId: Id,
    /** Over `helloProof`. */
    signature: z.string().max(200),
    /** Of the running process: the same one comes again, or there are two. */
    instance: Id,
    protocols: ProtocolRange,
    version: Text,
    serverIdentity: z.string().max(64),
    facts: Facts,
    hardware: Hardware.optional(),
    /** The newest order that it has, however often it restarts. */
    received: Sequence,
    time: Time,
  }),
  z.object({ type: z.literal('beat'), time: Time, health: Health }),
  z.object({ type: z.literal('said'), sequence: Sequence, body: Said }),
  z.object({
    type: z.literal('reply'),
    id: Id,
    outcome: z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('answer'), body: z.unknown() }),
      z.object({ kind: z.literal('failed'), failure: FailureText }),
    ]),
  }),
  /** The disk could not be read. */
  z.object({ type: z.literal('read-failed'), read: ReadNumber, failure: FailureText }),
  /** Its disks or adapters are others than before: whoever wants to know asks. */
  z.object({ type: z.literal('changed') }),
  /** They went down with a stream. */
  z.object({ type: z.literal('lost'), reads: z.array(ReadNumber).max(20_000) }),
  /** Their content was taken by the disk, if not yet onto the medium: see `flush-received`. */
  z.object({ type: z.literal('written'), writes: z.array(ReadNumber).max(5000) }),
  z.object({ type: z.literal('write-failed'), write: ReadNumber, failure: FailureText }),
  /** Nothing more comes of it. Whatever it carried and was not said to be written is to be sent again, unless it is refused for good. */
  z.object({ type: z.literal('fetched'), stream: ReadNumber, failure: FailureText.nullable() }),
])
export type FromAgent = z.infer<typeof FromAgent>

const FromServer = z.discriminatedUnion('type', [
  z.object({ type: z.literal('challenge'), nonce: z.string().min(20).max(200) }),
  z.object({
    type: z.literal('welcome'),
    protocol: Sequence,
    version: Text,
    beatSeconds: z.number().min(0.1).max(3600),
    /** The newest message of the agent that the server has. */
    received: Sequence,
    siteName: z.string().max(200),
    roles: z.array(z.enum(agentRoles).or(z.string().max(60))).max(20),
    /** Names this connection to its data streams. An older server has none. */
    session: z
      .string()
      .regex(/^[A-Za-z0-9_-]{20,100}$/)
      .optional(),
    programKey: ProgramKey,
  }),
  z.object({
    type: z.literal('refused'),
    code: Text,
    message: z.string().max(2000),
    remedy: z.string().max(2000),
  }),
  /** The answer to a beat: whoever does not get it knows that the line is dead. */
  z.object({ type: z.literal('beat') }),
  z.object({ type: z.literal('order'), sequence: Sequence, order: Order }),
  z.object({ type: z.literal('ack'), received: Sequence }),
  /** Answered once; asked again on every connection until it is. */
  z.object({ type: z.literal('ask'), id: Id, kind: z.string().max(60), body: z.unknown() }),
  /** Nobody waits for the answer any more. */
  z.object({ type: z.literal('withdraw'), id: Id }),
  /** Answered by a frame in a data stream. */
  z.object({ type: z.literal('read'), id: ReadNumber, wanted: WantedRead }),
  /** There is something to be written to this disk: it comes in the stream of that number, which the agent fetches. */
  z.object({
    type: z.literal('fetch'),
    stream: ReadNumber,
    assignment: Id,
    disk: z
      .string()
      .min(1)
      .max(200)
      .transform((key) => key as DiskKey),
  }),
])
export type FromServer = z.infer<typeof FromServer>
export type Refused = Extract<FromServer, { type: 'refused' }>

const known = {
  agent: new Set(FromAgent.options.map((option) => option.shape.type.value as string)),
  server: new Set(FromServer.options.map((option) => option.shape.type.value as string)),
}

/** Null: a kind that this version does not know, said by a newer one. Refuses (`agent/bad-message`) what is none. */
export const readFromAgent = (text: string): FromAgent | null => read(FromAgent, known.agent, text)
export const readFromServer = (text: string): FromServer | null => read(FromServer, known.server, text)

function read<Message>(schema: z.ZodType<Message>, kinds: ReadonlySet<string>, text: string): Message | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw badMessage('it is not JSON', cause)
  }
  const type = typeof value === 'object' && value !== null ? Reflect.get(value, 'type') : null
  if (typeof type !== 'string') throw badMessage('it has no type')
  if (!kinds.has(type)) return null
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw badMessage(
    `"${type}" ${result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')}`,
  )
}

const badMessage = (why: string, cause?: unknown): Refusal =>
  new Refusal({
    code: 'agent/bad-message',
    message: `A message between agent and server does not fit: ${why}`.slice(0, 1000),
    remedy:
      'Check that nothing between the two changes what they say, and that both are of neighbouring versions.',
    cause,
  })
