// The requests of `storage-calls.ts` through Microsoft's client. Here and nowhere else its errors become ours.
import type {
  BlobItem,
  BlobServiceClient,
  ContainerClient,
  PageBlobClient,
  RestError,
  StoragePipelineOptions,
} from '@azure/storage-blob'
import { InvariantError, isAbort } from '@understudy/base/errors'
import { fromAzure, notStorage } from './failures.ts'
import {
  type Expected,
  FenceBroken,
  type ListedBlob,
  type PageBlobFacts,
  type PageSource,
  type StorageCalls,
} from './storage-calls.ts'

export type AzureSignIn =
  | { readonly kind: 'key'; readonly account: string; readonly key: string }
  /** With or without the question mark in front. */
  | { readonly kind: 'signature'; readonly token: string }

export type AzureContainer = {
  /** `https://<account>.blob.core.windows.net`, or the emulator's address with the account behind it. */
  readonly endpoint: string
  readonly container: string
  readonly signIn: AzureSignIn
  readonly proxy?: AzureProxy
}

export type AzureProxy = {
  /** With `http://` or `https://`. */
  readonly host: string
  readonly port: number
  readonly username?: string
  readonly password?: string
}

/** Loaded when it is first needed: Microsoft's client takes a quarter of a second and 20 MiB, and most sites are none of Azure's. */
export async function connectAzure(where: AzureContainer): Promise<StorageCalls> {
  return azureCalls(await openContainer(where))
}

/** False when it was there already. */
export async function makeContainer(where: AzureContainer, signal?: AbortSignal): Promise<boolean> {
  const container = await openContainer(where)
  return await said('make the container', async () => {
    const { succeeded } = await container.createIfNotExists(aborting(signal))
    return succeeded
  })
}

async function openContainer(where: AzureContainer): Promise<ContainerClient> {
  const { AnonymousCredential, BlobServiceClient, StorageSharedKeyCredential, newPipeline } = await import(
    '@azure/storage-blob'
  )
  // We repeat requests ourselves, because what a repetition means differs from call to call: see `patient-calls.ts`.
  const options: StoragePipelineOptions = {
    retryOptions: { maxTries: 1 },
    userAgentOptions: { userAgentPrefix: 'understudy' },
    ...(where.proxy === undefined ? {} : { proxyOptions: where.proxy }),
  }
  const { signIn } = where
  const address = where.endpoint.replace(/\/$/, '')
  const service: BlobServiceClient =
    signIn.kind === 'key'
      ? new BlobServiceClient(
          address,
          newPipeline(new StorageSharedKeyCredential(signIn.account, signIn.key), options),
        )
      : new BlobServiceClient(
          `${address}/?${signIn.token.replace(/^\?/, '')}`,
          newPipeline(new AnonymousCredential(), options),
        )
  return service.getContainerClient(where.container)
}

