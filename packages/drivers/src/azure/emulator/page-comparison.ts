// What Azure knows about the pages of a blob and Azurite does not, found out by reading them. For disks of tests.
import { BlobServiceClient, type PageBlobClient, StorageSharedKeyCredential } from '@azure/storage-blob'
import { MiB } from '@understudy/base/bytes'
import type { Extent } from '@understudy/block/device'
import { coalesce, union } from '@understudy/block/extents'
import { EMULATOR_ACCOUNT, EMULATOR_KEY } from './start-azurite.ts'

/** The path is `/account/container/blob`, not decoded. */
export type UpstreamBlob = { readonly port: number; readonly path: string }

export type ChangedRange = Extent & { readonly isCleared: boolean }

const PAGE = 512
const WINDOW_BYTES = MiB

function clientOf({ port, path }: UpstreamBlob): PageBlobClient {
  const credential = new StorageSharedKeyCredential(EMULATOR_ACCOUNT, EMULATOR_KEY)
  const service = new BlobServiceClient(`http://127.0.0.1:${port}/${EMULATOR_ACCOUNT}`, credential)
  const [, , container = '', ...blob] = path.split('/')
  return service.getContainerClient(container).getPageBlobClient(decodeURIComponent(blob.join('/')))
}

/** By content: a page that was written with what it held is left out, which Azure would list. */
export async function changedSince(
  blob: UpstreamBlob,
  snapshot: string | null,
  earlier: string,
): Promise<{ readonly ranges: readonly ChangedRange[]; readonly etag: string; readonly bytes: number }> {
  const base = clientOf(blob)
  const now = snapshot === null ? base : base.withSnapshot(snapshot)
  const before = base.withSnapshot(earlier)
  const [facts, old] = await Promise.all([now.getProperties(), before.getProperties()])
  const bytes = facts.contentLength ?? 0
  const [written, writtenBefore] = await Promise.all([
    pagesOf(now, bytes),
    pagesOf(before, old.contentLength ?? 0),
  ])
  const ranges: ChangedRange[] = []
  for (const { offset, bytes: length } of windowsOf(union(written, writtenBefore), bytes)) {
    const [a, b] = await Promise.all([
      now.downloadToBuffer(offset, length),
      readUpTo(before, { offset, bytes: length }, old.contentLength ?? 0),
    ])
    for (let at = 0; at < length; at += PAGE) {
      const page = offset + at
      const [is, was] = [covers(written, page), covers(writtenBefore, page)]
      if (is && (!was || a.compare(b, at, at + PAGE, at, at + PAGE) !== 0))
        ranges.push({ offset: page, bytes: PAGE, isCleared: false })
      else if (!is && was) ranges.push({ offset: page, bytes: PAGE, isCleared: true })
    }
  }
  const only = (isCleared: boolean): ChangedRange[] =>
    coalesce(ranges.filter((range) => range.isCleared === isCleared)).map((range) => ({
      ...range,
      isCleared,
    }))
  return { ranges: [...only(false), ...only(true)], etag: facts.etag ?? '', bytes }
}

/** Writes the copy anew, so that its pages are its own. */
export async function isolateCopy(blob: UpstreamBlob): Promise<void> {
  const copy = clientOf(blob)
  const facts = await copy.getProperties()
  if (facts.blobType !== 'PageBlob') return
  const bytes = facts.contentLength ?? 0
  const parts: { readonly offset: number; readonly data: Buffer }[] = []
  for (const { offset, bytes: length } of windowsOf(await pagesOf(copy, bytes), bytes))
    parts.push({ offset, data: await copy.downloadToBuffer(offset, length) })
  await copy.create(bytes, facts.metadata === undefined ? {} : { metadata: facts.metadata })
  for (const { offset, data } of parts) await copy.uploadPages(data, offset, data.length)
}

async function readUpTo(blob: PageBlobClient, { offset, bytes }: Extent, end: number): Promise<Buffer> {
  const data = Buffer.alloc(bytes)
  const length = Math.min(bytes, end - offset)
  if (length > 0) (await blob.downloadToBuffer(offset, length)).copy(data)
  return data
}

async function pagesOf(blob: PageBlobClient, bytes: number): Promise<Extent[]> {
  const found: Extent[] = []
  if (bytes > 0)
    for await (const { start, end } of blob.listPageRanges(0, bytes))
      found.push({ offset: start, bytes: end - start + 1 })
  return coalesce(found)
}

function windowsOf(extents: readonly Extent[], size: number): Extent[] {
  const numbers = new Set<number>()
  for (const { offset, bytes } of extents)
    for (let window = Math.floor(offset / WINDOW_BYTES); window * WINDOW_BYTES < offset + bytes; window += 1)
      numbers.add(window)
  return [...numbers]
    .sort((a, b) => a - b)
    .map((window) => window * WINDOW_BYTES)
    .filter((offset) => offset < size)
    .map((offset) => ({ offset, bytes: Math.min(WINDOW_BYTES, size - offset) }))
}

const covers = (extents: readonly Extent[], at: number): boolean =>
  extents.some(({ offset, bytes }) => at >= offset && at < offset + bytes)
