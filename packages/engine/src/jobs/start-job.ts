// Jobs from the outside: start, answer, cancel, retry, and finding those that a crash left without a workflow.
import { type FailureReport, Refusal, toFailureReport } from '@understudy/base/errors'
import type { EventId } from '@understudy/domain/events/event'
import { activeJobStates, type Job, type JobId, type JobKind, seedKinds } from '@understudy/domain/jobs/job'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent, type Subject } from '../events/report.ts'
import { Cancelled } from '../ports/cancelled.ts'
import type { AnswerRequest, Asker, JobStarted } from '../requests.ts'
import { forgetPassphrase } from '../seeds/forget-passphrase.ts'
import {
  ANSWER_TOPIC,
  type Answer,
  CANCEL_ANSWER,
  CANCEL_TOPIC,
  type Cancels,
  describeKind,
  failedEvent,
  flowOf,
  RETRY_TOPIC,
  type Retry,
} from './run-job.ts'

/** A job this old without a workflow was lost between its row and its workflow. */
const LOST_AFTER_MILLISECONDS = 60_000
/** Nothing of the job had begun. */
export const LOST = 'job/lost'
const lost = (kind: JobKind): FailureReport => ({
  kind: 'outage',
  code: LOST,
  message: 'The server stopped before the job could begin',
  remedy:
    kind === 'protect'
      ? 'End the protection, which is there already, and protect the machine anew.'
      : 'Start the action anew.',
})
/** Its steps are not those of this version, or its end could not be written down for as long as it was tried. */
const cutShort = (kind: JobKind): FailureReport => ({
  kind: 'outage',
  code: 'job/cut-short',
  message:
    'The job was cut short: the server was updated while it was at work, or its database was away for too long',
  remedy:
    remediesOfTheirOwn[kind] ??
    'What it left half-done is tidied up by itself within minutes. Then look at the protection and start the action anew.',
})
/** Of jobs after which nothing is tidied up by itself: what they have begun, a person decides about. */
const remediesOfTheirOwn: { readonly [kind in JobKind]?: string } = {
  protect:
    'Look at the protection. Where its first copy is under way, that goes on by itself. Where it is still being enabled, end it and protect the machine anew.',
  'end-protection': 'End the protection again: it goes on where this one stopped.',
  'test-failover': 'Clean up what is there of the test, then start it anew.',
}

/**
 * The job that this very request has begun before: its client repeats it, because the answer was lost with a server or a
 * database. What may begin was decided then. Null: the request is new.
 */
export async function findBegun(
  { stores }: Pick<EngineParts, 'stores'>,
  kind: JobKind,
  request: Asker,
): Promise<Job | null> {
  const job = request.jobId === undefined ? null : await stores.jobs.find(request.jobId)
  return job?.kind === kind ? job : null
}

/** Makes what a job keeps of its request. By then no other job can be at work on the subject. Repeatable; a refusal ends the job. */
export type Prepare = (jobId: JobId) => Promise<Asker>

/** Repeatable with the same job id: the first request counts. `prepare`: left out, the job keeps the whole request. */
export async function startJob<Request extends Asker>(
  parts: EngineParts,
  kind: JobKind,
  subject: Subject,
  request: Request,
  prepare: Prepare = async () => request,
): Promise<JobStarted> {
  const jobId = request.jobId ?? (parts.newId() as JobId)
  const known = await parts.stores.jobs.find(jobId)
  // Also one that was lost before it began: by now it may not be allowed any more.
  if (known !== null && !activeJobStates.includes(known.state)) return { jobId }
  if (known === null)
    await parts.stores.jobs.create({
      id: jobId,
      kind,
      state: 'queued',
      subjectId: subject.id,
      subjectName: subject.name,
      tasks: [],
      failure: null,
      question: null,
      createdAt: parts.clock.now(),
      endedAt: null,
      startedBy: request.by,
    })
  else if (await parts.durable.isRunning(jobId)) return { jobId }
  const kept = await prepare(jobId).catch(async (error: unknown) => {
    if (error instanceof Refusal) await endRefused(parts, jobId, error)
    throw error
  })
  await recordEvent(
    parts,
    {
      severity: 'info',
      code: 'job/started',
      message: `${describeKind(kind)} of ${subject.name} was asked for by ${request.by}`,
      subject,
      facts: { jobId, kind },
    },
    `started-${jobId}` as EventId,
  )
  await parts.durable.start(flowOf(kind), jobId, kept)
  parts.live.changed('jobs', jobId)
  return { jobId }
}

async function endRefused(parts: EngineParts, jobId: JobId, why: Refusal): Promise<void> {
  await parts.stores.jobs.failActive(jobId, toFailureReport(why), parts.clock.now())
  parts.live.changed('jobs', jobId)
}

