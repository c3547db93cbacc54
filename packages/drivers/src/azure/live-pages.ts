// A page blob that is being written: the newest state of a disk, or of its sums. What lies in it is trusted by nobody. It becomes
// the truth only as a snapshot, taken when the blob's ETag is one that we ourselves were given.
//
// Writing starts with giving the blob a sequence number of our own, if the ETag is still that of the newest sealed snapshot. Every write
// names the number it was given, so what an older writer or an older cycle still sends is refused by Azure. If the ETag is another
// (a cycle died half way, a stranger wrote), what differs from the snapshot is put back first.
import { randomInt } from 'node:crypto'
import { invariant } from '@understudy/base/invariant'
import type { Extent } from '@understudy/block/device'
import { rangeLock } from '@understudy/block/range-lock'
import { blobGone, blobReplaced, blobTouched } from './failures.ts'
import { FenceBroken, type Metadata, type SnapshotRef, type StorageCalls } from './storage-calls.ts'

/** How the blob says whose it is. A stranger who writes over it loses that. */
export const OWNER_MARK = 'understudyblob'

export type LiveBlob = {
  readonly name: string
  /** The value of its owner mark. */
  readonly mark: string
  /** For messages. */
  readonly disk: string
}

export type LivePages = {
  put(offset: number, data: Buffer, signal?: AbortSignal): Promise<void>
  clear(offset: number, bytes: number, signal?: AbortSignal): Promise<void>
  /** After everything that was under way in the range. */
  read(range: Extent, signal?: AbortSignal): Promise<Buffer>
  resize(bytes: number): Promise<void>
  /** Of exactly what was written here, or an Outage. */
  seal(): Promise<SnapshotRef>
  readonly writtenBytes: number
  readonly isFresh: boolean
}

/** Puts the blob back to the snapshot. `kept`: its size had not been changed. */
export type Undo = (pages: LivePages, kept: boolean) => Promise<void>

const TAKE_OVER_TRIES = 5
/** Azure may acknowledge parallel writes in another order than it applies them: the last ETag is one of the last few. */
const REMEMBERED_ETAGS = 512

/** A new blob of zeros. */
export async function createLivePages(
  calls: StorageCalls,
  blob: LiveBlob,
  bytes: number,
): Promise<LivePages> {
  const metadata: Metadata = { [OWNER_MARK]: blob.mark }
  const fence = newFence()
  const etag = await calls.createPages(blob.name, { bytes, metadata, fence })
  if (etag !== null) return livePages(calls, blob, { etag, fence }, true)
  // Its name was made for this moment: an earlier attempt, whose answer was lost, has created it.
  const facts = await calls.pageFacts(blob.name)
  if (facts?.metadata[OWNER_MARK] !== blob.mark) throw blobReplaced(blob.disk)
  return livePages(calls, blob, { etag: facts.etag, fence: facts.sequence }, true)
}

/** Nobody else ever had it, and nobody will: so a fence whose answer was lost is known again. */
const newFence = (): number => randomInt(1, 2 ** 47)

/**
 * The blob whose newest sealed state is `sealed`, fenced for this writer and equal to that state. `checkOwner` throws when a newer
 * writer has come; it is asked before anything is put back.
 */
export async function takeOverPages(
  calls: StorageCalls,
  blob: LiveBlob,
  deps: {
    readonly sealed: SnapshotRef
    readonly bytes: number
    readonly undo: Undo
    checkOwner(): Promise<void>
    readonly signal?: AbortSignal
  },
): Promise<LivePages> {
  const { sealed, bytes, signal } = deps
  const fence = newFence()
  const untouched = await calls.raiseFence(blob.name, { fence, etag: sealed.etag }, signal)
  if (untouched !== null) return livePages(calls, blob, { etag: untouched, fence }, false)
  for (let tries = 0; tries < TAKE_OVER_TRIES; tries += 1) {
    const facts = await calls.pageFacts(blob.name, signal)
    if (facts === null) throw blobGone(blob.disk)
    if (facts.metadata[OWNER_MARK] !== blob.mark) throw blobReplaced(blob.disk)
    await deps.checkOwner()
    // Ours already: only the answer was lost. Whatever the blob was then, it is put back below.
    const etag =
      facts.sequence === fence
        ? facts.etag
        : await calls.raiseFence(blob.name, { fence, etag: facts.etag }, signal)
    if (etag === null) continue
    const pages = livePages(calls, blob, { etag, fence }, false)
    if (facts.bytes !== bytes) await pages.resize(bytes)
    await deps.undo(pages, facts.bytes === bytes)
    return pages
  }
  throw blobTouched(blob.disk)
}

