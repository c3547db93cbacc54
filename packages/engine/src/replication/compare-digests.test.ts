// Comparing by digests: what differs is found, nothing is missed, and nothing else is read of the source.
import { KiB, MiB } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import type { BlockReader, MappedExtent } from '@understudy/block/device'
import { digestsOf } from '@understudy/block/digest'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { expect, test } from 'vitest'
import { findDifferences } from './compare.ts'

const LEAF = 64 * KiB

function readerOf(content: Buffer) {
  let readBytes = 0
  const reader: BlockReader = {
    bytes: content.length,
    async read(offset, bytes) {
      readBytes += bytes
      return Buffer.from(content.subarray(offset, offset + bytes))
    },
    close: async () => {},
  }
  return { reader, readBytes: () => readBytes }
}

async function compare(theirs: Buffer, ours: BlockReader, extents?: readonly MappedExtent[]) {
  const source = readerOf(theirs)
  const beside = readerOf(theirs)
  const asked: number[] = []
  let atOnce = 0
  let mostAtOnce = 0
  const found: MappedExtent[] = []
  let compared = 0
  const differences = findDifferences({
    source: source.reader,
    async digests(range, pieceBytes) {
      asked.push(range.bytes)
      atOnce += 1
      mostAtOnce = Math.max(mostAtOnce, atOnce)
      const digests = await digestsOf(beside.reader, range, pieceBytes)
      atOnce -= 1
      return digests
    },
    copy: ours,
    extents: (async function* () {
      yield* extents ?? [{ offset: 0, bytes: theirs.length, kind: 'data' as const }]
    })(),
    requestBytes: 256 * KiB,
    inFlight: 16,
    onCompared: (bytes) => {
      compared += bytes
    },
  })
  for await (const extent of differences) found.push(extent)
  return { found, asked, mostAtOnce, compared, carried: source.readBytes() }
}

const apply = (ours: Buffer, theirs: Buffer, found: readonly MappedExtent[]): Buffer => {
  const copy = Buffer.concat([ours.subarray(0, theirs.length)], theirs.length)
  for (const { offset, bytes, kind } of found)
    if (kind === 'zero') copy.fill(0, offset, offset + bytes)
    else theirs.copy(copy, offset, offset, offset + bytes)
  return copy
}

test.each([1, 2, 3, 4])(
  'what is found makes the copy equal to the source, and is little (seed %i)',
  async (seed) => {
    const random = seededRandom(seed)
    const theirs = random.bytes(36 * MiB + 512 * random.below(1000))
    const ours = Buffer.from(theirs)
    const changes = 1 + random.below(20)
    for (let change = 0; change < changes; change += 1) {
      const at = random.below(ours.length)
      ours[at] = (ours[at] ?? 0) ^ 1
    }
    const { found, mostAtOnce, compared, carried, asked } = await compare(theirs, readerOf(ours).reader)
    expect(apply(ours, theirs, found).equals(theirs)).toBe(true)
    expect(found.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(changes * LEAF)
    expect(compared).toBe(theirs.length)
    expect(carried, 'bytes read over the line').toBe(0)
    expect(mostAtOnce).toBeLessThanOrEqual(4)
    expect(Math.max(...asked)).toBeLessThanOrEqual(16 * MiB)
  },
)

test('what is equal costs its digests alone; what the copy lacks at its end is all taken', async () => {
  const theirs = seededRandom(9).bytes(3 * MiB)
  const { found, asked } = await compare(theirs, readerOf(theirs.subarray(0, 2 * MiB)).reader)
  expect(found).toEqual([{ offset: 2 * MiB, bytes: MiB, kind: 'data' }])
  expect(asked).toEqual([2 * MiB])
})

test('a leaf of the copy that is damaged differs by definition, whatever its content would be', async () => {
  const theirs = seededRandom(5).bytes(2 * MiB)
  const { reader } = readerOf(theirs)
  const bad = 5 * LEAF
  const damaged: BlockReader = {
    ...reader,
    async read(offset, bytes) {
      if (offset <= bad && bad < offset + bytes)
        throw new Refusal({ code: 'replica/damaged', message: 'a record is damaged', remedy: 'Compare.' })
      return await reader.read(offset, bytes)
    },
  }
  const { found } = await compare(theirs, damaged)
  expect(found).toEqual([{ offset: bad, bytes: LEAF, kind: 'data' }])
})

test('where the source reads as zeros nothing is asked', async () => {
  const theirs = Buffer.alloc(4 * MiB)
  const ours = Buffer.alloc(4 * MiB)
  ours[MiB] = 1
  const { found, asked } = await compare(theirs, readerOf(ours).reader, [
    { offset: 0, bytes: 4 * MiB, kind: 'zero' },
  ])
  expect(found).toEqual([{ offset: MiB, bytes: 4 * KiB, kind: 'zero' }])
  expect(asked).toEqual([])
})
