// A mark is one snapshot of each tracked disk of a machine. What a snapshot is for stands in its tags, and its name follows from them: one
// whose tags were copied by somebody has another name, and is not ours.
import { createHash, randomUUID } from 'node:crypto'
import type { Snapshot } from '@azure/arm-compute'
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { TrackingId } from '@understudy/engine/ports/source-platform'
import { DISK_TAG, RUN_TAG } from '../run-names.ts'

export const TRACKING_TAG = 'understudy-tracking'
export const MACHINE_TAG = 'understudy-machine'
export const MARK_TAG = 'understudy-mark'

/** Made before the machine of a run first starts. */
export const BASE_MARK = 'base'
/** Of a machine that is off, for as long as its disks are read. */
export const READING_MARK = 'reading-'
/** Never the same again: a request that comes late makes no snapshot of a later mark. */
export const newMark = (): string => randomUUID()

/** Whose disks they are: a machine of a run by its run, which is known before there is a machine; another by its name. */
export type Subject =
  | { readonly kind: 'run'; readonly runId: RunId }
  | { readonly kind: 'machine'; readonly name: string }

export type MarkName = {
  readonly subject: Subject
  readonly trackingId: TrackingId
  readonly mark: string
  readonly disk: DiskKey
}

export const subjectOf = (machine: {
  readonly name: string
  readonly machine: { readonly tags?: Readonly<Record<string, string>> }
}): Subject => {
  const runId = machine.machine.tags?.[RUN_TAG]
  return runId === undefined
    ? { kind: 'machine', name: machine.name.toLowerCase() }
    : { kind: 'run', runId: runId as RunId }
}

export const markTags = ({ subject, trackingId, mark, disk }: MarkName): Record<string, string> => ({
  [subject.kind === 'run' ? RUN_TAG : MACHINE_TAG]: subject.kind === 'run' ? subject.runId : subject.name,
  [TRACKING_TAG]: trackingId,
  [MARK_TAG]: mark,
  [DISK_TAG]: disk,
})

export const snapshotName = (name: MarkName): string => {
  const words = [name.subject.kind, subjectKey(name.subject), name.trackingId, name.mark, name.disk]
  const digest = createHash('sha256').update(JSON.stringify(words)).digest('hex')
  return `understudy-${digest.slice(0, 15)}-mark`
}

const subjectKey = (subject: Subject): string => (subject.kind === 'run' ? subject.runId : subject.name)

/** What a snapshot of ours is; null: it is none. */
export function readMark({ name, tags = {} }: Snapshot): MarkName | null {
  const { [TRACKING_TAG]: trackingId, [MARK_TAG]: mark, [DISK_TAG]: disk } = tags
  const { [RUN_TAG]: runId, [MACHINE_TAG]: machine } = tags
  if (trackingId === undefined || mark === undefined || disk === undefined) return null
  const subject: Subject | null =
    runId !== undefined
      ? { kind: 'run', runId: runId as RunId }
      : machine !== undefined
        ? { kind: 'machine', name: machine }
        : null
  if (subject === null) return null
  const read: MarkName = { subject, trackingId, mark, disk: disk as DiskKey }
  return snapshotName(read) === name ? read : null
}

export const isOf = (snapshot: Snapshot, subject: Subject, trackingId: TrackingId | null): boolean => {
  const read = readMark(snapshot)
  return (
    read !== null &&
    read.subject.kind === subject.kind &&
    subjectKey(read.subject) === subjectKey(subject) &&
    (trackingId === null || read.trackingId === trackingId)
  )
}

/** Names each snapshot by the id that Azure has given it: another one of the same name is another moment. */
export type Checkpoint = {
  readonly mark: string
  readonly snapshots: Readonly<Record<string, string>>
}

export const formatCheckpoint = ({ mark, snapshots }: Checkpoint): string =>
  JSON.stringify({ mark, snapshots })

/** Null: it is none of ours. */
export function parseCheckpoint(text: string): Checkpoint | null {
  try {
    const read = JSON.parse(text) as Partial<Checkpoint> | null
    const { mark, snapshots } = read ?? {}
    return typeof mark === 'string' && typeof snapshots === 'object' && snapshots !== null
      ? { mark, snapshots }
      : null
  } catch {
    return null
  }
}
