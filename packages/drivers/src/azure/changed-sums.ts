// The sums of what a point has written so far, until they go into the disk's second page blob. Pages of 512 bytes; a page of
// which only some sums are new gets the others from the blob.
import type { Extent } from '@understudy/block/device'
import { coalesce, split } from '@understudy/block/extents'
import { zeroRuns } from '@understudy/block/zero-detection'
import { SUM_BYTES, SUMS_PER_PAGE } from './grain-sums.ts'
import { PAGE_BYTES, REQUEST_BYTES } from './limits.ts'
import type { LivePages } from './live-pages.ts'

type SumPage = { readonly sums: Buffer; readonly isNew: boolean[]; newCount: number }

/** Reading a few sums too many is cheaper than another request. */
const READ_GAP_BYTES = 64 * 1024
const PARALLEL = 4

export class ChangedSums {
  #pages = new Map<number, SumPage>()

  get pageCount(): number {
    return this.#pages.size
  }

  /** `checksum` 0: the grain reads as zeros. */
  set(grain: number, checksum: number, sequence: number): void {
    const number = Math.floor(grain / SUMS_PER_PAGE)
    let page = this.#pages.get(number)
    if (page === undefined) {
      page = { sums: Buffer.alloc(PAGE_BYTES), isNew: [], newCount: 0 }
      this.#pages.set(number, page)
    }
    const index = grain % SUMS_PER_PAGE
    page.sums.writeUInt32LE(checksum, index * SUM_BYTES)
    page.sums.writeUInt32LE(checksum === 0 ? 0 : sequence >>> 0, index * SUM_BYTES + 4)
    if (page.isNew[index] !== true) page.newCount += 1
    page.isNew[index] = true
  }

  /** The range of sums is whole pages, and is zeroed in the blob by the caller. */
  drop({ offset, bytes }: Extent): void {
    const [first, end] = [offset / PAGE_BYTES, (offset + bytes) / PAGE_BYTES]
    if (end - first < this.#pages.size) for (let page = first; page < end; page += 1) this.#pages.delete(page)
    else for (const page of this.#pages.keys()) if (page >= first && page < end) this.#pages.delete(page)
  }

  /** Writes all there is now. What is set meanwhile waits for the next time. */
  async flush(blob: LivePages, signal?: AbortSignal): Promise<void> {
    const pages = this.#pages
    this.#pages = new Map()
    await completePages(pages, blob, signal)
    const runs = split(coalesce(extentsOf([...pages.keys()])), REQUEST_BYTES)
    await inParallel(runs, (run) => writeRun(pages, run, blob, signal))
  }
}

const extentsOf = (numbers: readonly number[]): Extent[] =>
  [...numbers].sort((a, b) => a - b).map((number) => ({ offset: number * PAGE_BYTES, bytes: PAGE_BYTES }))

async function completePages(
  pages: ReadonlyMap<number, SumPage>,
  blob: LivePages,
  signal: AbortSignal | undefined,
): Promise<void> {
  const partial = [...pages].filter(([, page]) => page.newCount < SUMS_PER_PAGE).map(([number]) => number)
  const runs = split(coalesce(extentsOf(partial), READ_GAP_BYTES), REQUEST_BYTES)
  await inParallel(runs, async (run) => {
    const found = await blob.read(run, signal)
    for (let at = 0; at < run.bytes; at += PAGE_BYTES) {
      const page = pages.get((run.offset + at) / PAGE_BYTES)
      if (page !== undefined) fillIn(page, found.subarray(at, at + PAGE_BYTES))
    }
  })
}

function fillIn(page: SumPage, found: Buffer): void {
  for (let index = 0; index < SUMS_PER_PAGE; index += 1)
    if (page.isNew[index] !== true)
      found.copy(page.sums, index * SUM_BYTES, index * SUM_BYTES, (index + 1) * SUM_BYTES)
}

async function writeRun(
  pages: ReadonlyMap<number, SumPage>,
  run: Extent,
  blob: LivePages,
  signal: AbortSignal | undefined,
): Promise<void> {
  const data = Buffer.alloc(run.bytes)
  for (let at = 0; at < run.bytes; at += PAGE_BYTES)
    pages.get((run.offset + at) / PAGE_BYTES)?.sums.copy(data, at)
  for (const { offset, bytes, kind } of zeroRuns(data, run.offset, PAGE_BYTES)) {
    const start = offset - run.offset
    if (kind === 'zero') await blob.clear(offset, bytes, signal)
    else await blob.put(offset, data.subarray(start, start + bytes), signal)
  }
}

async function inParallel<Item>(items: Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const waiting = [...items].reverse()
  const worker = async (): Promise<void> => {
    for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) await work(item)
  }
  await Promise.all(Array.from({ length: PARALLEL }, worker))
}
