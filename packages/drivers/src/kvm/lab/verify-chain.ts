// Judges a copy of a lab machine's disks from outside: the records of all disks together must be a chain without a gap.
// `chain-layout.ts` says where they lie and why a correct copy of any instant passes.
import { createHash } from 'node:crypto'
import type { BlockReader } from '@understudy/block/device'
import { type ChainTrack, chainPartitionType, fromChainHeader, sectorBytes } from './chain-layout.ts'
import { fromPartitionTable } from './partition-table.ts'

export type ChainVerdict = {
  readonly ok: boolean
  /** Why it is not ok, else null. */
  readonly reason: string | null
  /** How many records lie on each track (disk), in the order of the tracks. */
  readonly recordsPerTrack: readonly number[]
  /** Number and hash of the newest record; 0 and null when there is none yet. */
  readonly newestRecord: number
  readonly newestHash: string | null
}

type ChainRecord = {
  readonly number: number
  readonly track: number
  readonly previous: string
  readonly body: string
  readonly hash: string
}
type Area = ChainTrack & { readonly records: readonly ChainRecord[]; readonly unreadable: string | null }

const noHash = '0'.repeat(64)
const recordPattern =
  /^(record (\d+) track (\d+) previous ([0-9a-f]{64}) boot \S+ uptime \S+) sha256 ([0-9a-f]{64})\n\0*$/

/** Reads the disks of one machine, in any order. Never throws for what it finds on them. Closes nothing. */
export async function verifyChain(
  disks: readonly BlockReader[],
  signal?: AbortSignal,
): Promise<ChainVerdict> {
  const found = await Promise.all(disks.map((disk) => readAreas(disk, signal)))
  const areas = found.flat().sort((a, b) => a.track - b.track)
  const records = areas.flatMap((area) => area.records).sort((a, b) => a.number - b.number)
  const newest = records.at(-1)
  const reason = findFault(areas, records)
  return {
    ok: reason === null,
    reason,
    recordsPerTrack: areas.map((area) => area.records.length),
    newestRecord: newest?.number ?? 0,
    newestHash: newest?.hash ?? null,
  }
}

function findFault(areas: readonly Area[], records: readonly ChainRecord[]): string | null {
  const [first] = areas
  if (!first) return 'no disk has a chain area'
  const tracks = Array.from({ length: first.tracks }, (_, track) => track)
  if (tracks.join() !== areas.map((area) => area.track).join())
    return `the disks hold the tracks ${areas.map((area) => area.track).join(', ')} of ${first.tracks}`
  const unreadable = areas.find((area) => area.unreadable !== null)
  if (unreadable) return unreadable.unreadable
  return findFaultInRecords(records, first)
}

function findFaultInRecords(records: readonly ChainRecord[], area: ChainTrack): string | null {
  const capacity = area.slots * area.tracks
  const newest = records.at(-1)?.number ?? 0
  const oldestWanted = Math.max(1, newest - capacity + 1)
  for (const [index, record] of records.entries()) {
    const wanted = oldestWanted + index
    if (record.number !== wanted) return `record ${wanted} is missing, though record ${newest} is there`
    if (record.track !== (record.number - 1) % area.tracks)
      return `record ${record.number} lies on the wrong disk`
    if (record.hash !== createHash('sha256').update(record.body).digest('hex'))
      return `the hash of record ${record.number} is wrong`
    const before = index === 0 ? (record.number === 1 ? noHash : record.previous) : records[index - 1]?.hash
    if (record.previous !== before) return `record ${record.number} does not follow the one before`
  }
  return null
}

async function readAreas(disk: BlockReader, signal?: AbortSignal): Promise<Area[]> {
  const partitions = fromPartitionTable(await disk.read(0, sectorBytes, signal))
  const areas: Area[] = []
  for (const partition of partitions.filter(({ type }) => type === chainPartitionType)) {
    const header = fromChainHeader(await disk.read(partition.offset, sectorBytes, signal))
    if (!header) continue
    const content = await disk.read(partition.offset + sectorBytes, header.slots * sectorBytes, signal)
    areas.push({ ...header, ...readRecords(content, header) })
  }
  return areas
}

function readRecords(content: Buffer, area: ChainTrack): Pick<Area, 'records' | 'unreadable'> {
  const records: ChainRecord[] = []
  for (let slot = 0; slot < area.slots; slot += 1) {
    const sector = content.subarray(slot * sectorBytes, (slot + 1) * sectorBytes)
    if (sector.every((byte) => byte === 0)) continue
    const record = toRecord(sector)
    if (!record) return { records, unreadable: `slot ${slot} of track ${area.track} holds no whole record` }
    if (Math.floor((record.number - 1) / area.tracks) % area.slots !== slot)
      return { records, unreadable: `record ${record.number} lies in slot ${slot} of track ${area.track}` }
    records.push(record)
  }
  return { records, unreadable: null }
}

function toRecord(sector: Buffer): ChainRecord | null {
  const [, body, number, track, previous, hash] = recordPattern.exec(sector.toString('latin1')) ?? []
  if (body === undefined || previous === undefined || hash === undefined) return null
  return { number: Number(number), track: Number(track), previous, body, hash }
}
