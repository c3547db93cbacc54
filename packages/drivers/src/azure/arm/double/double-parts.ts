// What the double of Azure Resource Manager is made of. Time passes with requests: a work of Azure's ends a number of requests after it
// was begun, whoever makes them, so that tests are the same every time.
import { randomUUID } from 'node:crypto'
import type { BlockReader } from '@understudy/block/device'

/** As it goes over the line. */
export type DoubleRequest = {
  readonly method: string
  /** With or without a server in front. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}
export type DoubleAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Bytes only for what is not JSON. */
  readonly body: string | Buffer
}

/** A resource in ARM's own form, with what the double knows about it beside. */
export type Resource = {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly location: string
  tags: Record<string, string>
  zones?: readonly string[]
  sku?: Record<string, unknown>
  /** Changes with every change, where whoever writes may say what he has read. */
  etag?: string
  // ARM's documents are trees of JSON that the published types judge; a type of our own for them would be a second opinion.
  properties: Json
  /** Not shown: the content of a disk, the power of a machine. */
  content?: DiskContent
  /** What only the double knows of a script: values that Azure shows to nobody, and how it is ended. */
  script?: { readonly variables: Readonly<Record<string, string>>; readonly ending: AbortController }
  /** Of a snapshot that can be read: what its address must carry. */
  signature?: string
  power?: 'running' | 'stopped' | 'deallocated'
}
// biome-ignore lint/suspicious/noExplicitAny: see above.
export type Json = Record<string, any>

/** Where a disk of the double keeps its bytes. */
export type DiskContent = Pick<BlockReader, 'bytes' | 'read'> & {
  write(offset: number, data: Buffer): Promise<void>
  /** What it takes is free afterwards. */
  remove?(): Promise<void>
}

/** Content that could not be filled leaves nothing behind. */
export async function filled(content: DiskContent, fill: () => Promise<void>): Promise<DiskContent> {
  try {
    await fill()
    return content
  } catch (error) {
    await content.remove?.()
    throw error
  }
}

/** Runs machines. Without it "running" is only said. */
export type MachineRunner = {
  /** In the order of their LUNs, the boot disk first. Returns where its services can be reached, if anywhere. */
  start(machine: { readonly name: string; readonly disks: readonly DiskContent[] }): Promise<void>
  stop(name: string): Promise<void>
  /** A Windows bitmap; null: none. */
  screen?(name: string): Promise<Buffer | null>
  /** Runs a script in the guest, as Azure's agent does. Without it none can be run, and that is said. */
  runScript?(
    machine: string,
    script: { readonly text: string; readonly variables: Readonly<Record<string, string>> },
    signal: AbortSignal,
  ): Promise<ScriptResult>
  /** Holds a machine still while its disks are copied, so that they are as they were at one moment. */
  hold?(name: string, work: () => Promise<void>): Promise<void>
}

export type ScriptResult =
  | { readonly exitCode: number; readonly output: string; readonly error: string }
  | { readonly timedOut: true; readonly output: string }

export class ArmError extends Error {
  override readonly name = 'ArmError'
  readonly status: number
  readonly code: string
  readonly headers: Readonly<Record<string, string>>
  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.code = code
    this.headers = headers
  }
}

/** The line broke: nobody knows what became of the request. */
export class LineBroken extends Error {
  override readonly name = 'LineBroken'
}

export type Fault =
  /** Refused, or not let in: nothing happens. */
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly code: string
      readonly message: string
      readonly retryAfterSeconds?: number
    }
  /** It arrives nowhere. */
  | { readonly kind: 'no-line' }
  /** It is done, and the answer is lost. */
  | { readonly kind: 'lost-answer' }
  /** It is taken on, and the work fails in the end: what was made stays, half. */
  | { readonly kind: 'work-fails'; readonly code: string; readonly message: string }
  /** It is taken on, and the work never ends. */
  | { readonly kind: 'work-endless' }

export type Work = {
  readonly id: string
  readonly endsAt: number
  readonly begun: string
  finish(): Promise<void>
  fail(code: string, message: string): void
  state: 'InProgress' | 'Succeeded' | 'Failed'
  error: { readonly code: string; readonly message: string } | null
  readonly fault: Fault | null
  /** What the address of the work gives at its end. */
  result(): unknown
}

/** What the kinds of resources see of the double. */
export type DoubleSite = {
  readonly region: string
  readonly subscriptionId: string
  readonly resources: Map<string, Resource>
  readonly runner: MachineRunner | null
  openBlob(address: string): Promise<DiskContent>
  /** Room for the content of a disk, of zeros. */
  room(bytes: number): Promise<DiskContent>
  /** So many ranges of a snapshot are told at a time. */
  readonly listRanges: number
  /** Passes with requests. */
  now(): string
  find(id: string | undefined): Resource | undefined
}

export const key = (id: string): string => id.toLowerCase()

/** What a kind of resource does when one is put, removed or asked to act. Refusals are thrown before anything is changed. */
export type KindRules = {
  readonly type: string
  /** Checks and completes the new resource; `before` is what was there. What it returns is done when the work ends. */
  put(site: DoubleSite, resource: Resource, before: Resource | undefined): () => Promise<void>
  /** It says nothing of how far Azure is with it. */
  readonly stateless?: true
  /** Throws when it is in use. */
  checkRemoval(site: DoubleSite, resource: Resource): void
  removed?(site: DoubleSite, resource: Resource): Promise<void>
}

export const answerOf = (
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): DoubleAnswer => ({
  status,
  headers: { 'content-type': 'application/json', 'x-ms-request-id': randomUUID(), ...headers },
  body: body === undefined ? '' : JSON.stringify(body),
})

export const newEtag = (): string => `W/"${randomUUID()}"`

/** Whoever says what he has read, or that nothing is there, is refused when it is otherwise. */
export function checkConditions(
  headers: Readonly<Record<string, string>>,
  found: { readonly etag?: string | undefined } | undefined,
): void {
  const read = headers['if-match']
  const isOther = read !== undefined && (found === undefined || (read !== '*' && read !== found.etag))
  if (isOther || (headers['if-none-match'] === '*' && found !== undefined))
    throw new ArmError(412, 'PreconditionFailed', 'The condition of the request is not met.')
}
