// Buffers that are used again. A new one for every read costs page faults, which measured three times the copying itself.
import { KiB } from '@understudy/base/bytes'

export type BufferPool = {
  /** A buffer of exactly `bytes`, with anything in it. */
  take(bytes: number): Buffer
  /** The caller keeps nothing of it. Do not call it when somebody may still write into the buffer. */
  giveBack(buffer: Buffer): void
}

/** Keeps at most `maximumFree` memory blocks of at most `blockBytes` each; larger buffers are made anew. */
export function bufferPool(maximumFree: number, blockBytes = 256 * KiB): BufferPool {
  const free: ArrayBufferLike[] = []
  /** A buffer of somebody else that happens to have our size must never come in: its owner may still read it. */
  const ours = new WeakSet<ArrayBufferLike>()
  return {
    take(bytes) {
      if (bytes > blockBytes) return Buffer.allocUnsafeSlow(bytes)
      const block = free.pop() ?? Buffer.allocUnsafeSlow(blockBytes).buffer
      ours.add(block)
      return Buffer.from(block, 0, bytes)
    },
    giveBack(buffer) {
      if (ours.has(buffer.buffer) && free.length < maximumFree) free.push(buffer.buffer)
    },
  }
}
