// A disk in memory whose content at any moment can be kept for the price of a map: the oracle's disk.

import { invariant } from '@understudy/base/invariant'
import type { BlockDevice, BlockReader, Extent, MappedExtent } from '@understudy/block/device'
import { GRAIN_BYTES, isZero } from '@understudy/block/zero-detection'

/** Content at one moment. Never changes: grains are replaced, not written into. What is in no grain is the base's, or zero. */
export type DiskImage = {
  readonly bytes: number
  readonly grains: ReadonlyMap<number, Buffer>
  readonly base: BlockReader | null
  /** From here on the base does not count: the disk was smaller once. */
  readonly baseBytes: number
}

export type MemoryDisk = BlockDevice & {
  image(): DiskImage
  /** A larger disk gets zeros at its end, a smaller one loses its tail. */
  resize(bytes: number): void
  /** Whole grains, at once: for synthetic guests, which must not be interrupted inside a write. */
  writeGrain(grain: number, content: Buffer): void
  /** Copies one grain from the base unless the guest has written it meanwhile. */
  fillGrain(grain: number, signal?: AbortSignal): Promise<void>
  /** The base is not needed any more: every grain was filled. */
  dropBase(): void
  /** Another reader of the same content, after our own restart. */
  replaceBase(base: BlockReader): void
  readonly base: BlockReader | null
  /** Called with every range that is written, zeroed or added. */
  onWrite(listener: (range: Extent) => void): void
}

const zeroGrain = Buffer.alloc(GRAIN_BYTES)

/** `base`: what reads return until it is overwritten; it is never written to and never closed here. */
export function memoryDisk(diskBytes: number, base: BlockReader | null = null): MemoryDisk {
  invariant(diskBytes > 0 && diskBytes % 512 === 0, 'disks are made of sectors')
  const baseBytes = Math.min(base?.bytes ?? 0, diskBytes)
  return diskOver({ bytes: diskBytes, grains: new Map(), base, baseBytes })
}

/** A disk of its own that starts as the image, cut or grown to `diskBytes`. */
export function memoryDiskFrom(image: DiskImage, diskBytes: number): MemoryDisk {
  const disk = diskOver(image)
  if (diskBytes !== image.bytes) disk.resize(diskBytes)
  return disk
}

function diskOver(start: DiskImage): MemoryDisk {
  let image = { ...start, grains: new Map(start.grains) }
  const listeners: ((range: Extent) => void)[] = []
  const tell = (offset: number, bytes: number): void => {
    for (const listener of listeners) listener({ offset, bytes })
  }
  /** Keeps a copy, or nothing where nothing says zero already. */
  const put = (grain: number, content: Buffer): void => {
    const overBase = image.base !== null && grain * GRAIN_BYTES < image.baseBytes
    if (!isZero(content)) image.grains.set(grain, Buffer.from(content))
    else if (overBase) image.grains.set(grain, zeroGrain)
    else image.grains.delete(grain)
  }
  const current = async (grain: number, signal?: AbortSignal): Promise<Buffer> => {
    const fromBase = image.grains.has(grain) ? null : await readBaseGrain(image, grain, signal)
    // Looked up after the read: the grain may have been written meanwhile.
    return image.grains.get(grain) ?? fromBase ?? zeroGrain
  }
  const checkRange = (offset: number, bytes: number): void =>
    invariant(offset >= 0 && bytes >= 0 && offset + bytes <= image.bytes, 'the range lies inside the disk')

  const write = async (offset: number, data: Buffer, signal?: AbortSignal): Promise<void> => {
    checkRange(offset, data.length)
    signal?.throwIfAborted()
    const end = offset + data.length
    for (let grain = Math.floor(offset / GRAIN_BYTES); grain * GRAIN_BYTES < end; grain += 1) {
      const start = grain * GRAIN_BYTES
      const from = Math.max(offset, start)
      const to = Math.min(end, start + GRAIN_BYTES)
      const whole = to - from === GRAIN_BYTES
      const content = whole ? Buffer.alloc(GRAIN_BYTES) : Buffer.from(await current(grain, signal))
      data.copy(content, from - start, from - offset, to - offset)
      put(grain, content)
    }
    tell(offset, data.length)
  }

  return {
    get bytes() {
      return image.bytes
    },
    get base() {
      return image.base
    },
    read: (offset, bytes, signal) => readImage(image, offset, bytes, signal),
    map: (range) => mapImage(image, range),
    write,
    zero: (offset, bytes, signal) => write(offset, Buffer.alloc(bytes), signal),
    flush: async () => {},
    close: async () => {},
    image: () => ({ ...image, grains: new Map(image.grains) }),
    resize(bytes) {
      invariant(bytes > 0 && bytes % 512 === 0, 'disks are made of sectors')
      const before = image.bytes
      for (const [grain, content] of image.grains) {
        const kept = bytes - grain * GRAIN_BYTES
        if (kept <= 0) image.grains.delete(grain)
        else if (kept < GRAIN_BYTES)
          image.grains.set(grain, Buffer.concat([content.subarray(0, kept)], GRAIN_BYTES))
      }
      image = { ...image, bytes, baseBytes: Math.min(image.baseBytes, bytes) }
      if (bytes > before) tell(before, bytes - before)
    },
    writeGrain(grain, content) {
      checkRange(grain * GRAIN_BYTES, GRAIN_BYTES)
      invariant(content.length === GRAIN_BYTES, 'a grain is written whole')
      put(grain, content)
      tell(grain * GRAIN_BYTES, GRAIN_BYTES)
    },
    async fillGrain(grain, signal) {
      const content = await current(grain, signal)
      if (!image.grains.has(grain)) put(grain, content)
    },
    dropBase() {
      image = { ...image, base: null, baseBytes: 0 }
    },
    replaceBase(next) {
      if (image.base !== null) image = { ...image, base: next }
    },
    onWrite(listener) {
      listeners.push(listener)
    },
  }
}

