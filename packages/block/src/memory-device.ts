// A disk in memory: for tests, and as the far end of small things. Sparse, so that it may be huge and empty.
import { KiB } from '@understudy/base/bytes'
import { invariant } from '@understudy/base/invariant'
import type { BlockDevice, Extent, MappedExtent } from './device.ts'

const CHUNK_BYTES = 64 * KiB

/** An empty disk of `bytes`. Only what was written takes memory, in pieces of 64 KiB. */
export function memoryDevice(bytes: number): BlockDevice {
  const chunks = new Map<number, Buffer>()
  const check = (offset: number, length: number): void =>
    invariant(offset >= 0 && length >= 0 && offset + length <= bytes, 'the range lies inside the disk')

  return {
    bytes,
    async read(offset, length) {
      check(offset, length)
      const data = Buffer.alloc(length)
      for (const part of parts(offset, length))
        chunks.get(part.index)?.copy(data, part.done, part.start, part.start + part.bytes)
      return data
    },
    async *map(range) {
      check(range.offset, range.bytes)
      yield* mapOf(chunks, range)
    },
    async write(offset, data) {
      check(offset, data.length)
      for (const part of parts(offset, data.length)) {
        const chunk = chunks.get(part.index) ?? Buffer.alloc(CHUNK_BYTES)
        data.copy(chunk, part.start, part.done, part.done + part.bytes)
        chunks.set(part.index, chunk)
      }
    },
    async zero(offset, length) {
      check(offset, length)
      const end = offset + length
      for (const [index, chunk] of chunks) {
        const start = Math.max(0, offset - index * CHUNK_BYTES)
        const stop = Math.min(CHUNK_BYTES, end - index * CHUNK_BYTES)
        if (start === 0 && stop === CHUNK_BYTES) chunks.delete(index)
        else if (start < stop) chunk.fill(0, start, stop)
      }
    },
    async flush() {},
    async close() {},
  }
}

type Part = { readonly index: number; readonly start: number; readonly bytes: number; readonly done: number }

function* parts(offset: number, bytes: number): Generator<Part> {
  for (let done = 0; done < bytes; ) {
    const at = offset + done
    const start = at % CHUNK_BYTES
    const length = Math.min(CHUNK_BYTES - start, bytes - done)
    yield { index: (at - start) / CHUNK_BYTES, start, bytes: length, done }
    done += length
  }
}

/** Walks the chunks that exist, not the disk: an empty disk of a tebibyte is one extent. */
function* mapOf(chunks: ReadonlyMap<number, Buffer>, range: Extent): Generator<MappedExtent> {
  const end = range.offset + range.bytes
  let offset = range.offset
  for (const index of [...chunks.keys()].sort((a, b) => a - b)) {
    const start = Math.max(index * CHUNK_BYTES, range.offset)
    const stop = Math.min((index + 1) * CHUNK_BYTES, end)
    if (start >= stop) continue
    if (start > offset) yield { offset, bytes: start - offset, kind: 'zero' }
    yield { offset: start, bytes: stop - start, kind: 'data' }
    offset = stop
  }
  if (offset < end) yield { offset, bytes: end - offset, kind: 'zero' }
}
