import type { Brand } from '@understudy/base/brand'
import type { FailureReport } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import { stateMachine } from '@understudy/base/state-machine'

export type JobId = Brand<'JobId'>

export type JobKind =
  | 'protect'
  | 'end-protection'
  | 'resync'
  | 'export-seed'
  | 'import-seed'
  | 'test-failover'
  | 'clean-up-test'
  | 'planned-failover'
  | 'unplanned-failover'
  | 'change-point'
  | 'start-replica'
  | 'power-off-old'
  | 'roll-back'
  | 'commit'
  | 'reprotect'
  | 'fail-back'
  | 'tidy-up'
  | 'create-lab'
  | 'scrub'
  | 'plan-step'

export type JobState = 'queued' | 'running' | 'waiting' | 'succeeded' | 'failed' | 'cancelled'

export const jobLife = stateMachine<JobState>('job', {
  queued: ['running', 'cancelled', 'failed'],
  running: ['waiting', 'succeeded', 'failed', 'cancelled'],
  waiting: ['running', 'failed', 'cancelled'],
  succeeded: [],
  failed: ['running'],
  cancelled: [],
})

/** A job in one of these is at work, or will be. */
export const activeJobStates: readonly JobState[] = ['queued', 'running', 'waiting']

/** These get in nobody's way: they only watch the mover, for which a failover must not wait, or read, or are about no machine. */
export const harmlessKinds: readonly JobKind[] = ['protect', 'resync', 'create-lab', 'scrub', 'plan-step']

export const seedKinds: readonly JobKind[] = ['export-seed', 'import-seed']

/** Never run again under their id: the run of a plan tries its step again, and a seed's passphrase has gone with the job. */
export const neverRetriedKinds: readonly JobKind[] = ['plan-step', ...seedKinds]

/**
 * Two jobs of one key must never be active at once: each would undo what the other does. The end of a protection has a key
 * of its own, because it stops the other jobs itself. Null: gets in nobody's way. The database has it as a unique index.
 */
export function exclusiveKeyOf(job: Pick<Job, 'kind' | 'state' | 'subjectId'>): string | null {
  if (!activeJobStates.includes(job.state) || harmlessKinds.includes(job.kind)) return null
  return job.kind === 'end-protection' ? `end of ${job.subjectId}` : job.subjectId
}

/** `warned`: done, and its note says what about it wants a look. */
export type TaskState = 'pending' | 'running' | 'succeeded' | 'warned' | 'failed' | 'skipped'

export type TaskProgress = {
  readonly doneBytes: number
  readonly totalBytes: number
  readonly bytesPerSecond: number
}

/** One step of a job, as the operator watches it. */
export type Task = {
  readonly name: string
  readonly state: TaskState
  readonly startedAt: Instant | null
  readonly endedAt: Instant | null
  readonly progress: TaskProgress | null
  /** What came of it, for a person. */
  readonly note: string | null
}

/** A question that only a person can answer; the job waits for it. */
export type JobQuestion = {
  readonly id: string
  readonly text: string
  readonly answers: readonly { readonly value: string; readonly label: string; readonly danger: boolean }[]
}

export type Job = {
  readonly id: JobId
  readonly kind: JobKind
  readonly state: JobState
  /** What it is about: a protection's, site's or machine's id, and a name that outlives it. */
  readonly subjectId: string
  readonly subjectName: string
  readonly tasks: readonly Task[]
  readonly failure: FailureReport | null
  readonly question: JobQuestion | null
  readonly createdAt: Instant
  readonly endedAt: Instant | null
  readonly startedBy: string
}
