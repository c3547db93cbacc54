// Azure wants to be told whether a boot disk is one of Windows. Its partitions show it.
//
//   MBR: four entries of 16 bytes from byte 446, type at +4, first sector at +8       GPT: header in sector 1, entries of 128 bytes
//   NTFS: its boot sector has "NTFS    " at byte 3
import type { BlockReader } from '@understudy/block/device'

const SECTOR = 512
const GPT_PROTECTIVE = 0xee
const HEAD_BYTES = 34 * SECTOR
const NTFS = Buffer.from('NTFS    ', 'latin1')
/** "Microsoft reserved", as it lies on the disk: only Windows makes one. */
const MICROSOFT_RESERVED = Buffer.from('16e3c9e35c0bb84d817df92df00215ae', 'hex')

/** What is not Windows counts as Linux: Azure knows no third. */
export async function readOperatingSystem(
  disk: BlockReader,
  signal?: AbortSignal,
): Promise<'Windows' | 'Linux'> {
  if (disk.bytes < HEAD_BYTES) return 'Linux'
  const head = await disk.read(0, HEAD_BYTES, signal)
  for (const { type, sector } of partitions(head)) {
    if (type.equals(MICROSOFT_RESERVED)) return 'Windows'
    const offset = sector * SECTOR
    if (sector === 0 || offset + SECTOR > disk.bytes) continue
    const start = await disk.read(offset, SECTOR, signal)
    if (start.subarray(3, 3 + NTFS.length).equals(NTFS)) return 'Windows'
  }
  return 'Linux'
}

type Partition = { readonly type: Buffer; readonly sector: number }

function partitions(head: Buffer): readonly Partition[] {
  if (head.readUInt16LE(510) !== 0xaa55) return []
  const mbr = [0, 1, 2, 3].map((index) => head.subarray(446 + index * 16, 462 + index * 16))
  if (!mbr.some((entry) => entry[4] === GPT_PROTECTIVE))
    return mbr.map((entry) => ({ type: entry.subarray(4, 5), sector: entry.readUInt32LE(8) }))
  if (head.toString('latin1', SECTOR, SECTOR + 8) !== 'EFI PART') return []
  return Array.from({ length: 128 }, (_, index) => {
    const entry = head.subarray(2 * SECTOR + index * 128, 2 * SECTOR + (index + 1) * 128)
    return { type: entry.subarray(0, 16), sector: Number(entry.readBigUInt64LE(32)) }
  }).filter(({ type }) => !type.every((byte) => byte === 0))
}
