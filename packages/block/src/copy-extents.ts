// Moving disk content: reads are pipelined, memory is bounded, and the first failure stops everything.
import { KiB, roundDown } from '@understudy/base/bytes'
import { invariant } from '@understudy/base/invariant'
import { bufferPool } from './buffer-pool.ts'
import type { BlockReader, MappedExtent } from './device.ts'
import { GRAIN_BYTES, zeroRuns } from './zero-detection.ts'

/** Where a copy goes: a device, or a point that is being written. Both resolve when the sink has taken the bytes. */
export type CopySink = {
  write(offset: number, data: Buffer, signal?: AbortSignal): Promise<void>
  zero(offset: number, bytes: number, signal?: AbortSignal): Promise<void>
}

/** `readBytes` were read from the source; of all bytes handled, `dataBytes` went as data and `zeroBytes` as zeros. */
export type CopyTotals = {
  readonly readBytes: number
  readonly dataBytes: number
  readonly zeroBytes: number
}

export type CopyOptions = {
  readonly from: BlockReader
  readonly to: CopySink
  /** What to copy, ascending. Zero extents are not read: they go to the sink as zeros, in one call each. */
  readonly extents: AsyncIterable<MappedExtent> | Iterable<MappedExtent>
  /** Largest read. 256 KiB measured best against QEMU, whose NBD server copies larger requests more slowly. */
  readonly requestBytes?: number
  /** How many full-size requests may be under way. Memory in use stays within requestBytes x inFlight. */
  readonly inFlight?: number
  /** Look for zeros, at 4 KiB grains, in what was read. On unless switched off. */
  readonly detectZeros?: boolean
  /**
   * Read into the same few buffers again and again: up to three times faster. Only for a sink that is done with the bytes
   * when its `write` resolves (they are on disk, compressed or copied); one that keeps them would see them change.
   */
  readonly reuseBuffers?: boolean
  readonly signal?: AbortSignal
  /** Called after every request with the running totals. Must not throw. */
  readonly onProgress?: (totals: CopyTotals) => void
}

/** Scattered small extents may use more requests than full-size ones, within the same memory. */
const SMALL_REQUESTS_PER_SLOT = 4

/**
 * Copies the extents and resolves with the totals when the sink has taken everything. Order is not kept. On the first
 * error nothing new starts, what is under way is aborted, and the error is thrown after all of it has settled, so the
 * caller may close both ends at once. Copying again is safe.
 */
export async function copyExtents(options: CopyOptions): Promise<CopyTotals> {
  const { to, requestBytes = 256 * KiB, inFlight = 16, detectZeros = true } = options
  invariant(requestBytes % GRAIN_BYTES === 0 && requestBytes > 0, 'requests are whole grains')
  const totals = { readBytes: 0, dataBytes: 0, zeroBytes: 0 }
  const source = bufferedReader(options.from, options.reuseBuffers === true, requestBytes, inFlight)
  const slots = boundedWork(requestBytes * inFlight, inFlight * SMALL_REQUESTS_PER_SLOT, options.signal)

  const copyZeros = async (piece: MappedExtent): Promise<void> => {
    await to.zero(piece.offset, piece.bytes, slots.signal)
    totals.zeroBytes += piece.bytes
  }
  const copyData = async (piece: MappedExtent): Promise<void> => {
    const data = await source.read(piece.offset, piece.bytes, slots.signal)
    invariant(data.length === piece.bytes, 'a read returns what was asked for')
    totals.readBytes += data.length
    const runs = detectZeros ? zeroRuns(data, piece.offset) : [{ ...piece, kind: 'data' as const }]
    for (const run of runs) {
      if (run.kind === 'zero') {
        await copyZeros(run)
        continue
      }
      const start = run.offset - piece.offset
      await to.write(run.offset, data.subarray(start, start + run.bytes), slots.signal)
      totals.dataBytes += run.bytes
    }
    source.giveBack(data)
  }

  try {
    for await (const piece of requests(options.extents, requestBytes)) {
      const weight = piece.kind === 'zero' ? 0 : piece.bytes
      const proceed = await slots.start(weight, async () => {
        await (piece.kind === 'zero' ? copyZeros(piece) : copyData(piece))
        options.onProgress?.({ ...totals })
      })
      if (!proceed) break
    }
  } catch (error) {
    // The list of extents itself failed, for instance because the connection that yields it broke.
    slots.fail(error)
  }
  await slots.finish()
  return totals
}

