import { expect, test } from 'vitest'
import {
  GRAIN_BYTES,
  grainOfWrite,
  grainsOfWrites,
  newestWrite,
  readStamp,
  stampGrain,
  writeGeneratedGrain,
  writesOnDisk,
} from './generated-content.ts'

test('the newest write to a grain is the one that a list of all writes would show', () => {
  for (const usedGrains of [2, 3, 8, 17, 100]) {
    const disk = { seed: 'x', usedGrains }
    const newest = new Map<number, number>()
    for (let writes = 1; writes <= 3 * usedGrains; writes += 1) {
      const grain = grainOfWrite(disk, writes)
      expect(grain).toBeGreaterThan(0)
      expect(grain).toBeLessThan(usedGrains)
      newest.set(grain, writes)
      for (let other = 0; other <= usedGrains; other += 1)
        expect(
          newestWrite(disk, other, writes),
          `${usedGrains} grains, grain ${other}, ${writes} writes`,
        ).toBe(newest.get(other) ?? 0)
    }
  }
})

test('a round of writes goes to every grain but the first, once', () => {
  for (const usedGrains of [2, 9, 64, 4096, 1_000_003]) {
    const disk = { seed: 'x', usedGrains }
    const grains = new Set(
      Array.from({ length: usedGrains - 1 }, (_, index) => grainOfWrite(disk, index + 1)),
    )
    expect(grains.size).toBe(usedGrains - 1)
  }
})

test('the grains between two counts of writes are those that were written, each once', () => {
  const disk = { seed: 'x', usedGrains: 50 }
  for (const [from, to] of [
    [0, 0],
    [0, 7],
    [40, 60],
    [3, 52],
    [0, 70],
    [10, 500],
    [7, 3],
  ] as const) {
    const expected = new Set<number>()
    for (let write = from + 1; write <= to; write += 1) expected.add(grainOfWrite(disk, write))
    expect(grainsOfWrites(disk, from, to)).toEqual([...expected].sort((a, b) => a - b))
  }
  expect(grainsOfWrites({ seed: 'x', usedGrains: 0 }, 0, 100)).toEqual([])
})

test('writes are dealt out to the disks in turn', () => {
  for (let writes = 0; writes < 20; writes += 1) {
    const shares = [0, 1, 2].map((disk) => writesOnDisk(writes, disk, 3))
    expect(shares.reduce((sum, share) => sum + share, 0)).toBe(writes)
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1)
    expect(shares).toEqual([...shares].sort((a, b) => b - a))
  }
})

test('a grain follows from seed, place and version, and from nothing else', () => {
  const grain = (seed: string, index: number, version: number): Buffer => {
    const content = Buffer.alloc(GRAIN_BYTES)
    writeGeneratedGrain(content, 0, { seed, index, version })
    return content
  }
  expect(grain('a', 1, 0)).toEqual(grain('a', 1, 0))
  const others = [grain('b', 1, 0), grain('a', 2, 0), grain('a', 1, 1)]
  for (const other of others) expect(other.equals(grain('a', 1, 0))).toBe(false)
})

test('a stamp is read back, and any other content is none', () => {
  const stamp = {
    identity: 'site/sim-0001/1',
    diskIndex: 0,
    diskCount: 2,
    usedGrains: 256,
    writesPerSecond: 16,
  }
  expect(readStamp(stampGrain(stamp))).toEqual(stamp)
  expect(readStamp(Buffer.alloc(GRAIN_BYTES))).toBeNull()
  expect(readStamp(Buffer.from('SIMULATED GUEST {"identity":1}\n'))).toBeNull()
  expect(readStamp(Buffer.from('SIMULATED GUEST {\n'))).toBeNull()
})
