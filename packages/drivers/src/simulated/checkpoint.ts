// The name of a checkpoint says all that is needed to find what changed since. Nothing has to be kept for it, so a
// restart of the server loses no tracking.
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { DiskMark } from './simulated-disk.ts'

export type Checkpoint = {
  /** Rises whenever tracking is lost: older checkpoints say nothing any more. */
  readonly generation: number
  /** Of the process that made it. */
  readonly session: string
  /** Counts the checkpoints of a machine. */
  readonly serial: number
  readonly disks: ReadonlyMap<DiskKey, DiskMark>
}

/** `sim1.<generation>.<session>.<serial>.<key>:<bytes>:<writes>:<mutation>,...` */
export function checkpointName({ generation, session, serial, disks }: Checkpoint): string {
  const marks = [...disks].map(
    ([key, { bytes, writes, mutation }]) => `${key}:${bytes}:${writes}:${mutation}`,
  )
  return `sim1.${generation}.${session}.${serial}.${marks.join(',')}`
}

/** Null when it is not one of ours. */
export function parseCheckpoint(name: string): Checkpoint | null {
  const match = /^sim1\.(\d+)\.([0-9a-f]+)\.(\d+)\.([^.]*)$/.exec(name)
  if (!match) return null
  const disks = new Map<DiskKey, DiskMark>()
  for (const text of (match[4] ?? '').split(',').filter((part) => part !== '')) {
    const [key, ...numbers] = text.split(':')
    const [bytes, writes, mutation] = numbers.map(Number)
    if (key === undefined || bytes === undefined || writes === undefined || mutation === undefined)
      return null
    if (![bytes, writes, mutation].every((number) => Number.isSafeInteger(number))) return null
    disks.set(key as DiskKey, { bytes, writes, mutation })
  }
  return { generation: Number(match[1]), session: match[2] ?? '', serial: Number(match[3]), disks }
}
