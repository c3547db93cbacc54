import { randomBytes } from 'node:crypto'
import { KiB, MiB, TiB } from '@understudy/base/bytes'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareDisks, disksAreEqual } from './compare.ts'
import type { BlockReader, Extent } from './device.ts'
import { memoryDevice } from './memory-device.ts'

const collect = async (extents: AsyncIterable<Extent>): Promise<Extent[]> => {
  const all: Extent[] = []
  for await (const extent of extents) all.push(extent)
  return all
}
const withoutMap = ({ bytes, read, close }: BlockReader): BlockReader => ({ bytes, read, close })

test('yields exactly the grains that differ, joined, whichever disk has a map', async () => {
  const anyByte = fc.tuple(fc.nat(512 * KiB - 1), fc.constantFrom('a', 'b', 'both'))
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyByte, { maxLength: 30 }),
      fc.constantFrom(4, 16, 256),
      fc.boolean(),
      fc.boolean(),
      async (bytes, requestKiB, mapA, mapB) => {
        const a = memoryDevice(512 * KiB)
        const b = memoryDevice(512 * KiB)
        for (const [offset, where] of bytes) {
          if (where !== 'b') await a.write(offset, Buffer.from([7]))
          if (where !== 'a') await b.write(offset, Buffer.from([7]))
        }
        const [left, right] = [await a.read(0, a.bytes), await b.read(0, b.bytes)]
        const expected: Extent[] = []
        for (let offset = 0; offset < a.bytes; offset += 4096) {
          if (left.compare(right, offset, offset + 4096, offset, offset + 4096) === 0) continue
          const last = expected.at(-1)
          if (last !== undefined && last.offset + last.bytes === offset)
            expected[expected.length - 1] = { offset: last.offset, bytes: last.bytes + 4096 }
          else expected.push({ offset, bytes: 4096 })
        }
        const options = { requestBytes: requestKiB * KiB, inFlight: 3 }
        const found = compareDisks(mapA ? a : withoutMap(a), mapB ? b : withoutMap(b), options)
        expect(await collect(found)).toEqual(expected)
      },
    ),
    { numRuns: 60 },
  )
})

test('skips what both disks know to be zero: two empty tebibytes are compared at once', async () => {
  const [a, b] = [memoryDevice(TiB), memoryDevice(TiB)]
  expect(await disksAreEqual(a, b)).toBe(true)
  await b.write(TiB - 512, Buffer.alloc(1, 1))
  expect(await collect(compareDisks(a, b))).toEqual([{ offset: TiB - 4096, bytes: 4096 }])
})

test('refuses disks of different sizes: they cannot be equal, nor patched', async () => {
  await expect(disksAreEqual(memoryDevice(MiB), memoryDevice(2 * MiB))).rejects.toMatchObject({
    code: 'block/sizes-differ',
  })
})

test('a failing read is thrown, and no read is left behind', async () => {
  const good = memoryDevice(64 * MiB)
  await good.write(0, randomBytes(MiB))
  let underWay = 0
  const bad: BlockReader = {
    ...withoutMap(good),
    read: async (offset, bytes) => {
      underWay += 1
      await new Promise((resolve) => setImmediate(resolve))
      underWay -= 1
      if (offset >= 8 * MiB) throw new Error('bad sector')
      return good.read(offset, bytes)
    },
  }
  await expect(disksAreEqual(withoutMap(good), bad)).rejects.toThrow('bad sector')
  expect(underWay).toBe(0)
})
