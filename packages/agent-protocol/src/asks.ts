// What the server asks the agent of a protected server, or a receiver, and what comes back. Every ask may come again after a cut, and does the same again.
import { Outage, Refusal } from '@understudy/base/errors'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { z } from 'zod'
import { BootFactsShape } from './boot-facts-shape.ts'

const Text = z.string().max(200)
const LongText = z.string().max(4000)
/**
 * What a server says of itself is read as far as it fits: a serial number or a list of addresses that is too long must not make the whole
 * server vanish. A text that is cut ends with a sign of that.
 */
const cut = (text: string, most: number): string => {
  if (text.length <= most) return text
  const kept = text.slice(0, most - 1)
  // Not in the middle of a pair.
  return `${/[\uD800-\uDBFF]$/.test(kept) ? kept.slice(0, -1) : kept}…`
}
/** What no database takes, and what no line of text should do to whoever reads it. */
const plain = (text: string): string => text.replaceAll(/[^\P{Cc}\n\t]/gu, ' ').toWellFormed()
const Shown = z.string().transform((text) => cut(plain(text), 200))
const LongShown = z.string().transform((text) => cut(plain(text), 4000))
const firstOf = <Item extends z.ZodType>(item: Item, most: number) =>
  z.preprocess((list) => (Array.isArray(list) ? list.slice(0, most) : list), z.array(item).max(most))
const Id = z.string().min(1).max(120)
const Key = z
  .string()
  .min(1)
  .max(200)
  .regex(/^\P{Cc}+$/u)
  .refine((text) => text.isWellFormed())
const DiskKeyText = Key.transform((key) => key as DiskKey)
const Whole = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
/** By the clock of the server that the agent runs on. */
const Time = z.number().min(-8.64e15).max(8.64e15)
const Count = z.number().min(0).max(Number.MAX_SAFE_INTEGER)
const Consistency = z.enum(['crash', 'application'])
const Nothing = z.object({})
const MOST_DISKS = 256
const MOST_ADAPTERS = 200
const MOST_FINDINGS = 500

const Disk = z.object({ key: DiskKeyText, bytes: Whole.max(2 ** 60) })
const Disks = z.array(Disk).max(MOST_DISKS)
const DiskKeys = z.array(DiskKeyText).max(MOST_DISKS)

/** The server that the agent runs on: it has no name at its site but that of its agent. */
const Described = z.object({
  name: Shown,
  power: z.enum(['running', 'paused', 'off', 'unknown']),
  guestAgent: z.boolean(),
  hardware: z.object({
    cpus: Count,
    memoryBytes: Count,
    firmware: z.enum(['bios', 'uefi']),
    disks: z
      .array(
        z.object({
          key: DiskKeyText,
          label: Shown,
          bytes: Whole,
          format: Shown,
          bus: Shown,
          boot: z.boolean(),
        }),
      )
      .max(MOST_DISKS),
    adapters: firstOf(
      z.object({ key: Key, macAddress: Shown, networkId: Text.nullable(), model: Shown }),
      MOST_ADAPTERS,
    ),
  }),
})

const Findings = z.object({
  findings: firstOf(
    z
      .object({
        level: z.enum(['blocker', 'warning']),
        code: Text,
        message: LongShown,
        remedy: LongShown,
        disk: DiskKeyText.optional(),
      })
      .transform(({ disk, ...finding }) => (disk === undefined ? finding : { ...finding, disk })),
    MOST_FINDINGS,
  ),
  shortestIntervalSeconds: Count,
  applicationConsistent: z.boolean(),
})

const OpenPoint = z.object({
  /** Chosen by the server, unique for ever: who asks again with it gets the same point. */
  opening: Id,
  trackingId: z.string().regex(/^[a-z0-9-]{1,40}$/),
  since: z.string().max(2000).nullable(),
  excludedDisks: DiskKeys,
  consistency: Consistency,
  /** What has not changed is read, too. */
  readWhole: z.boolean().optional(),
  /** Held still from its instant on, until `power-off`, its release, or so many seconds. */
  last: z.object({ holdSeconds: Whole.min(1).max(3600) }).optional(),
})
const Facts = {
  /** How long ago its instant was when this was said. Never a time of day: the clock of a server may be years off. */
  ageMilliseconds: Count,
  consistency: Consistency,
  consistencyNote: LongText.nullable(),
  checkpoint: z.string().max(2000).nullable(),
  pauseMilliseconds: Count,
}
const Opened = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('opened'),
    ...Facts,
    disks: Disks,
    /** It goes on while it is copied, and has its instant at the end. */
    settles: z.boolean(),
    /** `digest-disk` may be asked of its disks. */
    digests: z.boolean().optional(),
    /** It will be held as `last` wants it. An agent that does not know that word leaves this out. */
    last: z.boolean().optional(),
  }),
  z.object({
    kind: z.literal('tracking-lost'),
    reason: z.object({ code: Text, message: LongText }),
  }),
])

