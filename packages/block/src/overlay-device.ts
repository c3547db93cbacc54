// A writable disk over one that must not change: a recovery point that somebody boots and writes to. The base is only read;
// what is written goes to two files of our own.
//
//   <path>       raw and sparse; a grain lies at its offset of the disk
//   <path>.map   which grains count, an append-only log
//     header 64 B   "USOVLMAP" | u32 version | u32 grain | u64 disk bytes | 32 B SHA-256 of the base's name | u32 0 | u32 CRC-32
//     record 24 B   u64 first grain | u64 grains | u32 1 data, 2 zero | u32 CRC-32 of the record's position and fields
//
// Order: data, fdatasync, records, fdatasync. So a record never names data that is not there, and a crash loses only writes
// that were not flushed, as a disk may. A torn record ends the log. Grains once recorded are overwritten in place.
import { createHash } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { roundDown, roundUp } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import type { BlockDevice, BlockReader, Extent, ExtentKind, MappedExtent } from './device.ts'
import { sorted } from './extents.ts'
import { createFileDevice, fileFailed, openFileDevice } from './file-device.ts'
import { type GrainMap, type GrainState, grainMap } from './grain-map.ts'
import { rangeLock } from './range-lock.ts'
import { GRAIN_BYTES } from './zero-detection.ts'

export type OverlayOptions = {
  readonly base: BlockReader
  /**
   * What the base is, such as a recovery point's id. Kept in the overlay and compared when it is opened again: changes over
   * another base would be a torn disk.
   */
  readonly baseName: string
  readonly path: string
}

export interface OverlayDevice extends BlockDevice {
  /** How much of the disk has been written or zeroed here since the overlay was made. */
  readonly changedBytes: number
}

const MAGIC = Buffer.from('USOVLMAP', 'latin1')
const VERSION = 1
const HEADER_BYTES = 64
const RECORD_BYTES = 24
const UNRECORDED_BEFORE_JOINING = 65_536
const stateNumber = { data: 1, zero: 2 } as const

