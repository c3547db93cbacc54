// The model of what Azure Storage promises about blobs, in memory: for proofs that need thousands of lives a minute. Azurite
// passes the same tests (`storage-calls.test.ts`) where it is right.
import { invariant } from '@understudy/base/invariant'
import type { Extent } from '@understudy/block/device'
import { coalesce } from '@understudy/block/extents'
import { GRAIN_BYTES, isZero } from '@understudy/block/zero-detection'
import { fromAzure } from '../failures.ts'
import { FenceBroken, type Metadata, type PageSource, type StorageCalls } from '../storage-calls.ts'

const PAGE = 512

type Pages = { bytes: number; pages: Map<number, Buffer> }
type Small = { kind: 'small'; etag: string; body: Buffer; metadata: Metadata }
type Paged = Pages & {
  kind: 'paged'
  etag: string
  metadata: Metadata
  sequence: number
  readonly snapshots: Map<string, Pages & { readonly etag: string; readonly metadata: Metadata }>
}

export type MemoryAccount = { readonly blobs: Map<string, Small | Paged>; changes: number }

export const memoryAccount = (): MemoryAccount => ({ blobs: new Map(), changes: 0 })

/** What must be kept to go back to this moment, as a storage that forgets does. */
export function copyAccount(account: MemoryAccount): MemoryAccount {
  const blobs = new Map<string, Small | Paged>()
  for (const [name, blob] of account.blobs)
    blobs.set(
      name,
      blob.kind === 'small'
        ? { ...blob }
        : { ...blob, pages: new Map(blob.pages), snapshots: new Map(blob.snapshots) },
    )
  return { blobs, changes: account.changes }
}

