// What the journal refuses, and what the disk below it does to us, in words an operator can act on.
import { Outage, Refusal } from '@understudy/base/errors'

export const errorCode = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

export const isMissing = (error: unknown): boolean => errorCode(error) === 'ENOENT'
export const isTaken = (error: unknown): boolean => errorCode(error) === 'EEXIST'

/** Runs file work and turns what the operating system says into our words. Our own errors pass. */
export async function onDisk<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw fromDisk(error)
  }
}

function fromDisk(error: unknown): unknown {
  const code = errorCode(error)
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(error)
  if (!/^E[A-Z0-9]+$/.test(code)) return error
  return new Outage({
    code: 'replica/disk-failed',
    message: `The replica's disk does not work: ${error instanceof Error ? error.message : code}`,
    remedy: 'Check that the replica folder is mounted, writable and healthy.',
    cause: error,
  })
}

export const diskFull = (cause?: unknown): Outage =>
  new Outage({
    code: 'replica/disk-full',
    message: 'The disk that keeps the replicas is full; no new recovery point can be kept',
    remedy:
      'Free space there or shorten the retention. A recovery point that is sealed already is not touched.',
    cause,
  })

export const pointLeaving = (id: string): Outage =>
  new Outage({
    code: 'recovery-point/leaving',
    message: `Whether the recovery point ${id} expires is being decided, and the decision does not come`,
    remedy: 'It comes with the next expiry, or when another process takes over the replica.',
  })

export const noKey = (machineName: string): Refusal =>
  new Refusal({
    code: 'replica/no-key',
    message: `The replica of ${machineName} is encrypted and there is no key for it`,
    remedy: 'Configure the encryption key, then try again.',
  })

export const wrongKey = (machineName: string): Refusal =>
  new Refusal({
    code: 'replica/wrong-key',
    message: `The encryption key does not fit the replica of ${machineName}`,
    remedy: 'Configure the key with which the replica was made.',
  })

/** `disk` is null when the journal's own books are hit rather than content. */
export const damaged = (where: {
  readonly disk: string | null
  readonly offset: number
  readonly bytes: number
  readonly why: string
}): Refusal =>
  new Refusal({
    code: 'replica/damaged',
    message:
      where.disk === null
        ? `The replica is damaged: ${where.why}`
        : `The replica is damaged at ${where.offset} of disk ${where.disk} (${where.bytes} bytes): ${where.why}`,
    // What was on the disk can be had from the source once more; where which part of it lies can not.
    remedy:
      where.disk === null
        ? 'Points from the damaged place on cannot be read again. Check the disks that hold the replica, end the protection (keep the replica while its older points are wanted) and protect the machine anew.'
        : 'Resync the protection: it compares with the source and writes what is damaged again.',
    facts: where,
  })