/** Creates the overlay, or goes on with the one that is there. Closing does not close the base. */
export async function openOverlayDevice(options: OverlayOptions): Promise<OverlayDevice> {
  const { base, path } = options
  const log = await openMapLog(options)
  const data = await openFileDevice(path).catch(async (error: unknown) => {
    await log.close()
    throw error
  })
  const grains = log.grains
  const locks = rangeLock()
  /** Grains that have changed their state since the last flush: their records are still to be written. */
  let unrecorded: Extent[] = []
  let flushing: Promise<void> = Promise.resolve()

  const wholeGrains = (offset: number, bytes: number): Extent => {
    const start = roundDown(offset, GRAIN_BYTES)
    return { offset: start, bytes: Math.min(roundUp(offset + bytes, GRAIN_BYTES), base.bytes) - start }
  }
  const check = (offset: number, bytes: number): void =>
    invariant(offset >= 0 && bytes >= 0 && offset + bytes <= base.bytes, 'the range lies inside the disk')
  const mark = (range: Extent, state: 'data' | 'zero'): void => {
    if (!grains.set(range, state)) return
    unrecorded.push(range)
    // A guest that never flushes must not cost more memory than its disk has grains.
    if (unrecorded.length % UNRECORDED_BEFORE_JOINING === 0) unrecorded = sorted(unrecorded)
  }

  const readInto = async (offset: number, target: Buffer, signal?: AbortSignal): Promise<void> => {
    check(offset, target.length)
    for (const piece of grains.runs({ offset, bytes: target.length })) {
      const part = target.subarray(piece.offset - offset, piece.offset - offset + piece.bytes)
      if (piece.state === 'zero') part.fill(0)
      else await readPart(piece.state === 'data' ? data : base, piece.offset, part, signal)
    }
  }
  const read = async (offset: number, bytes: number, signal?: AbortSignal): Promise<Buffer> => {
    const target = Buffer.allocUnsafeSlow(bytes)
    await readInto(offset, target, signal)
    return target
  }

  /** Gives a grain that is only partly overwritten the rest of its content. */
  const fill = async (grain: Extent, state: GrainState, signal: AbortSignal | undefined): Promise<void> => {
    if (state === 'data') return
    const rest =
      state === 'zero' ? Buffer.alloc(grain.bytes) : await base.read(grain.offset, grain.bytes, signal)
    await data.write(grain.offset, rest)
  }
  const fillEdges = async (offset: number, bytes: number, signal: AbortSignal | undefined): Promise<void> => {
    const first = wholeGrains(offset, 1)
    const last = wholeGrains(offset + bytes - 1, 1)
    const firstIsPartial = offset > first.offset || offset + bytes < first.offset + first.bytes
    if (firstIsPartial) await fill(first, grains.get(first.offset), signal)
    if (last.offset === first.offset) return
    if (offset + bytes < last.offset + last.bytes) await fill(last, grains.get(last.offset), signal)
  }

  const write = async (offset: number, bytes: Buffer, signal?: AbortSignal): Promise<void> => {
    check(offset, bytes.length)
    if (bytes.length === 0) return
    const range = wholeGrains(offset, bytes.length)
    await locks.hold(range, async () => {
      signal?.throwIfAborted()
      await fillEdges(offset, bytes.length, signal)
      await data.write(offset, bytes)
      mark(range, 'data')
    })
  }

  const zero = async (offset: number, bytes: number, signal?: AbortSignal): Promise<void> => {
    check(offset, bytes)
    if (bytes === 0) return
    const start = roundUp(offset, GRAIN_BYTES)
    const end = offset + bytes === base.bytes ? base.bytes : roundDown(offset + bytes, GRAIN_BYTES)
    if (start >= end) return write(offset, Buffer.alloc(bytes), signal)
    if (start > offset) await write(offset, Buffer.alloc(start - offset), signal)
    const inside = { offset: start, bytes: end - start }
    await locks.hold(inside, async () => mark(inside, 'zero'))
    if (offset + bytes > end) await write(end, Buffer.alloc(offset + bytes - end), signal)
  }

  const flushOnce = async (): Promise<void> => {
    const changed = unrecorded
    unrecorded = []
    // The states of now, whose data is all written. One that changes while we flush is for the next flush: its record
    // could otherwise become durable before its data.
    const records = changed.flatMap((range) => grains.runs(range))
    try {
      await data.flush()
      await log.append(records)
    } catch (error) {
      unrecorded.push(...changed)
      throw error
    }
  }

  async function* map(range: Extent, signal?: AbortSignal): AsyncGenerator<MappedExtent> {
    check(range.offset, range.bytes)
    for (const { state, ...piece } of grains.runs(range)) {
      if (state !== 'base') yield { ...piece, kind: state satisfies ExtentKind }
      else if (base.map !== undefined) yield* base.map(piece, signal)
      else yield { ...piece, kind: 'data' }
    }
  }

  return {
    bytes: base.bytes,
    get changedBytes() {
      return grains.changedBytes
    },
    read,
    readInto,
    map,
    write,
    zero,
    flush: () => {
      // One at a time, each with all that was written before it was asked for.
      const next = flushing.then(flushOnce, flushOnce)
      flushing = next
      return next
    },
    close: async () => {
      await flushing.catch(() => undefined)
      await data.close()
      await log.close()
    },
  }
}

async function readPart(
  from: BlockReader,
  offset: number,
  target: Buffer,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (from.readInto !== undefined) await from.readInto(offset, target, signal)
  else (await from.read(offset, target.length, signal)).copy(target)
}

type Run = Extent & { readonly state: GrainState }
type MapLog = {
  readonly grains: GrainMap
  /** Durable when it resolves. */
  append(runs: readonly Run[]): Promise<void>
  close(): Promise<void>
}