/** Joins neighbours of one kind, then cuts data at multiples of `requestBytes` of the disk. */
async function* requests(
  extents: AsyncIterable<MappedExtent> | Iterable<MappedExtent>,
  requestBytes: number,
): AsyncGenerator<MappedExtent> {
  let open: MappedExtent = { offset: 0, bytes: 0, kind: 'data' }
  for await (const extent of extents) {
    if (extent.kind === open.kind && extent.offset === open.offset + open.bytes) {
      open = { ...open, bytes: open.bytes + extent.bytes }
    } else {
      yield* cut(open, requestBytes)
      open = extent
    }
    // What is known to be complete goes out at once: a huge run of data must not wait for its own end.
    if (open.kind === 'data' && open.bytes >= 2 * requestBytes) {
      const end = open.offset + open.bytes
      const cutAt = roundDown(end, requestBytes)
      yield* cut({ offset: open.offset, bytes: cutAt - open.offset, kind: 'data' }, requestBytes)
      open = { offset: cutAt, bytes: end - cutAt, kind: 'data' }
    }
  }
  yield* cut(open, requestBytes)
}

function* cut(extent: MappedExtent, requestBytes: number): Generator<MappedExtent> {
  if (extent.kind === 'zero') {
    if (extent.bytes > 0) yield extent
    return
  }
  const end = extent.offset + extent.bytes
  for (let offset = extent.offset; offset < end; ) {
    const next = Math.min(end, roundDown(offset, requestBytes) + requestBytes)
    yield { offset, bytes: next - offset, kind: 'data' }
    offset = next
  }
}

type BufferedReader = {
  read(offset: number, bytes: number, signal: AbortSignal): Promise<Buffer>
  /** Its bytes are not needed any more. Not called after a failure, when late data may still arrive in the buffer. */
  giveBack(data: Buffer): void
}

function bufferedReader(
  from: BlockReader,
  reuse: boolean,
  bufferBytes: number,
  buffers: number,
): BufferedReader {
  if (!reuse || from.readInto === undefined)
    return { read: (offset, bytes, signal) => from.read(offset, bytes, signal), giveBack: () => undefined }
  const readInto = from.readInto.bind(from)
  const pool = bufferPool(buffers, bufferBytes)
  return {
    async read(offset, bytes, signal) {
      const data = pool.take(bytes)
      await readInto(offset, data, signal)
      return data
    },
    giveBack: pool.giveBack,
  }
}

type BoundedWork = {
  /** Aborted by the first failure and by the caller. */
  readonly signal: AbortSignal
  /** Waits for room, then starts the task. False when something has failed: stop feeding. */
  start(weightBytes: number, task: () => Promise<void>): Promise<boolean>
  fail(error: unknown): void
  /** Waits for everything under way, then throws the first failure, if any. */
  finish(): Promise<void>
}

/** Runs tasks side by side within two bounds: the bytes they hold and their number. */
function boundedWork(
  maximumBytes: number,
  maximumTasks: number,
  outer: AbortSignal | undefined,
): BoundedWork {
  const stop = new AbortController()
  let failure: { readonly error: unknown } | null = null
  let heldBytes = 0
  let tasks = 0
  let wake: (() => void) | null = null

  const fail = (error: unknown): void => {
    failure ??= { error }
    stop.abort(error)
    wake?.()
  }
  const abortByCaller = (): void => fail(outer?.reason)
  outer?.addEventListener('abort', abortByCaller, { once: true })
  if (outer?.aborted) abortByCaller()

  const settle = (weightBytes: number): void => {
    heldBytes -= weightBytes
    tasks -= 1
    wake?.()
  }
  const change = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve
    })
  const full = (weightBytes: number): boolean =>
    tasks >= maximumTasks || (heldBytes > 0 && heldBytes + weightBytes > maximumBytes)

  return {
    signal: stop.signal,
    fail,
    async start(weightBytes, task) {
      while (failure === null && full(weightBytes)) await change()
      if (failure !== null) return false
      heldBytes += weightBytes
      tasks += 1
      task().then(
        () => settle(weightBytes),
        (error: unknown) => {
          fail(error)
          settle(weightBytes)
        },
      )
      return true
    },
    async finish() {
      while (tasks > 0) await change()
      outer?.removeEventListener('abort', abortByCaller)
      if (failure !== null) throw failure.error
    },
  }
}