/** `[offset, bytes, 1 where it reads as zeros]` */
const ExtentTuple = z.tuple([Whole, Whole.min(1), z.union([z.literal(0), z.literal(1)])])

/** A list of changed ranges goes in pages, each of which stays until the next one is asked for. */
const Changes = z.object({
  opening: Id,
  round: Whole,
  disk: DiskKeyText,
  /** Chosen by the server: one pass over the list. */
  walk: Id,
  page: Whole,
})
export const EXTENTS_PER_PAGE = 3000
const ChangesPage = z.object({ extents: z.array(ExtentTuple).max(EXTENTS_PER_PAGE), last: z.boolean() })

/** Of what the disk reads as now, the digest of each piece of the range, one after the other. */
const Digest = z.object({
  opening: Id,
  round: Whole,
  disk: DiskKeyText,
  offset: Whole,
  bytes: Whole.min(1).max(16 * 1024 * 1024),
  pieceBytes: Whole.min(4096).max(1024 * 1024),
})
/** Base64. */
const Digests = z.object({ digests: z.string().max(200_000) })

/** `copied`: so many rounds are here. What comes back is the next one, or the end. */
const Settle = z.object({ opening: Id, copied: Whole })
const Settled = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('round'), round: Whole.min(1), disks: Disks }),
  z.object({ kind: z.literal('settled'), ...Facts }),
])

/** What takes longer than an answer may: the same ask comes again, with the same `work`, until it is done. */
const Long = { work: Id }
const longAnswer = <Done extends z.ZodType>(done: Done) =>
  z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('working') }),
    z.object({ kind: z.literal('done'), result: done }),
  ])

const Prepare = z.object({
  ...Long,
  hardware: z
    .array(z.enum(['hyper-v', 'virtio']))
    .min(1)
    .max(2),
})
const Prepared = z.object({
  at: Time,
  tool: Text,
  drivers: z.array(Text).max(100),
  changes: z.array(LongText).max(200),
})

/** Of a last point, once it is sealed. Answered once nothing keeps the server on any more; then it goes off. */
const PowerOff = z.object({ opening: Id })
const PoweredOff = z.object({ evidence: LongText })

const Release = z.object({ opening: Id, kept: z.boolean() })
const StopTracking = z.object({ trackingId: Id })

/** A disk of a computer in a rescue system; its places are those of the kernel there. */
const DevicePath = z.string().regex(/^\/[\P{Cc}]{1,199}$/u)
const ReceiverDisk = z.object({
  path: DevicePath,
  bytes: Whole.max(2 ** 60),
  model: Shown.nullable(),
  serial: Shown.nullable(),
  bus: Shown.nullable(),
  key: DiskKeyText,
  keyIsStable: z.boolean(),
  blocked: Shown.nullable(),
})
const DescribedReceiver = z.object({
  disks: firstOf(ReceiverDisk, MOST_DISKS),
  addresses: firstOf(Shown, MOST_ADAPTERS),
  firmware: z.enum(['bios', 'uefi']),
})

/** Every write, and whatever else is about the disks, names its assignment: one that is over changes nothing any more. */
const OfAssignment = { assignment: Id }
const BeginReceiving = z.object({
  ...OfAssignment,
  /** One that is older than what the receiver had already is refused. */
  epoch: Whole.min(1),
  disks: z
    .array(
      z.object({ key: DiskKeyText, path: DevicePath, bytes: Whole.max(2 ** 60), serial: Shown.nullable() }),
    )
    .min(1)
    .max(MOST_DISKS),
})
const DigestReceived = z.object({
  ...OfAssignment,
  disk: DiskKeyText,
  offset: Whole,
  bytes: Whole.min(1).max(16 * 1024 * 1024),
  pieceBytes: Whole.min(4096).max(1024 * 1024),
})
export const MOST_ZERO_BYTES = 256 * 1024 * 1024
const ZeroReceived = z.object({
  ...OfAssignment,
  disk: DiskKeyText,
  offset: Whole,
  bytes: Whole.min(1).max(MOST_ZERO_BYTES),
})

