// Opens the two page blobs of a disk for writing: made new, or taken over from the newest point, in the size that is wanted.
import { createHash } from 'node:crypto'
import { contentName, contentSnapshot, sumsName, sumsSnapshot } from './blob-names.ts'
import type { LiveDisk } from './disk-writer.ts'
import { sumsBytes } from './grain-sums.ts'
import { type AzureLimits, PAGE_BYTES } from './limits.ts'
import { createLivePages, type LivePages, takeOverPages } from './live-pages.ts'
import type { StoredDisk } from './manifests.ts'
import { putBack } from './put-back.ts'
import type { SnapshotRef, StorageCalls } from './storage-calls.ts'
import { vhdBytes, vhdFooter, virtualBytes } from './vhd-footer.ts'

export type LiveDiskDeps = {
  readonly calls: StorageCalls
  readonly folder: string
  readonly limits: AzureLimits
  readonly signal: AbortSignal
  /** Throws when a newer writer has come. */
  checkOwner(): Promise<void>
  pageDiff(): Promise<boolean>
}

type Wanted = { readonly key: string; readonly bytes: number; readonly blob: string }

/** Not yet in any point. The footer is there before anything else: what lies there is a disk at every moment. */
export async function createLiveDisk(deps: LiveDiskDeps, disk: Wanted): Promise<LiveDisk> {
  const { calls, folder } = deps
  const blobOf = (name: string) => ({ name, mark: disk.blob, disk: disk.key })
  const [content, sums] = await Promise.all([
    createLivePages(calls, blobOf(contentName(folder, disk.blob)), vhdBytes(disk.bytes)),
    createLivePages(calls, blobOf(sumsName(folder, disk.blob)), sumsBytes(disk.bytes)),
  ])
  await putFooter(content, disk)
  return { content, sums }
}

export async function takeOverLiveDisk(
  deps: LiveDiskDeps,
  sealed: StoredDisk,
  bytes: number,
): Promise<LiveDisk> {
  const { folder } = deps
  const [content, sums] = await Promise.all([
    takeOver(deps, sealed, { sealed: contentSnapshot(folder, sealed), bytes: vhdBytes(sealed.bytes) }),
    takeOver(deps, sealed, { sealed: sumsSnapshot(folder, sealed), bytes: sumsBytes(sealed.bytes) }),
  ])
  if (bytes !== sealed.bytes) await resizeLiveDisk({ content, sums }, sealed, bytes)
  return { content, sums }
}

async function takeOver(
  deps: LiveDiskDeps,
  { key, blob }: StoredDisk,
  state: { readonly sealed: SnapshotRef; readonly bytes: number },
): Promise<LivePages> {
  const { calls, limits, signal } = deps
  return await takeOverPages(
    calls,
    { name: state.sealed.name, mark: blob, disk: key },
    {
      ...state,
      signal,
      checkOwner: deps.checkOwner,
      async undo(pages, kept) {
        // A blob that changed its size has a history that page lists say nothing sure about.
        const pageDiff = kept && (await deps.pageDiff())
        await putBack(pages, {
          calls,
          sealed: state.sealed,
          disk: key,
          bytes: state.bytes,
          listBytes: limits.listBytes,
          pageDiff,
          signal,
        })
      },
    },
  )
}

/** In place, under the fence. A crash in between leaves a blob that is put back to the newest point. */
async function resizeLiveDisk({ content, sums }: LiveDisk, sealed: StoredDisk, bytes: number): Promise<void> {
  const [before, after] = [virtualBytes(sealed.bytes), virtualBytes(bytes)]
  if (after !== before) {
    // The old footer would become content of a larger disk.
    await content.clear(before, PAGE_BYTES)
    await content.resize(vhdBytes(bytes))
    await sums.resize(sumsBytes(bytes))
  }
  await putFooter(content, { ...sealed, bytes })
}

async function putFooter(
  content: LivePages,
  { blob, bytes }: { blob: string; bytes: number },
): Promise<void> {
  const id = createHash('sha256').update(blob).digest().subarray(0, 16)
  const size = virtualBytes(bytes)
  await content.put(size, vhdFooter(size, id))
}
