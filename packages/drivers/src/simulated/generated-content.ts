// Disk content that is calculated instead of kept: what a grain holds follows from its seed, place and version, and its
// version follows from how much the guest has written. A thousand machines cost no more memory than their names.
import { KiB, MiB } from '@understudy/base/bytes'

export const GRAIN_BYTES = 4 * KiB

/** One disk's share of a guest that writes grain after grain, over all that is in use but the first grain. */
export type ChurnedDisk = {
  readonly seed: string
  /** Grains in use, the first one included, which holds the stamp and is never overwritten. 0: nothing is generated. */
  readonly usedGrains: number
}

/** FNV-1a. Spread well enough to pick content by. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) {
    hash ^= text.charCodeAt(index)
    hash = Math.imul(hash, 0x01000193) >>> 0
  }
  return hash
}

const POOL_BYTES = MiB
const HEADER_BYTES = 128

/** Half of every 64 bytes repeats, so that it compresses as documents and databases do. */
const pool = makePool()

function makePool(): Buffer {
  const bytes = Buffer.alloc(POOL_BYTES + GRAIN_BYTES)
  let state = 0x9e3779b9
  for (let offset = 0; offset + 4 <= bytes.length; offset += 4) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes.writeInt32LE(offset % 64 < 32 ? state : 0x20202020, offset)
  }
  return bytes
}

/** Writes one grain of generated content to `target`. Version 0 is what was installed. */
export function writeGeneratedGrain(
  target: Buffer,
  at: number,
  grain: { readonly seed: string; readonly index: number; readonly version: number },
): void {
  const label = `simulated ${grain.seed} grain ${grain.index} version ${grain.version}\n`
  const offset = hashText(label) % POOL_BYTES
  pool.copy(target, at, offset, offset + GRAIN_BYTES)
  target.fill(0x20, at, at + HEADER_BYTES)
  target.write(label, at, HEADER_BYTES, 'latin1')
}

/** Of `writes` that a guest made over `diskCount` disks in turn, those on one of them. */
export const writesOnDisk = (writes: number, diskIndex: number, diskCount: number): number =>
  Math.floor((writes + diskCount - 1 - diskIndex) / diskCount)

/** Writes go through all churned grains in a scattered order, then again from the first. */
const churnedGrains = (disk: ChurnedDisk): number => Math.max(0, disk.usedGrains - 1)

/** The grain that the disk's n-th write (from 1) went to. */
export function grainOfWrite(disk: ChurnedDisk, write: number): number {
  const count = churnedGrains(disk)
  return 1 + ((((write - 1) % count) * strideOf(count)) % count)
}

/** The number of the newest write to a grain among the first `writes` of its disk; 0 when there was none. */
export function newestWrite(disk: ChurnedDisk, grain: number, writes: number): number {
  const count = churnedGrains(disk)
  if (grain < 1 || grain > count) return 0
  const first = 1 + (((grain - 1) * inverse(strideOf(count), count)) % count)
  return writes < first ? 0 : first + count * Math.floor((writes - first) / count)
}

/** The grains of the writes after `from` up to `to`, ascending, each once. */
export function grainsOfWrites(disk: ChurnedDisk, from: number, to: number): number[] {
  const count = churnedGrains(disk)
  if (count === 0 || to <= from) return []
  if (to - from >= count) return Array.from({ length: count }, (_, index) => index + 1)
  const grains: number[] = []
  for (let write = from + 1; write <= to; write += 1) grains.push(grainOfWrite(disk, write))
  return grains.sort((a, b) => a - b)
}

/** About 0.618 of the count and without a common divisor, so that the steps visit every grain once. */
function strideOf(count: number): number {
  let stride = Math.max(1, Math.round(count * 0.618))
  while (greatestCommonDivisor(stride, count) !== 1) stride += 1
  return stride
}

const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? a : greatestCommonDivisor(b, a % b)

const inverses = new Map<number, number>()

/** The number that undoes a multiplication by `value` modulo `modulus`; kept, since disks come in few sizes. */
function inverse(value: number, modulus: number): number {
  const known = inverses.get(modulus)
  if (known !== undefined) return known
  let [oldRest, rest] = [value % modulus, modulus]
  let [oldFactor, factor] = [1, 0]
  while (rest !== 0) {
    const quotient = Math.floor(oldRest / rest)
    ;[oldRest, rest] = [rest, oldRest - quotient * rest]
    ;[oldFactor, factor] = [factor, oldFactor - quotient * factor]
  }
  const found = ((oldFactor % modulus) + modulus) % modulus
  if (inverses.size > 1_000) inverses.clear()
  inverses.set(modulus, found)
  return found
}

/** What the first grain of a generated disk says about the guest, so that a copy knows how to go on. */
export type Stamp = {
  readonly identity: string
  readonly diskIndex: number
  readonly diskCount: number
  readonly usedGrains: number
  readonly writesPerSecond: number
}

const STAMP_MARK = 'SIMULATED GUEST '

export function stampGrain(stamp: Stamp): Buffer {
  const grain = Buffer.alloc(GRAIN_BYTES, 0x20)
  grain.write(`${STAMP_MARK}${JSON.stringify(stamp)}\n`, 'latin1')
  return grain
}

/** Null when there is no simulated guest on the disk. */
export function readStamp(grain: Buffer): Stamp | null {
  const end = grain.indexOf('\n')
  if (end < 0 || grain.toString('latin1', 0, STAMP_MARK.length) !== STAMP_MARK) return null
  try {
    const found: Partial<Stamp> = JSON.parse(grain.toString('latin1', STAMP_MARK.length, end))
    const { identity, diskIndex, diskCount, usedGrains, writesPerSecond } = found
    const numbers = [diskIndex, diskCount, usedGrains, writesPerSecond]
    if (typeof identity !== 'string' || !numbers.every((number) => Number.isFinite(number))) return null
    return found as Stamp
  } catch {
    return null
  }
}
