// What was read of a disk at an instant, kept in memory until it has been copied.
import { invariant, present } from '@understudy/base/invariant'
import type { BlockReader, Extent } from '@understudy/block/device'
import { alignedMemory, type DirectDisk } from './direct-disk.ts'

/** Of one instant: taken before it, so that nothing has to be asked of the system while the server is held still. */
export type HeldMemory = { take(bytes: number): Buffer }

/** Sectors of 4,096 bytes at most: every piece begins where O_DIRECT wants it. */
export function heldMemory(bytes: number): HeldMemory {
  const memory = alignedMemory(bytes)
  // A page that was never touched is none yet.
  memory.fill(1)
  let used = 0
  return {
    take(wanted) {
      invariant(used + wanted <= memory.length, 'what is held was counted before')
      const piece = memory.subarray(used, used + wanted)
      used += Math.ceil(wanted / 4096) * 4096
      return piece
    },
  }
}

const READ_BYTES = 256 * 1024
const IN_FLIGHT = 8

/** Readable exactly where `extents` are. */
export async function holdExtents(
  disk: DirectDisk,
  extents: readonly Extent[],
  memory: HeldMemory,
): Promise<BlockReader> {
  const held = extents.map((extent) => ({ extent, data: memory.take(extent.bytes) }))
  const reads = held.flatMap(({ extent, data }) => {
    const pieces: { readonly offset: number; readonly target: Buffer }[] = []
    for (let done = 0; done < extent.bytes; done += READ_BYTES)
      pieces.push({ offset: extent.offset + done, target: data.subarray(done, done + READ_BYTES) })
    return pieces
  })
  let next = 0
  const work = async (): Promise<void> => {
    for (let read = reads[next++]; read !== undefined; read = reads[next++])
      await disk.readAligned(read.offset, read.target)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, work))

  const find = (offset: number, bytes: number): Buffer => {
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
    close: async () => {},
  }
}
