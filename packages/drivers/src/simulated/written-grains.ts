// What was written to a simulated disk and cannot be calculated: copies of other disks, restores. A file that only grows
// while the site is open, so that a point that is being read keeps its content; compacted when it is opened.
//
//   record:  "SIMG" | kind u32 (1 data, 2 zero) | grain f64 | afterWrites f64 | mutation f64 | 4096 bytes when data
//   a record that is cut off at the end was never acknowledged: it is dropped
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { MiB } from '@understudy/base/bytes'
import { GRAIN_BYTES } from './generated-content.ts'

export type WrittenGrain = {
  /** Where its data lies in the file; null reads as zeros. */
  readonly fileOffset: number | null
  /** The guest had made so many writes on this disk: later ones cover it. */
  readonly afterWrites: number
  /** Counts up over the machine's life; 0 for what was filled in from below, which changes nothing. */
  readonly mutation: number
}

export type GrainIndex = ReadonlyMap<number, WrittenGrain>

export type WrittenGrains = {
  /** Stays as it is, whatever is written later. */
  index(): GrainIndex
  /** Whole grains, in one go. `null` is zeros. */
  append(grains: readonly NewGrain[]): Promise<void>
  read(fileOffset: number): Promise<Buffer>
  /** Drops grains from `end` on: the disk has become smaller. */
  cut(end: number): void
}

export type NewGrain = {
  readonly grain: number
  readonly content: Buffer | null
  readonly afterWrites: number
  readonly mutation: number
}

const MAGIC = 0x53494d47
const HEADER_BYTES = 32
const RECORD_BYTES = HEADER_BYTES + GRAIN_BYTES

/** Opens or begins the file. Nothing is created before something is written. */
export async function openWrittenGrains(file: string): Promise<WrittenGrains> {
  const loaded = await load(file)
  let { index, endBytes } = await compactIfWorthwhile(file, loaded)
  let shared = false
  const own = (): Map<number, WrittenGrain> => {
    // Somebody holds the map as it is now: go on with a copy.
    if (shared) index = new Map(index)
    shared = false
    return index
  }
  return {
    index() {
      shared = true
      return index
    },
    async append(grains) {
      if (grains.length === 0) return
      const offset = endBytes
      const records = grains.map(toRecord)
      endBytes += records.reduce((sum, record) => sum + record.length, 0)
      await writeAt(file, Buffer.concat(records), offset)
      let at = offset
      for (const { grain, content, afterWrites, mutation } of grains) {
        own().set(grain, { fileOffset: content ? at + HEADER_BYTES : null, afterWrites, mutation })
        at += content ? RECORD_BYTES : HEADER_BYTES
      }
    },
    async read(fileOffset) {
      return await readAt(file, fileOffset, GRAIN_BYTES)
    },
    cut(end) {
      for (const grain of [...index.keys()]) if (grain >= end) own().delete(grain)
    },
  }
}

function toRecord({ grain, content, afterWrites, mutation }: NewGrain): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32BE(MAGIC, 0)
  header.writeUInt32BE(content ? 1 : 2, 4)
  header.writeDoubleBE(grain, 8)
  header.writeDoubleBE(afterWrites, 16)
  header.writeDoubleBE(mutation, 24)
  return content ? Buffer.concat([header, content]) : header
}

type Loaded = { readonly index: Map<number, WrittenGrain>; readonly endBytes: number }

async function load(file: string): Promise<Loaded> {
  const index = new Map<number, WrittenGrain>()
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  )
  let endBytes = 0
  if (size === 0) return { index, endBytes }
  const handle = await open(file, 'r')
  try {
    const headerAt = headersOf(handle)
    while (endBytes + HEADER_BYTES <= size) {
      const header = await headerAt(endBytes)
      if (header.length < HEADER_BYTES) break
      const isData = header.readUInt32BE(4) === 1
      const next = endBytes + (isData ? RECORD_BYTES : HEADER_BYTES)
      if (header.readUInt32BE(0) !== MAGIC || next > size) break
      index.set(header.readDoubleBE(8), {
        fileOffset: isData ? endBytes + HEADER_BYTES : null,
        afterWrites: header.readDoubleBE(16),
        mutation: header.readDoubleBE(24),
      })
      endBytes = next
    }
  } finally {
    await handle.close()
  }
  return { index, endBytes }
}

/** One read serves the headers of many records: a site has hundreds of thousands of them to go through before it answers. */
function headersOf(file: FileHandle): (offset: number) => Promise<Buffer> {
  const window = Buffer.alloc(MiB)
  let [from, held] = [0, 0]
  return async (offset) => {
    if (offset < from || offset + HEADER_BYTES > from + held) {
      from = offset
      held = (await file.read(window, 0, window.length, offset)).bytesRead
    }
    return window.subarray(offset - from, Math.min(held, offset - from + HEADER_BYTES))
  }
}

/** Rewrites the file when more than half of it, and more than a few grains, was overwritten. */
async function compactIfWorthwhile(file: string, loaded: Loaded): Promise<Loaded> {
  const liveBytes = [...loaded.index.values()].reduce(
    (sum, { fileOffset }) => sum + (fileOffset === null ? HEADER_BYTES : RECORD_BYTES),
    0,
  )
  if (loaded.endBytes < 2 * liveBytes + 256 * RECORD_BYTES) return loaded
  const fresh = `${file}.compacting`
  await rm(fresh, { force: true })
  const index = new Map<number, WrittenGrain>()
  let endBytes = 0
  for (const [grain, { fileOffset, afterWrites, mutation }] of loaded.index) {
    const content = fileOffset === null ? null : await readAt(file, fileOffset, GRAIN_BYTES)
    const record = toRecord({ grain, content, afterWrites, mutation })
    await writeAt(fresh, record, endBytes)
    index.set(grain, { fileOffset: content ? endBytes + HEADER_BYTES : null, afterWrites, mutation })
    endBytes += record.length
  }
  await rename(fresh, file)
  return { index, endBytes }
}

// Opened for each act: a site may have thousands of disks, a process not as many open files.

async function writeAt(file: string, data: Buffer, offset: number): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  const handle = await open(file, 'r+').catch(() => open(file, 'w+'))
  try {
    await handle.write(data, 0, data.length, offset)
  } finally {
    await handle.close()
  }
}

async function readAt(file: string, offset: number, bytes: number): Promise<Buffer> {
  const handle = await open(file, 'r')
  try {
    const data = Buffer.alloc(bytes)
    await handle.read(data, 0, bytes, offset)
    return data
  } finally {
    await handle.close()
  }
}
