// What is asked of the content of a snapshot, at the address that Azure gives out for it: a page blob, read by ranges. Microsoft's client
// is not used for it: its list of differences of managed disks ends at the first page and counts one byte too few.
import type { HttpClient, PipelineResponse } from '@azure/core-rest-pipeline'
import { createHttpHeaders, createPipelineRequest } from '@azure/core-rest-pipeline'
import { isAbort, Outage } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import type { Extent } from '@understudy/block/device'
import { AzureOutage, fromAzure } from '../../failures.ts'
import { type ChangedPages, gatherPages } from './few-ranges.ts'

/** Since this one lists of pages come in parts. */
const VERSION = '2021-12-02'
const ANSWER_MS = 60_000
const ATTEMPTS = 5
const FIRST_PAUSE_MS = 250

/** Nobody may read at this address any more. Another one may be had. */
export class ReadingEnded extends Outage {}
/** Azure does not tell what has changed between these two. */
export class NotCompared extends Error {
  override readonly name = 'NotCompared'
}

/** The ranges of lists are sorted and may reach past the disk, into the footer behind it. */
export interface SnapshotCalls {
  read(address: string, range: Extent, signal?: AbortSignal): Promise<Buffer>
  pageRanges(address: string, range: Extent, signal?: AbortSignal): Promise<readonly Extent[]>
  /** Since the snapshot at the other address. Throws NotCompared. */
  changedPages(address: string, earlier: string, range: Extent, signal?: AbortSignal): Promise<ChangedPages>
}

export function snapshotCalls(options: {
  readonly client: HttpClient
  pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void>
}): SnapshotCalls {
  const once = async (ask: Ask, signal: AbortSignal | undefined): Promise<PipelineResponse> => {
    const limit = AbortSignal.timeout(ANSWER_MS)
    const request = createPipelineRequest({
      url: ask.url,
      method: 'GET',
      headers: createHttpHeaders({ 'x-ms-version': VERSION, ...ask.headers }),
      abortSignal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
      ...(ask.isStream === true ? { streamResponseStatusCodes: new Set([200, 206]) } : {}),
    })
    try {
      return await options.client.sendRequest(request)
    } catch (error) {
      if (isAbort(error) && signal?.aborted === true) throw error
      const code = (error as { readonly code?: string }).code ?? 'ECONNRESET'
      throw failure(ask, { status: null, name: code, cause: error })
    }
  }
  async function patiently<Result>(
    ask: Ask,
    signal: AbortSignal | undefined,
    understand: (answer: PipelineResponse) => Promise<Result>,
  ): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      signal?.throwIfAborted()
      try {
        const answer = await once(ask, signal)
        if (answer.status >= 300) throw refusal(ask, answer)
        return await understand(answer)
      } catch (error) {
        if (!(error instanceof AzureOutage) || attempt >= ATTEMPTS) throw error
        const wanted = (error.retryAfterSeconds ?? 0) * 1000
        await options.pause(Math.max(FIRST_PAUSE_MS * 2 ** (attempt - 1), wanted), signal)
      }
    }
  }
  const listed = async (ask: Ask, signal: AbortSignal | undefined): Promise<ChangedPages> => {
    const pages = gatherPages()
    let marker = ''
    do {
      const url = `${ask.url}&comp=pagelist${marker === '' ? '' : `&marker=${encodeURIComponent(marker)}`}`
      const part = await patiently({ ...ask, url }, signal, async ({ bodyAsText }) => bodyAsText ?? '')
      pages.add({ written: rangesIn(part, 'PageRange'), cleared: rangesIn(part, 'ClearRange') })
      marker = /<NextMarker>([^<]+)<\/NextMarker>/.exec(part)?.[1] ?? ''
    } while (marker !== '')
    return pages.all()
  }

  return {
    read: (address, range, signal) => {
      const ask = { doing: 'read a snapshot', url: address, headers: rangeOf(range), isStream: true }
      return patiently(ask, signal, async ({ readableStreamBody }) => {
        const body = await collect(readableStreamBody, ask)
        // A connection that broke in the middle must not look like a short disk.
        if (body.length !== range.bytes) throw failure(ask, { status: null, name: 'ECONNRESET', cause: null })
        return body
      })
    },
    pageRanges: async (address, range, signal) =>
      (await listed({ doing: 'list pages of a snapshot', url: address, headers: rangeOf(range) }, signal))
        .written,
    changedPages: (address, earlier, range, signal) =>
      listed(
        {
          doing: 'compare snapshots',
          url: address,
          headers: { ...rangeOf(range), 'x-ms-previous-snapshot-url': earlier },
          isComparison: true,
        },
        signal,
      ),
  }
}

type Ask = {
  readonly doing: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly isStream?: boolean
  readonly isComparison?: boolean
}

const rangeOf = ({ offset, bytes }: Extent): Record<string, string> => {
  invariant(bytes > 0, 'a range has bytes')
  return { 'x-ms-range': `bytes=${offset}-${offset + bytes - 1}` }
}

/** `<PageRange><Start>0</Start><End>511</End></PageRange>`: the end is the last byte. */
function rangesIn(list: string, name: string): Extent[] {
  const pattern = new RegExp(`<${name}>\\s*<Start>(\\d+)</Start>\\s*<End>(\\d+)</End>\\s*</${name}>`, 'g')
  return [...list.matchAll(pattern)].map(([, start, end]) => ({
    offset: Number(start),
    bytes: Number(end) - Number(start) + 1,
  }))
}

async function collect(stream: NodeJS.ReadableStream | undefined, ask: Ask): Promise<Buffer> {
  const parts: Buffer[] = []
  try {
    for await (const part of stream ?? []) parts.push(Buffer.from(part))
  } catch (error) {
    if (isAbort(error)) throw error
    throw failure(ask, { status: null, name: 'ECONNRESET', cause: error })
  }
  return Buffer.concat(parts)
}

function refusal(ask: Ask, answer: PipelineResponse): Error {
  const name = answer.headers.get('x-ms-error-code') ?? ''
  const { status } = answer
  if (status === 403)
    return new ReadingEnded({
      code: 'azure/reading-ended',
      message: 'Azure does not let a snapshot be read any more: its address has expired or was taken back',
      remedy: 'It is tried again with a new address.',
    })
  if (status === 404)
    return new Outage({
      code: 'azure/snapshot-gone',
      message: 'A snapshot went away while it was read',
      remedy: 'The next cycle compares everything. If it comes again, find out who deletes snapshots.',
    })
  const isBusy = status === 408 || status === 429 || status >= 500
  if (ask.isComparison === true && !isBusy) return new NotCompared(`${status} ${name}`)
  const wait = Number(answer.headers.get('retry-after') ?? Number.NaN)
  return failure(ask, {
    status,
    name,
    cause: null,
    ...(Number.isFinite(wait) ? { retryAfterSeconds: wait } : {}),
  })
}

const failure = (
  { doing }: Ask,
  fault: {
    readonly status: number | null
    readonly name: string
    readonly cause: unknown
    readonly retryAfterSeconds?: number
  },
): Error => fromAzure({ detail: '', retryAfterSeconds: null, ...fault }, doing)