async function openMapLog(options: OverlayOptions): Promise<MapLog> {
  const path = `${options.path}.map`
  const handle = await openOrCreate(options, path)
  try {
    const grains = grainMap(options.base.bytes, GRAIN_BYTES)
    let end = await replay(options, path, handle, grains)
    return {
      grains,
      append: async (runs) => {
        const records = runs.filter((run) => run.state !== 'base')
        if (records.length === 0) return
        const bytes = Buffer.concat(records.map((run, index) => toRecord(run, end + index * RECORD_BYTES)))
        try {
          await handle.write(bytes, 0, bytes.length, end)
          await handle.datasync()
        } catch (error) {
          throw fileFailed(path, 'write', error)
        }
        end += bytes.length
      },
      close: () => handle.close(),
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** The log appears with its header and after the data file, so an overlay whose log is there is complete. */
async function openOrCreate(options: OverlayOptions, path: string): Promise<FileHandle> {
  const existing = await open(path, 'r+').catch(() => null)
  if (existing !== null && (await existing.stat()).size >= HEADER_BYTES) return existing
  await existing?.close()
  // Without a log nothing in the data file was ever promised.
  await rm(options.path, { force: true })
  const data = await createFileDevice(options.path, options.base.bytes)
  await data.close()
  try {
    const handle = await open(path, 'w+')
    await handle.write(toHeader(options), 0, HEADER_BYTES, 0)
    await handle.sync()
    await syncFolder(path)
    return handle
  } catch (error) {
    throw fileFailed(path, 'write', error)
  }
}

/** A new file is durable only when its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Reads the log into `grains` and returns where it ends. What follows the first bad record was never promised. */
async function replay(
  options: OverlayOptions,
  path: string,
  handle: FileHandle,
  grains: GrainMap,
): Promise<number> {
  const { size } = await handle.stat()
  const content = Buffer.alloc(size)
  await handle.read(content, 0, size, 0)
  if (!content.subarray(0, HEADER_BYTES).equals(toHeader(options))) throw otherBase(path, options.baseName)
  let at = HEADER_BYTES
  for (; at + RECORD_BYTES <= size; at += RECORD_BYTES) {
    const run = fromRecord(content.subarray(at, at + RECORD_BYTES), at, options.base.bytes)
    if (run === null) break
    grains.set(run, run.state === 'zero' ? 'zero' : 'data')
  }
  await handle.truncate(at)
  return at
}

function toHeader({ base, baseName }: OverlayOptions): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(bytes)
  bytes.writeUInt32LE(VERSION, 8)
  bytes.writeUInt32LE(GRAIN_BYTES, 12)
  bytes.writeBigUInt64LE(BigInt(base.bytes), 16)
  createHash('sha256').update(baseName).digest().copy(bytes, 24)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, HEADER_BYTES - 4)), HEADER_BYTES - 4)
  return bytes
}

function toRecord(run: Run, at: number): Buffer {
  const bytes = Buffer.alloc(RECORD_BYTES)
  bytes.writeBigUInt64LE(BigInt(run.offset / GRAIN_BYTES), 0)
  bytes.writeBigUInt64LE(BigInt(Math.ceil(run.bytes / GRAIN_BYTES)), 8)
  bytes.writeUInt32LE(run.state === 'zero' ? stateNumber.zero : stateNumber.data, 16)
  bytes.writeUInt32LE(checksum(bytes, at), 20)
  return bytes
}

function fromRecord(bytes: Buffer, at: number, diskBytes: number): Run | null {
  if (bytes.readUInt32LE(20) !== checksum(bytes, at)) return null
  const offset = Number(bytes.readBigUInt64LE(0)) * GRAIN_BYTES
  const length = Math.min(Number(bytes.readBigUInt64LE(8)) * GRAIN_BYTES, diskBytes - offset)
  const state = bytes.readUInt32LE(16) === stateNumber.zero ? 'zero' : 'data'
  return { offset, bytes: length, state }
}

/** With its position, so that neither zeros nor a record of another place can pass for one. */
const checksum = (record: Buffer, at: number): number => crc32(record.subarray(0, 20), at)

const otherBase = (path: string, baseName: string): Refusal =>
  new Refusal({
    code: 'block/other-base',
    message: `${path} does not hold changes over "${baseName}"`,
    remedy: 'Open it over the disk it was made for, or remove it to start over.',
  })