function livePages(
  calls: StorageCalls,
  blob: LiveBlob,
  first: { readonly etag: string; readonly fence: number },
  isFresh: boolean,
): LivePages {
  const lock = rangeLock()
  const etags = new Set<string>([first.etag])
  let fence = first.fence
  let writtenBytes = 0
  let underWay = 0
  let unsure: Extent[] = []
  let raising: Promise<void> | null = null
  let quiet: (() => void) | null = null

  const remember = (etag: string): void => {
    etags.add(etag)
    for (const oldest of etags) {
      if (etags.size <= REMEMBERED_ETAGS) return
      etags.delete(oldest)
    }
  }
  const untilQuiet = (): Promise<void> =>
    underWay === 0
      ? Promise.resolve()
      : new Promise((resolve) => {
          quiet = resolve
        })

  /**
   * A request that got no answer may still be on its way. Newer content in its place, or a snapshot, needs a fence in between. What
   * has arrived late already shows as an ETag that nobody told us; a stranger's would look the same here, and is left to the sums.
   */
  const raise = async (): Promise<void> => {
    await untilQuiet()
    const next = newFence()
    for (let tries = 0; tries < TAKE_OVER_TRIES; tries += 1) {
      const facts = await calls.pageFacts(blob.name)
      if (facts === null) throw blobGone(blob.disk)
      // Neither the old nor the new one: somebody else's.
      if (facts.sequence !== fence && facts.sequence !== next) throw blobTouched(blob.disk)
      const etag =
        facts.sequence === next
          ? facts.etag
          : await calls.raiseFence(blob.name, { fence: next, etag: facts.etag })
      if (etag === null) continue
      fence = next
      remember(etag)
      unsure = []
      return
    }
    throw blobTouched(blob.disk)
  }
  const write = (range: Extent, request: (onUnsure: () => void) => Promise<string>): Promise<void> =>
    lock.hold(range, async () => {
      while (raising !== null) await raising
      if (unsure.some((other) => overlaps(other, range))) {
        raising = raise().finally(() => {
          raising = null
        })
        await raising
      }
      underWay += 1
      try {
        remember(await request(() => unsure.push(range)))
      } catch (error) {
        throw error instanceof FenceBroken ? new FenceBroken(blob.disk) : error
      } finally {
        underWay -= 1
        if (underWay === 0) quiet?.()
      }
    })

  return {
    isFresh,
    get writtenBytes() {
      return writtenBytes
    },
    async put(offset, data, signal) {
      await write({ offset, bytes: data.length }, (onUnsure) =>
        calls.putPages(blob.name, { offset, fence, data, onUnsure }, signal),
      )
      writtenBytes += data.length
    },
    clear: (offset, bytes, signal) =>
      write({ offset, bytes }, (onUnsure) =>
        calls.clearPages(blob.name, { offset, fence, bytes, onUnsure }, signal),
      ),
    read: (range, signal) =>
      lock.hold(range, async () => {
        const data = await calls.readPages({ name: blob.name, snapshot: null }, range, signal)
        if (data === null) throw blobGone(blob.disk)
        return data
      }),
    async resize(bytes) {
      invariant(underWay === 0, 'a blob is resized before it is written')
      for (let tries = 0; tries < TAKE_OVER_TRIES; tries += 1) {
        const facts = await calls.pageFacts(blob.name)
        if (facts === null) throw blobGone(blob.disk)
        if (facts.sequence !== fence) throw blobTouched(blob.disk)
        const etag =
          facts.bytes === bytes ? facts.etag : await calls.resizePages(blob.name, bytes, facts.etag)
        if (etag === null) continue
        remember(etag)
        return
      }
      throw blobTouched(blob.disk)
    },
    async seal() {
      invariant(underWay === 0, 'a blob is sealed when everything has arrived')
      if (unsure.length > 0) await raise()
      const taken = await calls.takeSnapshot(blob.name)
      if (!etags.has(taken.etag)) throw blobTouched(blob.disk)
      return taken
    },
  }
}

const overlaps = (a: Extent, b: Extent): boolean =>
  a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes
