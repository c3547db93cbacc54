import { KiB } from '@understudy/base/bytes'
import { describe, expect, test } from 'vitest'
import { openAlignedMemory } from './aligned-memory.ts'
import type { DirectDisk } from './direct-disk.ts'
import { heldMemory, holdExtents } from './held-disk.ts'

const BYTES = 2048 * KiB
/** Every grain of 4 KiB says where it is. */
const byteAt = (offset: number): number => Math.floor(offset / 4096) % 251
const content = (offset: number, bytes: number): Buffer =>
  Buffer.from(Uint8Array.from({ length: bytes }, (_, index) => byteAt(offset + index)))

/** `turns` later than asked. */
function fakeDisk(failAt = -1): { readonly disk: DirectDisk; readonly reading: () => number } {
  let reading = 0
  const readAligned = async (offset: number, target: Buffer): Promise<void> => {
    reading += 1
    for (let turns = 0; turns < 1 + ((offset / (256 * KiB)) % 3); turns += 1) await Promise.resolve()
    reading -= 1
    if (offset === failAt) throw new Error('bad sector')
    content(offset, target.length).copy(target)
  }
  const read = async (offset: number, bytes: number): Promise<Buffer> => content(offset, bytes)
  return { disk: { bytes: BYTES, readAligned, read, close: async () => {} }, reading: () => reading }
}

const extents = [
  { offset: 64 * KiB, bytes: 64 * KiB },
  { offset: 512 * KiB, bytes: 900 * KiB },
]

describe('what is held of a disk', () => {
  test('is what was there, wherever it is read', async () => {
    const reader = await holdExtents(fakeDisk().disk, extents, heldMemory(Buffer.alloc(1024 * KiB)))
    for (const [offset, bytes] of [
      [64 * KiB, 64 * KiB],
      [512 * KiB, 256 * KiB],
      [700 * KiB + 512, 300 * KiB],
    ] as const) {
      expect((await reader.read(offset, bytes)).equals(content(offset, bytes))).toBe(true)
      const target = Buffer.alloc(bytes)
      await reader.readInto?.(offset, target)
      expect(target.equals(content(offset, bytes))).toBe(true)
    }
    await expect(reader.read(0, 4096)).rejects.toThrow('only what was held is read')
  })

  test('is given up only when nothing is read any more that could come late', async () => {
    const { disk, reading } = fakeDisk(512 * KiB)
    await expect(holdExtents(disk, extents, heldMemory(Buffer.alloc(1024 * KiB)))).rejects.toThrow(
      'bad sector',
    )
    expect(reading()).toBe(0)
  })
})

describe('memory that begins at a page', () => {
  test('is handed out again when it was given back, and to one at a time', async () => {
    const memory = openAlignedMemory()
    const one = memory.takeHeld(128 * KiB)
    const two = memory.takeHeld(128 * KiB)
    expect(two.buffer).not.toBe(one.buffer)
    memory.giveHeld(one)
    expect(memory.takeHeld(128 * KiB).buffer).toBe(one.buffer)

    const pieces = await Promise.all(Array.from({ length: 16 }, () => memory.takePiece()))
    expect(new Set(pieces.map(({ byteOffset }) => byteOffset)).size).toBe(16)
    const next = memory.takePiece()
    const [first] = pieces
    if (!first) throw new Error('there are pieces')
    memory.givePiece(first)
    expect(await next).toBe(first)
  })
})
