// A disk of a computer in a rescue system, opened so that nobody else uses it, and written through the page cache. What was written is brought to the
// medium again and again: a rescue system lives in memory, and has little to spare.
import { constants, type FileHandle, open } from 'node:fs/promises'
import { MiB } from '@understudy/base/bytes'
import { Outage, Refusal } from '@understudy/base/errors'
import { inTurn } from '@understudy/base/in-turn'
import type { BlockDevice } from '@understudy/block/device'
import { fileFailed } from '@understudy/block/file-device'
import { runCommand } from '../run-command.ts'

const MOST_UNFLUSHED_BYTES = 64 * MiB
/** Below that a program of its own costs more than the zeros. */
const LEAST_ZERO_OUT_BYTES = 4 * MiB
const ZERO_PIECE_BYTES = MiB

/** Refuses (`receiver/disk-in-use`) while the kernel or another program has it for itself. */
export async function openReceivingDisk(path: string, bytes: number): Promise<BlockDevice> {
  // Of a device, O_EXCL says that nothing that is mounted, an array or the like has it, nor shall have it.
  const handle = await open(path, constants.O_RDWR | constants.O_EXCL).catch((cause: unknown) => {
    throw cannotOpen(path, cause)
  })
  const turn = inTurn()
  let unflushed = 0
  const write = async (offset: number, content: Buffer): Promise<void> => {
    await writeFully(handle, path, offset, content)
    unflushed += content.length
    if (unflushed < MOST_UNFLUSHED_BYTES) return
    unflushed = 0
    await turn(flush)
  }
  const flush = (): Promise<void> =>
    handle.datasync().catch((cause: unknown) => {
      throw fileFailed(path, 'flush', cause)
    })
  return {
    bytes,
    async read(offset, length) {
      const content = Buffer.allocUnsafeSlow(length)
      for (let done = 0; done < length; ) {
        const { bytesRead } = await handle
          .read(content, done, length - done, offset + done)
          .catch((cause: unknown) => {
            throw fileFailed(path, 'read', cause)
          })
        if (bytesRead === 0) throw fileFailed(path, 'read', new Error('the disk has become shorter'))
        done += bytesRead
      }
      return content
    },
    write,
    async zero(offset, length, signal) {
      if (length >= LEAST_ZERO_OUT_BYTES && (await zeroOut(path, offset, length, signal))) return
      const zeros = Buffer.alloc(Math.min(length, ZERO_PIECE_BYTES))
      for (let done = 0; done < length; done += zeros.length) {
        signal?.throwIfAborted()
        await write(offset + done, zeros.subarray(0, Math.min(zeros.length, length - done)))
      }
    },
    flush: () => turn(flush),
    close: () => (handle.fd < 0 ? Promise.resolve() : handle.close()),
  }
}

/** By the disk itself, where it can: fallocate(2) of a device is BLKZEROOUT. False: it cannot, and nothing is known of the range. */
async function zeroOut(path: string, offset: number, bytes: number, signal?: AbortSignal): Promise<boolean> {
  const range = ['--zero-range', '--keep-size', '--offset', String(offset), '--length', String(bytes), path]
  return await runCommand('fallocate', range, { signal }).then(
    ({ code }) => code === 0,
    (error: unknown) => {
      if (error instanceof Outage) return false
      throw error
    },
  )
}

async function writeFully(handle: FileHandle, path: string, offset: number, content: Buffer): Promise<void> {
  for (let done = 0; done < content.length; ) {
    const { bytesWritten } = await handle
      .write(content, done, content.length - done, offset + done)
      .catch((cause: unknown) => {
        throw fileFailed(path, 'write', cause)
      })
    done += bytesWritten
  }
}

function cannotOpen(path: string, cause: unknown): Refusal {
  const isBusy = (cause as NodeJS.ErrnoException).code === 'EBUSY'
  return new Refusal({
    code: isBusy ? 'receiver/disk-in-use' : 'receiver/cannot-open',
    message: isBusy
      ? `${path} of this computer is in use by the rescue system`
      : `${path} of this computer cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`,
    remedy: isBusy
      ? 'Unmount what is on it, and stop arrays and volume groups of it, in the rescue system.'
      : 'Look at the disk, and run the agent as root.',
    cause,
  })
}
