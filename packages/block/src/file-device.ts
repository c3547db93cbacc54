// A raw file as a disk: byte 0 of the file is byte 0 of the disk.
import { type FileHandle, open } from 'node:fs/promises'
import { MiB } from '@understudy/base/bytes'
import { Outage, Refusal } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import type { BlockDevice, BlockReader } from './device.ts'
import { isZero } from './zero-detection.ts'

/** Opens an existing file for reading. Throws Refusal when it is not there or may not be read. */
export async function openFileReader(path: string): Promise<BlockReader> {
  const { bytes, read, readInto, close } = await openFile(path, 'r')
  return { bytes, read, readInto, close }
}

/**
 * Opens an existing file for reading and writing. There is no `map`: Node cannot ask a file system for its holes. For the same
 * reason `zero` punches no holes: it leaves alone what reads as zeros already, so holes stay holes, and writes zeros elsewhere.
 */
export async function openFileDevice(path: string): Promise<BlockDevice> {
  return openFile(path, 'r+')
}

/** Creates a sparse file of `bytes`, which must be a multiple of 512. Throws Refusal when the file exists. */
export async function createFileDevice(path: string, bytes: number): Promise<BlockDevice> {
  invariant(bytes % 512 === 0, 'a disk is whole sectors')
  const handle = await open(path, 'wx').catch((error: unknown) => {
    throw cannotOpen(path, error)
  })
  try {
    await handle.truncate(bytes)
  } finally {
    await handle.close()
  }
  return openFileDevice(path)
}

type FileDevice = BlockDevice & Required<Pick<BlockDevice, 'readInto'>>

async function openFile(path: string, flags: 'r' | 'r+'): Promise<FileDevice> {
  const handle = await open(path, flags).catch((error: unknown) => {
    throw cannotOpen(path, error)
  })
  const { size } = await handle.stat()
  // Half a sector at the end cannot be shown to a machine.
  const bytes = size - (size % 512)
  const readInto = async (offset: number, target: Buffer): Promise<void> => {
    checkRange(bytes, offset, target.length)
    await readFully(path, handle, offset, target)
  }
  const write = async (offset: number, data: Buffer, signal?: AbortSignal): Promise<void> => {
    signal?.throwIfAborted()
    checkRange(bytes, offset, data.length)
    await writeFully(path, handle, offset, data)
  }
  return {
    bytes,
    readInto,
    async read(offset, length, signal) {
      signal?.throwIfAborted()
      const data = Buffer.allocUnsafeSlow(length)
      await readInto(offset, data)
      return data
    },
    write,
    async zero(offset, length, signal) {
      checkRange(bytes, offset, length)
      const found = Buffer.allocUnsafeSlow(Math.min(length, MiB))
      for (let done = 0; done < length; done += found.length) {
        signal?.throwIfAborted()
        const piece = found.subarray(0, Math.min(found.length, length - done))
        await readInto(offset + done, piece)
        if (!isZero(piece)) await writeFully(path, handle, offset + done, piece.fill(0))
      }
    },
    flush: () =>
      handle.datasync().catch((error: unknown) => {
        throw fileFailed(path, 'flush', error)
      }),
    // Closing twice would be an error of the handle, and is none of the caller's.
    close: () => (handle.fd < 0 ? Promise.resolve() : handle.close()),
  }
}

async function readFully(path: string, handle: FileHandle, offset: number, target: Buffer): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await handle
      .read(target, done, target.length - done, offset + done)
      .catch((error: unknown) => {
        throw fileFailed(path, 'read', error)
      })
    if (bytesRead === 0) throw fileFailed(path, 'read', new Error('the file has become shorter'))
    done += bytesRead
  }
}

async function writeFully(path: string, handle: FileHandle, offset: number, data: Buffer): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const { bytesWritten } = await handle
      .write(data, done, data.length - done, offset + done)
      .catch((error: unknown) => {
        throw fileFailed(path, 'write', error)
      })
    done += bytesWritten
  }
}

const checkRange = (diskBytes: number, offset: number, bytes: number): void =>
  invariant(offset >= 0 && bytes >= 0 && offset + bytes <= diskBytes, 'the range lies inside the disk')

/** A failing file in our words. A full file system is an Outage with a code of its own: freeing space cures it. */
export function fileFailed(path: string, what: string, cause: unknown): Outage {
  const full = codeOf(cause) === 'ENOSPC' || codeOf(cause) === 'EDQUOT'
  return new Outage({
    code: full ? 'block/no-space' : 'block/file-failed',
    message: full
      ? `There is no space left to write ${path}`
      : `We could not ${what} ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
    remedy: full
      ? 'Free space on that file system, or add some.'
      : 'Check the disk and the system log of this computer.',
    cause,
  })
}

const cannotOpen = (path: string, cause: unknown): Refusal =>
  new Refusal({
    code: 'block/cannot-open',
    message: `We cannot open ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
    remedy: 'Check the path and the permissions.',
    cause,
  })

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined
