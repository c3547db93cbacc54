// Reads a range of a disk through its map: neighbouring records in one request, every record verified, zeros from nowhere.
import { MiB } from '@understudy/base/bytes'
import { at, type Entry, type ExtentMap, entryAt, firstAfter } from './extent-map.ts'
import { damaged, isMissing } from './failures.ts'
import { decodeRecord } from './record.ts'
import type { RecordCache } from './record-cache.ts'
import type { SegmentFiles } from './segment-files.ts'

const REQUEST_BYTES = MiB

/** Where records come from: the files of a replica, or what a merge has read of them beforehand. */
export type RecordSource = {
  readonly files: Pick<SegmentFiles, 'read'>
  readonly cache: RecordCache
}

export type MappedDisk = { readonly key: string; readonly number: number; readonly map: ExtentMap }

/** Throws Refusal `replica/damaged` with the disk, offset and bytes of the first record that is not what was written. */
export async function readRange(
  source: RecordSource,
  disk: MappedDisk,
  range: { readonly offset: number; readonly bytes: number },
): Promise<Buffer> {
  const out = Buffer.allocUnsafeSlow(range.bytes)
  const entries = entriesIn(disk.map, range)
  fillGaps(out, range, entries)
  const groups = [...groupNeighbours(entries)]
  if (groups.length === 1) await readGroup(source, disk, { group: groups[0] ?? [], out, range })
  else await Promise.all(groups.map((group) => readGroup(source, disk, { group, out, range })))
  return out
}

function entriesIn(
  map: ExtentMap,
  { offset, bytes }: { readonly offset: number; readonly bytes: number },
): Entry[] {
  const entries: Entry[] = []
  for (
    let index = firstAfter(map, offset);
    index < map.count && at(map.offset, index) < offset + bytes;
    index += 1
  )
    if (at(map.segment, index) !== 0) entries.push(entryAt(map, index))
  return entries
}

function fillGaps(
  out: Buffer,
  range: { readonly offset: number; readonly bytes: number },
  entries: readonly Entry[],
): void {
  let cursor = range.offset
  for (const { offset, bytes } of entries) {
    if (offset > cursor) out.fill(0, cursor - range.offset, offset - range.offset)
    cursor = Math.max(cursor, offset + bytes)
  }
  if (cursor < range.offset + range.bytes) out.fill(0, cursor - range.offset)
}

/** Records that lie behind each other in one file, up to the size of a request. */
export function* groupNeighbours(entries: Iterable<Entry>): Generator<Entry[]> {
  let group: Entry[] = []
  for (const entry of entries) {
    const first = group[0]
    const last = group.at(-1)
    const follows =
      first !== undefined &&
      last !== undefined &&
      entry.segment === last.segment &&
      entry.position === last.position + last.stored &&
      entry.position + entry.stored - first.position <= REQUEST_BYTES
    if (!follows) {
      if (group.length > 0) yield group
      group = []
    }
    group.push(entry)
  }
  if (group.length > 0) yield group
}

type GroupRead = {
  readonly group: readonly Entry[]
  readonly out: Buffer
  readonly range: { readonly offset: number; readonly bytes: number }
}

async function readGroup(
  source: RecordSource,
  disk: MappedDisk,
  { group, out, range }: GroupRead,
): Promise<void> {
  const first = group[0]
  const last = group.at(-1)
  if (first === undefined || last === undefined) return
  const cached = group.length === 1 ? source.cache.get(first.segment, first.position) : undefined
  if (cached !== undefined) return copyPiece(cached, first, { out, range })
  const { data, key } = await source.files.read(
    first.segment,
    first.position,
    last.position + last.stored - first.position,
  )
  for (const entry of group) {
    const start = entry.position - first.position
    const record = decodeRecord(data.subarray(start, start + entry.stored), {
      segment: entry.segment,
      position: entry.position,
      key,
    })
    const why = 'damage' in record ? record.damage : mismatch(record, disk.number, entry)
    if (why !== null || 'damage' in record)
      throw damaged({ disk: disk.key, offset: entry.offset, bytes: entry.bytes, why: why ?? '' })
    copyPiece(record, entry, { out, range })
    // A read that takes the whole record will not come back for its rest.
    if (group.length === 1 && record.data.length > range.bytes) {
      const kept = { offset: record.offset, data: Buffer.from(record.data) }
      source.cache.put(entry.segment, entry.position, kept)
    }
  }
}

/** A record that is whole but belongs elsewhere is damage as well: a write went astray, or the index did. */
export function mismatch(
  record: { readonly disk: number; readonly offset: number; readonly data: Buffer },
  disk: number,
  entry: Entry,
): string | null {
  const covers =
    record.disk === disk &&
    record.offset <= entry.offset &&
    record.offset + record.data.length >= entry.offset + entry.bytes
  return covers ? null : 'another record lies in its place'
}

function copyPiece(
  record: { readonly offset: number; readonly data: Buffer },
  entry: Entry,
  {
    out,
    range,
  }: { readonly out: Buffer; readonly range: { readonly offset: number; readonly bytes: number } },
): void {
  const start = Math.max(entry.offset, range.offset)
  const end = Math.min(entry.offset + entry.bytes, range.offset + range.bytes)
  record.data.copy(out, start - range.offset, start - record.offset, end - record.offset)
}

/** A file of the map has gone: another process, the writer, has moved its records. */
export const hasMoved = (error: unknown): boolean => isMissing(error)
