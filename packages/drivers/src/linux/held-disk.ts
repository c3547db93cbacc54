// What was read of a disk at an instant, kept in memory until it has been copied.
import { roundUp } from '@understudy/base/bytes'
import { invariant, present } from '@understudy/base/invariant'
import type { BlockReader, Extent } from '@understudy/block/device'
import { ALIGNMENT, PIECE_BYTES } from './aligned-memory.ts'
import type { DirectDisk } from './direct-disk.ts'
import { readFailed } from './failures.ts'

/** Hands out a buffer piece by piece. */
export type HeldMemory = { take(bytes: number): Buffer }

export function heldMemory(memory: Buffer): HeldMemory {
  let used = 0
  return {
    take(wanted) {
      invariant(used + wanted <= memory.length, 'what is held was counted before')
      const piece = memory.subarray(used, used + wanted)
      used += roundUp(wanted, ALIGNMENT)
      return piece
    },
  }
}

const IN_FLIGHT = 8

/** Readable exactly where `extents` are, until it is closed: then the memory is another one's. */
export async function holdExtents(
  disk: DirectDisk,
  extents: readonly Extent[],
  memory: HeldMemory,
): Promise<BlockReader> {
  const held = extents.map((extent) => ({ extent, data: memory.take(extent.bytes) }))
  const reads = held.flatMap(({ extent, data }) => {
    const pieces: { readonly offset: number; readonly target: Buffer }[] = []
    for (let done = 0; done < extent.bytes; done += PIECE_BYTES)
      pieces.push({ offset: extent.offset + done, target: data.subarray(done, done + PIECE_BYTES) })
    return pieces
  })
  let next = 0
  const work = async (): Promise<void> => {
    try {
      for (let read = reads[next++]; read !== undefined; read = reads[next++])
        await disk.readAligned(read.offset, read.target)
    } catch (error) {
      next = reads.length
      throw error
    }
  }
  // All of them, also after a failure: a late read would come into memory that another point has by then.
  const ends = await Promise.allSettled(Array.from({ length: IN_FLIGHT }, work))
  for (const end of ends) if (end.status === 'rejected') throw end.reason

  let closed = false
  const find = (offset: number, bytes: number): Buffer => {
    if (closed) throw readFailed('of a point', new Error('the point was let go'))
    const found = held.find(
      ({ extent }) => extent.offset <= offset && offset + bytes <= extent.offset + extent.bytes,
    )
    const { extent, data } = present(found, 'only what was held is read')
    return data.subarray(offset - extent.offset, offset - extent.offset + bytes)
  }
  return {
    bytes: disk.bytes,
    read: async (offset, bytes) => Buffer.from(find(offset, bytes)),
    async readInto(offset, target) {
      find(offset, target.length).copy(target)
    },
    async close() {
      closed = true
    },
  }
}
