// A disk read past the page cache: what is on the medium counts, not what somebody has read earlier through another device node.
import { constants, type FileHandle, open } from 'node:fs/promises'
import { roundDown, roundUp } from '@understudy/base/bytes'
import { invariant } from '@understudy/base/invariant'
import type { BlockReader } from '@understudy/block/device'
import { ALIGNMENT, type AlignedMemory, PIECE_BYTES } from './aligned-memory.ts'
import { readFailed } from './failures.ts'

export type DirectDisk = BlockReader & {
  /** Straight into aligned memory; all ends lie on sectors. */
  readAligned(offset: number, target: Buffer): Promise<void>
}

export type DiskToOpen = {
  readonly path: string
  /** For people. */
  readonly name: string
  readonly bytes: number
}

export async function openDirectDisk(
  { path, name, bytes }: DiskToOpen,
  memory: AlignedMemory,
): Promise<DirectDisk> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECT).catch((cause: unknown) => {
    throw readFailed(name, cause)
  })
  const readAligned = (offset: number, target: Buffer): Promise<void> =>
    readFully(handle, name, offset, target)

  const readPiece = async (offset: number, target: Buffer): Promise<void> => {
    const start = roundDown(offset, ALIGNMENT)
    const end = Math.min(bytes, roundUp(offset + target.length, ALIGNMENT))
    const piece = await memory.takePiece()
    try {
      await readAligned(start, piece.subarray(0, end - start))
      piece.copy(target, 0, offset - start, offset - start + target.length)
    } finally {
      memory.givePiece(piece)
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