/** What the agent of a protected server is asked. */
const sourceAskShapes = {
  'describe-server': { question: Nothing, answer: Described },
  'check-eligibility': { question: Nothing, answer: Findings },
  /** Minutes, where it lists memory disks. Only reads. */
  'boot-facts': { question: z.object(Long), answer: longAnswer(BootFactsShape) },
  'prepare-boot': { question: Prepare, answer: longAnswer(Prepared) },
  'find-preparation': { question: Nothing, answer: z.object({ prepared: Prepared.nullable() }) },
  'open-point': { question: OpenPoint, answer: Opened },
  'list-changes': { question: Changes, answer: ChangesPage },
  'digest-disk': { question: Digest, answer: Digests },
  'settle-point': { question: Settle, answer: Settled },
  'power-off': { question: PowerOff, answer: PoweredOff },
  'release-point': { question: Release, answer: Nothing },
  'stop-tracking': { question: StopTracking, answer: Nothing },
} as const

/** What a receiver is asked, and nobody else. */
const receiverAskShapes = {
  'describe-receiver': { question: Nothing, answer: DescribedReceiver },
  'begin-receiving': { question: BeginReceiving, answer: Nothing },
  'digest-received': { question: DigestReceived, answer: Digests },
  'zero-received': { question: ZeroReceived, answer: Nothing },
  /** All that was written is on the media when it is done. Minutes. */
  'flush-received': { question: z.object({ ...Long, ...OfAssignment }), answer: longAnswer(Nothing) },
  /** The disks are made fit to start on this computer. Minutes. */
  'finish-received': {
    question: z.object({ ...Long, ...OfAssignment }),
    answer: longAnswer(z.object({ changes: z.array(LongText).max(500) })),
  },
  /** The computer starts from its disks: the receiver is not heard of again. */
  'restart-received': { question: z.object(OfAssignment), answer: Nothing },
} as const

/** What is asked and what answers it. A kind that is not here is refused by its code: `agent/ask-not-known`. */
const askShapes = { ...sourceAskShapes, ...receiverAskShapes } as const

export type SourceAskKind = keyof typeof sourceAskShapes
export type ReceiverAskKind = keyof typeof receiverAskShapes
export type AskKind = keyof typeof askShapes
export type Question<Kind extends AskKind> = z.infer<(typeof askShapes)[Kind]['question']>
export type Answer<Kind extends AskKind> = z.infer<(typeof askShapes)[Kind]['answer']>

export const isAskKind = (kind: string): kind is AskKind => Object.hasOwn(askShapes, kind)
export const isSourceAsk = (kind: AskKind): kind is SourceAskKind => Object.hasOwn(sourceAskShapes, kind)

/** Refuses (`agent/bad-message`) what does not fit. */
export const readQuestion = <Kind extends AskKind>(kind: Kind, body: unknown): Question<Kind> =>
  fitting(kind, askShapes[kind].question as unknown as z.ZodType<Question<Kind>>, body)
export const readAnswer = <Kind extends AskKind>(kind: Kind, body: unknown): Answer<Kind> =>
  fitting(kind, askShapes[kind].answer as unknown as z.ZodType<Answer<Kind>>, body)

function fitting<Shape>(kind: string, schema: z.ZodType<Shape>, body: unknown): Shape {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const why = result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
  throw new Refusal({
    code: 'agent/bad-message',
    message: `What was said of "${kind}" does not fit: ${why}`.slice(0, 1000),
    remedy: 'Bring the agent and the server to neighbouring versions.',
  })
}

/** A failure as it goes over the wire. Whatever is neither a Refusal nor an Outage is an Outage to whoever asked: it may be tried again. */
export const FailureText = z.object({
  kind: z.enum(['refusal', 'outage']),
  code: Text,
  message: LongText,
  remedy: LongText,
})
export type FailureText = z.infer<typeof FailureText>

export function toFailureText(error: unknown): FailureText {
  const cut = (text: string): string => text.slice(0, 2000)
  if (error instanceof Refusal || error instanceof Outage) {
    const kind = error instanceof Refusal ? 'refusal' : 'outage'
    return { kind, code: error.code.slice(0, 200), message: cut(error.message), remedy: cut(error.remedy) }
  }
  return {
    kind: 'outage',
    code: 'agent/failed',
    message: cut(`The agent failed: ${error instanceof Error ? error.message : String(error)}`),
    remedy: 'It is tried again. If it stays, look at the log of the agent.',
  }
}

export function fromFailureText({ kind, ...failure }: FailureText): Refusal | Outage {
  return kind === 'refusal' ? new Refusal(failure) : new Outage(failure)
}