/** Reads an image for as long as anyone likes. Closing it changes nothing. */
export function imageReader(image: DiskImage): BlockReader {
  return {
    bytes: image.bytes,
    read: (offset, bytes, signal) => readImage(image, offset, bytes, signal),
    map: (range) => mapImage(image, range),
    close: async () => {},
  }
}

async function readImage(
  image: DiskImage,
  offset: number,
  bytes: number,
  signal?: AbortSignal,
): Promise<Buffer> {
  signal?.throwIfAborted()
  invariant(offset >= 0 && bytes >= 0 && offset + bytes <= image.bytes, 'the range lies inside the disk')
  const result = Buffer.alloc(bytes)
  const end = offset + bytes
  for (let grain = Math.floor(offset / GRAIN_BYTES); grain * GRAIN_BYTES < end; grain += 1) {
    const content = image.grains.get(grain) ?? (await readBaseGrain(image, grain, signal))
    if (content === null) continue
    const start = grain * GRAIN_BYTES
    const from = Math.max(offset, start)
    content.copy(result, from - offset, from - start, Math.min(end, start + GRAIN_BYTES) - start)
  }
  return result
}

/** Null where there is no base to read. */
async function readBaseGrain(image: DiskImage, grain: number, signal?: AbortSignal): Promise<Buffer | null> {
  const start = grain * GRAIN_BYTES
  const bytes = Math.min(GRAIN_BYTES, image.baseBytes - start)
  if (image.base === null || bytes <= 0) return null
  const content = await image.base.read(start, bytes, signal)
  return bytes === GRAIN_BYTES ? content : Buffer.concat([content], GRAIN_BYTES)
}

async function* mapImage(image: DiskImage, range: Extent): AsyncGenerator<MappedExtent> {
  const end = range.offset + range.bytes
  let open = null as MappedExtent | null
  for (let offset = range.offset; offset < end; ) {
    const grain = Math.floor(offset / GRAIN_BYTES)
    const next = Math.min(end, (grain + 1) * GRAIN_BYTES)
    const kind = kindOf(image, grain)
    if (open?.kind === kind) open = { ...open, bytes: open.bytes + next - offset }
    else {
      if (open) yield open
      open = { offset, bytes: next - offset, kind }
    }
    offset = next
  }
  if (open) yield open
}

function kindOf(image: DiskImage, grain: number): 'data' | 'zero' {
  const content = image.grains.get(grain)
  if (content) return content === zeroGrain ? 'zero' : 'data'
  return image.base !== null && grain * GRAIN_BYTES < image.baseBytes ? 'data' : 'zero'
}

/** Whole-disk equality, the oracle. Returns the first differing offset, or null. Sizes must be equal too. */
export async function firstDifference(a: BlockReader, b: BlockReader): Promise<number | null> {
  if (a.bytes !== b.bytes) return Math.min(a.bytes, b.bytes)
  for (let offset = 0; offset < a.bytes; offset += CHUNK_BYTES) {
    const bytes = Math.min(CHUNK_BYTES, a.bytes - offset)
    const [left, right] = await Promise.all([a.read(offset, bytes), b.read(offset, bytes)])
    if (!left.equals(right))
      for (let index = 0; index < bytes; index += 1) if (left[index] !== right[index]) return offset + index
  }
  return null
}

/** The whole disk in one buffer: for small disks in tests. */
export const readAll = (reader: BlockReader): Promise<Buffer> => reader.read(0, reader.bytes)

const CHUNK_BYTES = 256 * GRAIN_BYTES