export function memoryCalls(account: MemoryAccount): StorageCalls {
  const nextEtag = (): string => {
    account.changes += 1
    return `"0x${account.changes.toString(16).padStart(15, '0')}"`
  }
  const paged = (name: string): Paged | null => {
    const found = account.blobs.get(name)
    return found?.kind === 'paged' ? found : null
  }
  const source = ({ name, snapshot, etag }: PageSource): Pages | null => {
    const blob = paged(name)
    const found = snapshot === null ? blob : (blob?.snapshots.get(snapshot) ?? null)
    return found !== null && (etag === undefined || found.etag === etag) ? found : null
  }
  const fenced = (name: string, fence: number): Paged => {
    const blob = paged(name)
    if (blob === null || blob.sequence !== fence) throw new FenceBroken(name)
    return blob
  }
  const checkRange = ({ offset, bytes }: Extent, size: number): void => {
    invariant(offset % PAGE === 0 && bytes % PAGE === 0 && bytes > 0, 'whole pages')
    // A repetition may come after the blob was made smaller.
    if (offset + bytes <= size) return
    throw fromAzure(
      { status: 416, name: 'InvalidPageRange', detail: '', retryAfterSeconds: null, cause: null },
      'write pages',
    )
  }

  return {
    async put(name, { body, metadata }, expected) {
      const found = account.blobs.get(name)
      if (expected === 'absent' && found !== undefined) return null
      if (typeof expected === 'object' && found?.etag !== expected.etag) return null
      const etag = nextEtag()
      account.blobs.set(name, { kind: 'small', etag, body: Buffer.from(body), metadata })
      return etag
    },
    async get(name) {
      const found = account.blobs.get(name)
      return found?.kind === 'small' ? { etag: found.etag, body: found.body, metadata: found.metadata } : null
    },
    async putMetadata(name, metadata, etag) {
      const found = account.blobs.get(name)
      if (found?.etag !== etag) return null
      found.metadata = metadata
      found.etag = nextEtag()
      return found.etag
    },
    async remove(name, { snapshot, etag }) {
      if (snapshot !== undefined) return paged(name)?.snapshots.delete(snapshot) ?? false
      const found = account.blobs.get(name)
      if (found === undefined || (etag !== undefined && found.etag !== etag)) return false
      return account.blobs.delete(name)
    },
    async *list(prefix, { snapshots = false }) {
      for (const name of [...account.blobs.keys()].sort()) {
        const blob = account.blobs.get(name)
        if (!name.startsWith(prefix) || blob === undefined) continue
        if (snapshots && blob.kind === 'paged')
          for (const [snapshot, { etag, metadata }] of blob.snapshots)
            yield { name, snapshot, etag, metadata }
        yield { name, snapshot: null, etag: blob.etag, metadata: blob.metadata }
      }
    },
    async createPages(name, { bytes, metadata, fence }) {
      if (account.blobs.has(name)) return null
      const etag = nextEtag()
      account.blobs.set(name, {
        kind: 'paged',
        etag,
        metadata,
        sequence: fence,
        bytes,
        pages: new Map(),
        snapshots: new Map(),
      })
      return etag
    },
    async pageFacts(name) {
      const found = account.blobs.get(name)
      if (found === undefined) return null
      if (found.kind === 'small')
        return { etag: found.etag, bytes: found.body.length, sequence: 0, metadata: found.metadata }
      const { etag, bytes, sequence, metadata } = found
      return { etag, bytes, sequence, metadata }
    },
    async raiseFence(name, { fence, etag }) {
      const blob = paged(name)
      if (blob?.etag !== etag) return null
      blob.sequence = fence
      blob.etag = nextEtag()
      return blob.etag
    },
    async resizePages(name, bytes, etag) {
      const blob = paged(name)
      if (blob?.etag !== etag) return null
      for (const page of blob.pages.keys()) if (page * PAGE >= bytes) blob.pages.delete(page)
      blob.bytes = bytes
      blob.etag = nextEtag()
      return blob.etag
    },
    async putPages(name, { offset, fence, data }) {
      const blob = fenced(name, fence)
      checkRange({ offset, bytes: data.length }, blob.bytes)
      invariant(data.length <= 4 * 2 ** 20, 'a request carries at most 4 MiB')
      for (let at = 0; at < data.length; at += PAGE)
        blob.pages.set((offset + at) / PAGE, Buffer.from(data.subarray(at, at + PAGE)))
      blob.etag = nextEtag()
      return blob.etag
    },
    async clearPages(name, { offset, fence, bytes }) {
      const blob = fenced(name, fence)
      checkRange({ offset, bytes }, blob.bytes)
      for (const page of blob.pages.keys())
        if (page * PAGE >= offset && page * PAGE < offset + bytes) blob.pages.delete(page)
      blob.etag = nextEtag()
      return blob.etag
    },
    async takeSnapshot(name) {
      const blob = paged(name)
      if (blob === null)
        throw fromAzure(
          { status: 404, name: 'BlobNotFound', detail: '', retryAfterSeconds: null, cause: null },
          'take a snapshot',
        )
      account.changes += 1
      const snapshot = new Date(account.changes).toISOString()
      const { bytes, etag, metadata } = blob
      blob.snapshots.set(snapshot, { bytes, etag, metadata, pages: new Map(blob.pages) })
      return { name, snapshot, etag }
    },
    async readPages(from, { offset, bytes }) {
      const found = source(from)
      if (found === null) return null
      const data = Buffer.alloc(bytes)
      for (let at = 0; at < bytes; at += PAGE) found.pages.get((offset + at) / PAGE)?.copy(data, at)
      return data
    },
    async *pageRanges(from, range) {
      yield* rangesOf([...(source(from)?.pages.keys() ?? [])], range)
    },
    async *changedPages(from, earlier, range) {
      const now = source(from)
      const before = source({ name: from.name, snapshot: earlier })
      if (now === null || before === null) return
      const changed: number[] = []
      const cleared: number[] = []
      for (const [page, data] of now.pages) if (before.pages.get(page) !== data) changed.push(page)
      for (const page of before.pages.keys()) if (!now.pages.has(page)) cleared.push(page)
      for (const extent of rangesOf(changed, range)) yield { ...extent, isCleared: false }
      for (const extent of rangesOf(cleared, range)) yield { ...extent, isCleared: true }
    },
  }
}

function rangesOf(pages: readonly number[], { offset, bytes }: Extent): Extent[] {
  const inside = pages.filter((page) => page * PAGE >= offset && page * PAGE < offset + bytes)
  return coalesce(inside.sort((a, b) => a - b).map((page) => ({ offset: page * PAGE, bytes: PAGE })))
}

/** Grains of 4 KiB that are there, all eight pages of them, and read as zeros: what a store that never uploads zeros must not leave. */
export function zeroGrains(account: MemoryAccount): number {
  let count = 0
  for (const blob of account.blobs.values()) if (blob.kind === 'paged') count += zeroGrainsOf(blob.pages)
  return count
}

const PAGES_PER_GRAIN = GRAIN_BYTES / PAGE

function zeroGrainsOf(pages: ReadonlyMap<number, Buffer>): number {
  let count = 0
  for (const page of pages.keys()) {
    if (page % PAGES_PER_GRAIN !== 0) continue
    const grain = Array.from({ length: PAGES_PER_GRAIN }, (_, index) => pages.get(page + index))
    if (grain.every((data) => data !== undefined && isZero(data))) count += 1
  }
  return count
}