export function azureCalls(container: ContainerClient): StorageCalls {
  const pages = (name: string): PageBlobClient => container.getPageBlobClient(name)
  const source = ({ name, snapshot }: PageSource): PageBlobClient =>
    snapshot === null ? pages(name) : pages(name).withSnapshot(snapshot)
  const read = ({ etag }: PageSource) => (etag === undefined ? {} : { conditions: { ifMatch: etag } })

  return {
    put: (name, { body, metadata }, expected, signal) =>
      orNull('write a file', async () => {
        const options = { metadata: { ...metadata }, conditions: conditionsOf(expected), ...aborting(signal) }
        const { etag } = await container.getBlockBlobClient(name).upload(body, body.length, options)
        return answered(etag, 'a written blob has an ETag')
      }),

    get: (name, signal) =>
      orNull('read a file', async () => {
        const answer = await container.getBlockBlobClient(name).download(0, undefined, aborting(signal))
        const body = await collect(answered(answer.readableStreamBody, 'an answer in Node is a stream'))
        return { etag: answered(answer.etag, 'a blob has an ETag'), body, metadata: answer.metadata ?? {} }
      }),

    putMetadata: (name, metadata, etag, signal) =>
      orNull('annotate a point', async () => {
        const options = { conditions: { ifMatch: etag }, ...aborting(signal) }
        const answer = await container.getBlobClient(name).setMetadata({ ...metadata }, options)
        return answered(answer.etag, 'a written blob has an ETag')
      }),

    async remove(name, { snapshot, etag }, signal) {
      const found = await orNull('delete a blob', async () => {
        const blob = container.getBlobClient(name)
        const options = {
          ...(etag === undefined ? {} : { conditions: { ifMatch: etag } }),
          ...aborting(signal),
        }
        if (snapshot !== undefined) await blob.withSnapshot(snapshot).delete(options)
        else await blob.delete({ ...options, deleteSnapshots: 'include' })
        return true
      })
      return found === true
    },

    async *list(prefix, { snapshots = false, metadata = false }, signal) {
      const options = { prefix, includeSnapshots: snapshots, includeMetadata: metadata, ...aborting(signal) }
      const found = container.listBlobsFlat(options)[Symbol.asyncIterator]()
      for (;;) {
        const next = await said('list the container', async () => toListed(await parsed(() => found.next())))
        if (next === null) return
        yield next
      }
    },

    createPages: (name, { bytes, metadata, fence }, signal) =>
      orNull('create a page blob', async () => {
        const options = {
          metadata: { ...metadata },
          conditions: { ifNoneMatch: '*' },
          blobSequenceNumber: fence,
          ...aborting(signal),
        }
        const { etag } = await pages(name).create(bytes, options)
        return answered(etag, 'a new blob has an ETag')
      }),

    pageFacts: (name, signal) =>
      orNull('look at a page blob', async () => {
        const facts = await pages(name).getProperties(aborting(signal))
        return {
          etag: answered(facts.etag, 'a blob has an ETag'),
          bytes: answered(facts.contentLength, 'a blob has a length'),
          // Absent: a stranger's block blob in this place, which the metadata will tell.
          sequence: facts.blobSequenceNumber ?? 0,
          metadata: facts.metadata ?? {},
        } satisfies PageBlobFacts
      }),

    raiseFence: (name, { fence, etag }, signal) =>
      orNull('take over a page blob', async () => {
        const options = { conditions: { ifMatch: etag }, ...aborting(signal) }
        const answer = await pages(name).updateSequenceNumber('update', fence, options)
        return answered(answer.etag, 'a blob has an ETag')
      }),

    resizePages: (name, bytes, etag, signal) =>
      orNull('resize a page blob', async () => {
        const options = { conditions: { ifMatch: etag }, ...aborting(signal) }
        const answer = await pages(name).resize(bytes, options)
        return answered(answer.etag, 'a blob has an ETag')
      }),

    putPages: (name, { offset, fence, data }, signal) =>
      fenced('write pages', async () => {
        const options = { conditions: { ifSequenceNumberEqualTo: fence }, ...aborting(signal) }
        const { etag } = await pages(name).uploadPages(data, offset, data.length, options)
        return answered(etag, 'a written blob has an ETag')
      }),

    clearPages: (name, { offset, fence, bytes }, signal) =>
      fenced('clear pages', async () => {
        const options = { conditions: { ifSequenceNumberEqualTo: fence }, ...aborting(signal) }
        const { etag } = await pages(name).clearPages(offset, bytes, options)
        return answered(etag, 'a written blob has an ETag')
      }),

    takeSnapshot: (name, signal) =>
      said('take a snapshot', async () => {
        const { snapshot, etag } = await pages(name).createSnapshot(aborting(signal))
        return {
          name,
          snapshot: answered(snapshot, 'a snapshot has a time'),
          etag: answered(etag, 'a snapshot has an ETag'),
        }
      }),

    readPages: (from, { offset, bytes }, signal) =>
      orNull('read pages', async () => {
        const answer = await source(from).download(offset, bytes, { ...read(from), ...aborting(signal) })
        const body = await collect(answered(answer.readableStreamBody, 'an answer in Node is a stream'))
        // A connection that broke in the middle must not look like a short disk.
        if (body.length !== bytes)
          throw Object.assign(new Error('The answer was cut short'), { code: 'ECONNRESET' })
        return body
      }),

    async *pageRanges(from, { offset, bytes }, signal) {
      const options = { ...read(from), ...aborting(signal) }
      const found = source(from).listPageRanges(offset, bytes, options)[Symbol.asyncIterator]()
      for (;;) {
        const next = await said('list pages', () => parsed(() => found.next()))
        if (next.done === true) return
        yield { offset: next.value.start, bytes: next.value.end - next.value.start + 1 }
      }
    },

    async *changedPages(from, earlier, { offset, bytes }, signal) {
      const options = { ...read(from), ...aborting(signal) }
      const found = source(from).listPageRangesDiff(offset, bytes, earlier, options)[Symbol.asyncIterator]()
      for (;;) {
        const next = await said('compare pages', () => parsed(() => found.next()))
        if (next.done === true) return
        const { start, end, isClear } = next.value
        yield { offset: start, bytes: end - start + 1, isCleared: isClear === true }
      }
    },
  }
}

const aborting = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { abortSignal: signal })

const conditionsOf = (expected: Expected) => {
  if (expected === 'any') return {}
  return expected === 'absent' ? { ifNoneMatch: '*' } : { ifMatch: expected.etag }
}

function toListed(next: IteratorResult<BlobItem, unknown>): ListedBlob | null {
  if (next.done === true) return null
  const { name, snapshot, properties, metadata } = next.value
  return {
    name,
    snapshot: snapshot === undefined || snapshot === '' ? null : snapshot,
    etag: quoted(answered(properties?.etag, 'a listed blob has an ETag')),
    metadata: metadata ?? {},
  }
}

/** Lists give ETags without the quotes that headers have. */
const quoted = (etag: string): string => (etag.startsWith('"') ? etag : `"${etag}"`)

async function collect(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(Buffer.from(part))
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
}

const codeOf = (error: unknown): string => {
  const { code, details } = error as RestError & { details?: { errorCode?: string } }
  return details?.errorCode ?? code ?? ''
}
const statusOf = (error: unknown): number | null => (error as RestError).statusCode ?? null

/** It answered well, and without what every answer of Azure's has. */
class Unlike extends Error {
  override readonly name = 'Unlike'
}

function answered<Value>(value: Value | null | undefined, what: string): Value {
  if (value === null || value === undefined) throw new Unlike(`Missing in the answer: ${what}`)
  return value
}

/** Microsoft's client takes the form of a list for granted. What Node refuses to send is a TypeError too, but has a code. */
async function parsed<Result>(list: () => Promise<Result>): Promise<Result> {
  try {
    return await list()
  } catch (error) {
    if (!(error instanceof TypeError) || 'code' in error) throw error
    throw new Unlike('The list has another form', { cause: error })
  }
}

async function said<Result>(doing: string, request: () => Promise<Result>): Promise<Result> {
  try {
    return await request()
  } catch (error) {
    throw translated(error, doing)
  }
}

/** Null where the blob is not there, or not in the state that was expected. */
async function orNull<Result>(doing: string, request: () => Promise<Result>): Promise<Result | null> {
  try {
    return await request()
  } catch (error) {
    const code = codeOf(error)
    if (isOfStranger((error as RestError).response)) throw translated(error, doing)
    const isAbsent = statusOf(error) === 404 && code !== 'ContainerNotFound'
    const differs = /^(ConditionNotMet|BlobAlreadyExists|TargetConditionNotMet)$/.test(code)
    if (isAbsent || differs || (statusOf(error) === 412 && !/^Lease/.test(code))) return null
    throw translated(error, doing)
  }
}

async function fenced(doing: string, request: () => Promise<string>): Promise<string> {
  const etag = await orNull(doing, request)
  if (etag === null) throw new FenceBroken(doing)
  return etag
}

/** Azure gives every answer a number of its own, also those that refuse. Gateways on the way that have trouble are outages. */
const isOfStranger = (response: RestError['response']): boolean =>
  response !== undefined && response.status < 500 && !response.headers.has('x-ms-request-id')

/** The agent that goes through a proxy knows its address; Microsoft's client tells it nowhere else. */
function proxyOf(request: RestError['request']): string | null {
  const { proxy } = (request?.agent ?? {}) as { readonly proxy?: URL }
  return proxy?.origin ?? null
}

function translated(error: unknown, doing: string): unknown {
  if (error instanceof Unlike) return notStorage(null, doing, error)
  const isOurs = error instanceof InvariantError || error instanceof TypeError || error instanceof RangeError
  if (isAbort(error) || isOurs) return error
  const { message, response, request } = error as RestError
  const status = statusOf(error)
  if (isOfStranger(response)) return notStorage(status, doing, error)
  const wait = Number(response?.headers.get('retry-after') ?? Number.NaN)
  return fromAzure(
    {
      status,
      name: codeOf(error),
      detail: `${message ?? ''} ${response?.bodyAsText ?? ''}`,
      retryAfterSeconds: Number.isFinite(wait) ? wait : null,
      proxy: proxyOf(request),
      cause: error,
    },
    doing,
  )
}
