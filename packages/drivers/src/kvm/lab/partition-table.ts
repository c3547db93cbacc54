// The classic partition table: sector 0 ends with four entries of 16 bytes at 446 and the signature 55 AA.
//   entry: active(1) first CHS(3) type(1) last CHS(3) first sector(4, little endian) sectors(4)
import { invariant } from '@understudy/base/invariant'

export type Partition = {
  readonly type: number
  readonly offset: number
  readonly bytes: number
  readonly active: boolean
}

const sectorBytes = 512
const tableOffset = 446
const entryBytes = 16
// Large disks have no cylinders: the highest value says "use the sector numbers".
const noCylinders = [0xfe, 0xff, 0xff] as const

/** Sector 0 with `bootCode` (at most 440 bytes) and up to four partitions. */
export function toPartitionTable(
  partitions: readonly Partition[],
  bootCode: Buffer = Buffer.alloc(0),
): Buffer {
  invariant(partitions.length <= 4, 'a partition table has four entries')
  invariant(bootCode.length <= 440, 'the boot code would overwrite the disk signature')
  const sector = Buffer.alloc(sectorBytes)
  bootCode.copy(sector)
  for (const [index, partition] of partitions.entries()) {
    const entry = sector.subarray(tableOffset + index * entryBytes, tableOffset + (index + 1) * entryBytes)
    entry.set([partition.active ? 0x80 : 0, ...noCylinders, partition.type, ...noCylinders])
    entry.writeUInt32LE(partition.offset / sectorBytes, 8)
    entry.writeUInt32LE(partition.bytes / sectorBytes, 12)
  }
  sector.writeUInt16LE(0xaa55, 510)
  return sector
}

/** Empty when the sector holds no table. */
export function fromPartitionTable(sector: Buffer): readonly Partition[] {
  if (sector.length < sectorBytes || sector.readUInt16LE(510) !== 0xaa55) return []
  const entries = [0, 1, 2, 3].map((index) => sector.subarray(tableOffset + index * entryBytes))
  return entries
    .map((entry) => ({
      active: entry.readUInt8(0) === 0x80,
      type: entry.readUInt8(4),
      offset: entry.readUInt32LE(8) * sectorBytes,
      bytes: entry.readUInt32LE(12) * sectorBytes,
    }))
    .filter((partition) => partition.bytes > 0)
}
