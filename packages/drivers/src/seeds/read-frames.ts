// Going through the frames of a seed, file by file.
import type { FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { FRAME_HEADER_BYTES, type FrameHeader, readHeader } from './frame.ts'
import { openFile, partName } from './seed-folder.ts'

export type FoundFrame = {
  readonly part: number
  /** Where it begins in its file. */
  readonly position: number
  readonly header: FrameHeader
  /** Bytes behind the header; shorter than the header says where the file ends before it. */
  payload(): Promise<Buffer>
}

/** Where the frames of a file end: at its end, or before something that is none. */
export type PartEnd = { readonly part: number; readonly position: number; readonly whole: boolean }

/** Every frame in order, and the end of every file. Reads no payload by itself. */
export async function* readFrames(
  home: string,
  parts: readonly number[],
): AsyncGenerator<FoundFrame | PartEnd> {
  let sequence = 0
  for (const part of parts) {
    const handle = await openFile(path.join(home, partName(part)), 'read')
    try {
      const { size } = await handle.stat()
      let position = 0
      while (position < size) {
        const header = readHeader(await readAt(handle, position, FRAME_HEADER_BYTES), sequence)
        if (header === null || position + FRAME_HEADER_BYTES + header.payloadBytes > size) break
        const at = position + FRAME_HEADER_BYTES
        yield { part, position, header, payload: () => readAt(handle, at, header.payloadBytes) }
        position = at + header.payloadBytes
        sequence += 1
      }
      yield { part, position, whole: position === size }
    } finally {
      await handle.close()
    }
  }
}

async function readAt(handle: FileHandle, position: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(bytes)
  let done = 0
  while (done < bytes) {
    const { bytesRead } = await handle.read(buffer, done, bytes - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return buffer.subarray(0, done)
}