/** What the server does of its own accord on a protection. That an operator or another process was quicker is no failure. */
export async function startUnasked(parts: EngineParts, kind: JobKind, subject: Subject): Promise<void> {
  try {
    await startJob(parts, kind, subject, { by: 'the server', protectionId: subject.id })
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
  }
}

export async function answerJob(parts: EngineParts, jobId: JobId, answer: AnswerRequest): Promise<void> {
  const job = await findJob(parts, jobId)
  const known = job.question?.answers.some(({ value }) => value === answer.value)
  if (job.state !== 'waiting' || job.question?.id !== answer.questionId || !known)
    throw new Refusal({
      code: 'job/no-question',
      message: 'The job does not wait for this answer (any more)',
      remedy: 'Reload the job and look at its question.',
    })
  const value: Answer = { questionId: answer.questionId, value: answer.value, by: answer.by }
  // The signal first: after a crash in between the question is still there to be answered again, and the first one counts.
  await parts.durable.signal(jobId, ANSWER_TOPIC, value)
  if (!(await parts.stores.jobs.closeQuestion(jobId, answer.questionId)))
    throw new Refusal({
      code: 'job/already-answered',
      message: 'Somebody else has answered this question a moment ago',
      remedy: 'Look at the job: the first answer counts.',
    })
  parts.live.changed('jobs', jobId)
}

export async function cancelJob(parts: EngineParts, cancels: Cancels, jobId: JobId): Promise<void> {
  const job = await findJob(parts, jobId)
  if (!activeJobStates.includes(job.state))
    throw new Refusal({
      code: 'job/over',
      message: 'The job is over already',
      remedy: 'Nothing needs to be cancelled.',
    })
  await parts.durable.signal(jobId, CANCEL_TOPIC, true)
  if (job.state === 'waiting') await parts.durable.signal(jobId, ANSWER_TOPIC, CANCEL_ANSWER)
  cancels.get(jobId)?.abort(new Cancelled())
}

export async function retryJob(parts: EngineParts, jobId: JobId): Promise<void> {
  const job = await findJob(parts, jobId)
  if (job.kind === 'plan-step')
    throw new Refusal({
      code: 'job/not-retryable',
      message: 'A step of a plan is tried again in the run of the plan',
      remedy: 'Open the run, and have the step tried again there.',
    })
  if (seedKinds.includes(job.kind))
    throw new Refusal({
      code: 'job/not-retryable',
      message: 'The passphrase of the seed was forgotten with the end of the job',
      remedy: 'Start the action anew, and give the passphrase again.',
    })
  if (job.state !== 'failed' || job.endedAt === null || !(await parts.durable.isRunning(jobId)))
    throw new Refusal({
      code: 'job/not-retryable',
      message: 'The job has not failed, or too long ago to be run again',
      remedy: 'Start the action anew.',
    })
  const wish: Retry = { failedAt: job.endedAt }
  await parts.durable.signal(jobId, RETRY_TOPIC, wish)
}

/** After a crash between a job's row and its workflow nobody would ever end it. */
export async function failLostJobs(parts: EngineParts): Promise<void> {
  const { rows } = await parts.stores.jobs.list({ states: activeJobStates }, { limit: 1000, cursor: null })
  for (const job of rows) {
    if (parts.clock.now() - job.createdAt < LOST_AFTER_MILLISECONDS) continue
    if (await parts.durable.isRunning(job.id)) continue
    // It may have come to its end between the list and the answer.
    const now = await parts.stores.jobs.find(job.id)
    if (now !== null && activeJobStates.includes(now.state)) await endLost(parts, now)
  }
}

/** Repeatable, and by several processes at once. */
async function endLost(parts: EngineParts, job: Job): Promise<void> {
  const failure = job.state === 'queued' ? lost(job.kind) : cutShort(job.kind)
  // Else a version that knows its steps, once it is put back, would go on in the middle of what was tidied up meanwhile.
  await parts.durable.cancel(job.id)
  // While it is active no other job can have brought one of its own.
  if (seedKinds.includes(job.kind)) await forgetPassphrase(parts, job.subjectId as ProtectionId)
  // Before the row: once that says failed nobody looks here again.
  await recordEvent(parts, failedEvent(job, failure), `lost-${job.id}` as EventId)
  await parts.stores.jobs.failActive(job.id, failure, parts.clock.now())
  parts.live.changed('jobs', job.id)
}

export async function activeJobsOf(
  parts: Pick<EngineParts, 'stores'>,
  subjectId: string,
): Promise<readonly Job[]> {
  const page = { limit: 100, cursor: null }
  return (await parts.stores.jobs.list({ subjectId, states: activeJobStates }, page)).rows
}

async function findJob(parts: EngineParts, jobId: JobId): Promise<Job> {
  const job = await parts.stores.jobs.find(jobId)
  if (job) return job
  throw new Refusal({
    code: 'job/not-found',
    message: `There is no job ${jobId}`,
    remedy: 'Reload the page.',
  })
}
