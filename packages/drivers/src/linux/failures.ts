// Failures of this source in our words.
import { Outage, Refusal } from '@understudy/base/errors'
import type { CycleReason } from '@understudy/domain/replication/plan-cycle'
import { LET_GO } from '@understudy/engine/ports/source-platform'

const asText = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

export const trackingFailed = (what: string, cause: unknown): Outage =>
  new Outage({
    code: 'linux/tracking-failed',
    message: `Change tracking of this server failed: ${what}: ${asText(cause)}`,
    remedy: 'Understudy tries again. If it stays, look whether another tool uses the tracing of the kernel.',
    cause,
  })

export const diskWasReplaced = (disk: string): CycleReason => ({
  code: 'linux/disk-replaced',
  message: `Disk ${disk} of the server is another one than at the newest point, or was taken out meanwhile`,
})

/** In the middle of a point: it is given up, and the next one compares everything. */
export const trackingWasLost = ({ message }: CycleReason): Outage =>
  new Outage({
    code: 'linux/tracking-lost',
    message: `No point could be taken: ${message}`,
    remedy: 'The next point compares everything by itself.',
  })

export const writesTooFast = (leftText: string): Outage =>
  new Outage({
    code: 'linux/writes-too-fast',
    message: `The server writes faster than it can be read: ${leftText} were written while the rest was copied`,
    remedy:
      'It is tried again with the next point. Allow more bandwidth, choose a longer interval, or raise how much may be read while the server is held still.',
  })

export const notHeldStill = (why: string, cause?: unknown): Outage =>
  new Outage({
    code: 'linux/not-held-still',
    message: `The server could not be held still, so no point was taken: ${why}`,
    remedy:
      'It is tried again with the next point. If it stays, look for other tools that freeze file systems.',
    ...(cause === undefined ? {} : { cause }),
  })

/** Not tried again at once: each time all writes of the server wait. */
export const heldTooLong = (why: string): Outage =>
  new Outage({
    code: 'linux/held-too-long',
    message: `The server was held still for too long, so it was let go on and no point was taken: ${why}`,
    remedy:
      'The next point is only begun when less is left to read. If it stays, look whether a disk of the server is slow or does not answer.',
  })

/** What may have been a chance, and was not. */
export const afterTries = ({ code, message, remedy, cause }: Outage, tries: number): Outage =>
  new Outage({ code, message: `${message} (tried ${tries} times)`, remedy, cause })

export const writtenWhileHeld = (disk: string, offset: number): Outage =>
  new Outage({
    code: 'linux/written-while-held',
    message: `Disk ${disk} was written at byte ${offset} while all its file systems were frozen, so no point was taken`,
    remedy:
      'Something writes to the disk past its file systems: a database on a raw volume, a virtual machine, or a mount in a container. Exclude the disk, or stop that.',
  })

export const readFailed = (disk: string, cause: unknown): Outage =>
  new Outage({
    code: 'linux/read-failed',
    message: `Disk ${disk} could not be read: ${asText(cause)}`,
    remedy: 'Check the disk and the log of the kernel.',
    cause,
  })

export const commandFailed = (command: string, cause: unknown): Outage =>
  new Outage({
    code: 'linux/command-failed',
    message: `The command ${command} failed: ${asText(cause)}`,
    remedy: 'Run it on the server by hand and see what it says.',
    cause,
  })

export const noCommonInstant = (): Refusal =>
  new Refusal({
    code: 'linux/no-common-instant',
    message: 'A physical server has its instant at the end of its copy, so several have none in common',
    remedy: 'Take it out of the group; each server has points of its own meanwhile.',
  })

export const machineNotFound = (ref: string): Refusal =>
  new Refusal({
    code: 'machine/not-found',
    message: `This server is not ${ref}`,
    remedy: 'Look at the inventory of the site.',
  })

export const letGoInstead = (why: string): Outage =>
  new Outage({
    code: LET_GO,
    message: `The server was not switched off at its last point, and runs on: ${why}`,
    remedy:
      'Run the planned failover again. If it stays, look whether the line to the target is slow, or whether another tool freezes file systems.',
  })

export const lastHoldUnknown = (): Outage =>
  new Outage({
    code: 'linux/switch-off-unknown',
    message:
      'What holds the server still was ended by somebody while the server was about to be switched off',
    remedy: 'Look at the server: it may go off within seconds, or run on.',
  })

export const switchingOff = (): Outage =>
  new Outage({
    code: 'linux/switching-off',
    message: 'The server was failed over and is switching itself off',
    remedy: 'It can be replicated again once it has been started.',
  })
