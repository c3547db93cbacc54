// Which blocks of an ext2, ext3 or ext4 file system hold nothing. The layout is that of the kernel's documentation, "Blocks" and
// "Super Block" of Documentation/filesystems/ext4:
//
//     0    1024        first block + 1
//     boot superblock  group descriptors ...   and per group: block bitmap, inode bitmap, inode table, wherever its descriptor says
import type { Extent } from '@understudy/block/device'

/** Exactly so many bytes at that place of the file system. */
export type ReadAt = (offset: number, bytes: number) => Promise<Buffer>

const MAGIC = 0xef53
const HAS_64_BIT = 0x80
const IS_JOURNAL_DEVICE = 0x8
const META_BG = 0x10
const SPARSE_SUPER_2 = 0x200
const BIGALLOC = 0x200
const SPARSE_SUPER = 0x1
const BLOCK_UNINIT = 0x2

type Layout = {
  readonly blockBytes: number
  readonly blocks: number
  readonly firstBlock: number
  readonly blocksPerGroup: number
  readonly inodeTableBlocks: number
  readonly descriptorBytes: number
  readonly reservedDescriptorBlocks: number
  readonly hasSparseBackups: boolean
}

/**
 * Tells of every block that holds something, group by group, so that memory does not grow with the file system. Returns the bytes of the file
 * system. Null: not such a file system, or laid out in a way that is not read here; nothing was told then.
 */
export async function readUsedBlocks(read: ReadAt, use: (extent: Extent) => void): Promise<number | null> {
  const layout = toLayout(await read(1024, 1024))
  if (layout === null) return null
  const { blockBytes, blocks, firstBlock, blocksPerGroup, descriptorBytes } = layout
  const groups = Math.ceil((blocks - firstBlock) / blocksPerGroup)
  const descriptorBlocks = Math.ceil((groups * descriptorBytes) / blockBytes)
  const descriptors = await read((firstBlock + 1) * blockBytes, descriptorBlocks * blockBytes)
  const useBlocks = (from: number, count: number): void =>
    use({ offset: from * blockBytes, bytes: count * blockBytes })
  useBlocks(0, firstBlock)
  for (let group = 0; group < groups; group += 1) {
    const at = group * descriptorBytes
    const place = (low: number, high: number): number =>
      descriptors.readUInt32LE(at + low) +
      (descriptorBytes >= 64 ? descriptors.readUInt32LE(at + high) * 2 ** 32 : 0)
    const bitmapBlock = place(0, 32)
    useBlocks(bitmapBlock, 1)
    useBlocks(place(4, 36), 1)
    useBlocks(place(8, 40), layout.inodeTableBlocks)
    const start = firstBlock + group * blocksPerGroup
    if (hasBackup(layout, group)) useBlocks(start, 1 + descriptorBlocks + layout.reservedDescriptorBlocks)
    // Its bitmap was never written: nothing but the above is in it.
    if ((descriptors.readUInt16LE(at + 18) & BLOCK_UNINIT) !== 0) continue
    const bitmap = await read(bitmapBlock * blockBytes, blockBytes)
    for (const { from, count } of usedRuns(bitmap, Math.min(blocksPerGroup, blocks - start)))
      useBlocks(start + from, count)
  }
  return blocks * blockBytes
}

function* usedRuns(bitmap: Buffer, blocks: number): Generator<{ from: number; count: number }> {
  const isUsed = (block: number): boolean => ((bitmap[block >> 3] ?? 0xff) & (1 << (block & 7))) !== 0
  for (let block = 0; block < blocks; block += 1) {
    if (!isUsed(block)) continue
    const from = block
    while (block + 1 < blocks && isUsed(block + 1)) block += 1
    yield { from, count: block + 1 - from }
  }
}

function toLayout(superBlock: Buffer): Layout | null {
  if (superBlock.readUInt16LE(56) !== MAGIC) return null
  const [compatible, incompatible, readOnly] = [92, 96, 100].map((at) => superBlock.readUInt32LE(at))
  if (compatible === undefined || incompatible === undefined || readOnly === undefined) return null
  const isOther = (incompatible & (META_BG | IS_JOURNAL_DEVICE)) !== 0
  if (isOther || (readOnly & BIGALLOC) !== 0 || (compatible & SPARSE_SUPER_2) !== 0) return null
  const isLarge = (incompatible & HAS_64_BIT) !== 0
  const blockBytes = 1024 * 2 ** superBlock.readUInt32LE(24)
  const inodeBytes = superBlock.readUInt16LE(88)
  return {
    blockBytes,
    blocks: superBlock.readUInt32LE(4) + (isLarge ? superBlock.readUInt32LE(0x150) * 2 ** 32 : 0),
    firstBlock: superBlock.readUInt32LE(20),
    blocksPerGroup: superBlock.readUInt32LE(32),
    inodeTableBlocks: Math.ceil((superBlock.readUInt32LE(40) * inodeBytes) / blockBytes),
    descriptorBytes: isLarge ? superBlock.readUInt16LE(254) : 32,
    reservedDescriptorBlocks: superBlock.readUInt16LE(206),
    hasSparseBackups: (readOnly & SPARSE_SUPER) !== 0,
  }
}

/** Groups 0, 1 and the powers of 3, 5 and 7 have a copy of the superblock and of the descriptors. */
function hasBackup({ hasSparseBackups }: Layout, group: number): boolean {
  if (!hasSparseBackups || group <= 1) return true
  return [3, 5, 7].some((base) => {
    let power = base
    while (power < group) power *= base
    return power === group
  })
}
