// An NBD disk that outlives its connection: what was lost on the way is asked again on a new one.
import { setTimeout as sleep } from 'node:timers/promises'
import { Refusal } from '@understudy/base/errors'
import type { Extent, MappedExtent } from '../device.ts'
import { connectNbd, isConnectionLoss, type NbdDevice, type NbdOptions, type StatusExtent } from './client.ts'
import { toText, writesInDoubt } from './failures.ts'
import { ALLOCATION_CONTEXT, allocationFlag } from './protocol.ts'

export type ReconnectPolicy = {
  /** How often one request is tried in all before its Outage goes to the caller. */
  readonly attempts: number
  /** The first pause before connecting again; each further one is twice as long, up to the maximum. */
  readonly firstPauseMs: number
  readonly maximumPauseMs: number
  readonly onReconnect?: (because: Error, attempt: number) => void
}

const USUAL_POLICY: ReconnectPolicy = { attempts: 6, firstPauseMs: 100, maximumPauseMs: 5_000 }

/**
 * Like `connectNbd`, but reads, writes, zeroing, trims and block status that fail because the connection is lost are
 * repeated on a new one; each of them means the same when done twice. A flush is not repeated when a write since the last
 * flush went over a lost connection: the new server may never have seen it. It throws its Outage then, and the caller starts over.
 *
 * A new connection must show the same export: another size is a Refusal (`nbd/export-changed`). That the content is still the
 * same is for the export's name to say: export a point in time under a name of its own.
 */
export async function withReconnect(
  options: NbdOptions,
  policy: ReconnectPolicy = USUAL_POLICY,
): Promise<NbdDevice> {
  const first = await connectNbd(options)
  // The signal of the first connect is for that connect; later ones belong to the requests that need them.
  const { signal: _, ...again } = options
  let current = first
  let connecting: Promise<NbdDevice> | null = null
  let closed = false
  let unflushedBytes = 0
  let unflushedWasLost = false

  const reconnect = async (): Promise<NbdDevice> => {
    const old = current
    await old.close()
    const fresh = await connectNbd(again)
    if (fresh.bytes !== first.bytes || (fresh.readOnly && !first.readOnly)) {
      await fresh.close()
      throw exportChanged(options, first.bytes, fresh.bytes)
    }
    if (unflushedBytes > 0) unflushedWasLost = true
    if (closed) await fresh.close()
    current = fresh
    return fresh
  }
  /** One attempt for all who need it. */
  const live = (): Promise<NbdDevice> => {
    if (current.failure === null || closed) return Promise.resolve(current)
    connecting ??= reconnect().finally(() => {
      connecting = null
    })
    return connecting
  }
  const attempting = async <T>(
    signal: AbortSignal | undefined,
    work: (device: NbdDevice) => Promise<T>,
  ): Promise<T> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work(await live())
      } catch (error) {
        if (closed || attempt >= policy.attempts || !(error instanceof Error) || !isConnectionLoss(error))
          throw error
        signal?.throwIfAborted()
        policy.onReconnect?.(error, attempt)
        const pauseMs = Math.min(policy.firstPauseMs * 2 ** (attempt - 1), policy.maximumPauseMs)
        await sleep(pauseMs, undefined, signal === undefined ? {} : { signal })
      }
    }
  }
  const changing = async (
    bytes: number,
    signal: AbortSignal | undefined,
    work: (device: NbdDevice) => Promise<void>,
  ): Promise<void> => {
    await attempting(signal, work)
    unflushedBytes += bytes
  }

  /** Goes on from where it was lost: the part that was already given is true and is not asked again. */
  async function* blockStatus(
    context: string,
    range: Extent,
    signal?: AbortSignal,
  ): AsyncGenerator<StatusExtent> {
    const end = range.offset + range.bytes
    for (let offset = range.offset; offset < end; ) {
      const from = offset
      const page = await attempting(signal, (device) =>
        statusPage(device, context, { offset: from, bytes: end - from }, signal),
      )
      for (const extent of page) {
        yield extent
        offset = extent.offset + extent.bytes
      }
    }
  }
  async function* map(range: Extent, signal?: AbortSignal): AsyncGenerator<MappedExtent> {
    for await (const { offset, bytes, flags } of blockStatus(ALLOCATION_CONTEXT, range, signal))
      yield { offset, bytes, kind: (flags & allocationFlag.zero) === 0 ? 'data' : 'zero' }
  }

  return {
    bytes: first.bytes,
    exportName: first.exportName,
    readOnly: first.readOnly,
    metaContexts: first.metaContexts,
    sizes: first.sizes,
    get failure() {
      return current.failure
    },
    read: (offset, bytes, signal) => attempting(signal, (device) => device.read(offset, bytes, signal)),
    // The old connections are closed before a new one is opened, so two tries never write into `target` at once.
    readInto: (offset, target, signal) =>
      attempting(signal, (device) => device.readInto(offset, target, signal)),
    blockStatus,
    ...(first.map === undefined ? {} : { map }),
    write: (offset, data, signal) =>
      changing(data.length, signal, (device) => device.write(offset, data, signal)),
    zero: (offset, bytes, signal) => changing(bytes, signal, (device) => device.zero(offset, bytes, signal)),
    trim: (offset, bytes, signal) => changing(bytes, signal, (device) => device.trim(offset, bytes, signal)),
    async flush(signal) {
      const device = await live()
      if (unflushedWasLost) {
        unflushedWasLost = false
        unflushedBytes = 0
        throw writesInDoubt(options.address)
      }
      await device.flush(signal)
      unflushedBytes = 0
    },
    async close() {
      closed = true
      await connecting?.catch(() => undefined)
      await current.close()
    },
  }
}

/** So much of the block status is asked for, gathered and then given: at most this many extents are held. */
const PAGE_EXTENTS = 16_384

async function statusPage(
  device: NbdDevice,
  context: string,
  range: Extent,
  signal: AbortSignal | undefined,
): Promise<StatusExtent[]> {
  const page: StatusExtent[] = []
  for await (const extent of device.blockStatus(context, range, signal)) {
    page.push(extent)
    if (page.length === PAGE_EXTENTS) break
  }
  return page
}

const exportChanged = (options: NbdOptions, before: number, after: number): Refusal =>
  new Refusal({
    code: 'nbd/export-changed',
    message: `The export "${options.exportName}" at ${toText(options.address)} is another disk now: ${before} bytes before, ${after} bytes after reconnecting`,
    remedy: 'Start the copy over, from the disk as it is now.',
  })
