// A disk read past the page cache: what is on the medium counts, not what somebody has read earlier through another device node.
import { constants, type FileHandle, open } from 'node:fs/promises'
import { KiB, roundDown, roundUp } from '@understudy/base/bytes'
import { invariant } from '@understudy/base/invariant'
import type { BlockReader } from '@understudy/block/device'
import { readFailed } from './failures.ts'

/** Of what O_DIRECT asks for; sectors are 512 or 4,096 bytes. */
const ALIGNMENT = 4 * KiB
const PIECE_BYTES = 256 * KiB
const PIECES = 16

/** Of the language's own, whose types come with a browser only. */
declare const WebAssembly: {
  readonly Memory: new (pages: { initial: number }) => { readonly buffer: ArrayBuffer }
}

/** Memory that begins at a page, as O_DIRECT wants it. Node has no other way to such memory. */
export const alignedMemory = (bytes: number): Buffer =>
  Buffer.from(new WebAssembly.Memory({ initial: Math.ceil(bytes / (64 * KiB)) }).buffer, 0, bytes)

export type DirectDisk = BlockReader & {
  /** Straight into aligned memory; all ends lie on sectors. */
  readAligned(offset: number, target: Buffer): Promise<void>
}

export async function openDirectDisk(path: string, name: string, bytes: number): Promise<DirectDisk> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECT).catch((cause: unknown) => {
    throw readFailed(name, cause)
  })
  const memory = alignedMemory(PIECES * PIECE_BYTES)
  const free = Array.from({ length: PIECES }, (_, index) =>
    memory.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES),
  )
  const waiting: ((piece: Buffer) => void)[] = []
  const takePiece = async (): Promise<Buffer> =>
    free.pop() ?? (await new Promise((resolve) => waiting.push(resolve)))
  const giveBack = (piece: Buffer): void => {
    const next = waiting.shift()
    if (next) next(piece)
    else free.push(piece)
  }
  const readAligned = (offset: number, target: Buffer): Promise<void> =>
    readFully(handle, name, offset, target)

  const readPiece = async (offset: number, target: Buffer): Promise<void> => {
    const start = roundDown(offset, ALIGNMENT)
    const end = Math.min(bytes, roundUp(offset + target.length, ALIGNMENT))
    const piece = await takePiece()
    try {
      await readAligned(start, piece.subarray(0, end - start))
      piece.copy(target, 0, offset - start, offset - start + target.length)
    } finally {
      giveBack(piece)
    }
  }
  const readInto = async (offset: number, target: Buffer, signal?: AbortSignal): Promise<void> => {
    invariant(offset >= 0 && offset + target.length <= bytes, 'the range lies inside the disk')
    for (let done = 0; done < target.length; ) {
      signal?.throwIfAborted()
      // Up to the next boundary of a piece, so that only the ends are ever rounded.
      const until = roundDown(offset + done, PIECE_BYTES) + PIECE_BYTES
      const length = Math.min(target.length - done, until - (offset + done))
      await readPiece(offset + done, target.subarray(done, done + length))
      done += length
    }
  }
  return {
    bytes,
    readAligned,
    readInto,
    async read(offset, length, signal) {
      const data = Buffer.allocUnsafeSlow(length)
      await readInto(offset, data, signal)
      return data
    },
    close: () => (handle.fd < 0 ? Promise.resolve() : handle.close()),
  }
}

async function readFully(handle: FileHandle, name: string, offset: number, target: Buffer): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await handle
      .read(target, done, target.length - done, offset + done)
      .catch((cause: unknown) => {
        throw readFailed(name, cause)
      })
    if (bytesRead === 0) throw readFailed(name, new Error('the disk has become shorter'))
    done += bytesRead
  }
}
