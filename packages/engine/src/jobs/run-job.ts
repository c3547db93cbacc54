// A job is a durable workflow whose steps are kept as tasks for people to watch: progress, notes, questions, failures.

import type { FailureReport } from '@understudy/base/errors'
import { isAbort, Outage, Refusal, toFailureReport } from '@understudy/base/errors'
import { type Instant, secondsBetween } from '@understudy/base/instant'
import {
  type Job,
  type JobId,
  type JobQuestion,
  type JobState,
  jobLife,
  type Task,
  type TaskProgress,
} from '@understudy/domain/jobs/job'
import type { EngineParts } from '../engine-parts.ts'
import { type Report, recordEvent } from '../events/report.ts'
import type { DurableContext, Workflow } from '../ports/durable.ts'
import {
  type Answered,
  type JobBody,
  JobFailure,
  type JobScope,
  type TaskOptions,
  type TaskScope,
} from './job-scope.ts'

export const CANCEL_TOPIC = 'cancel'
export const ANSWER_TOPIC = 'answer'
export const RETRY_TOPIC = 'retry'
/** Which failure is to be tried again, by its end: a wish that was given twice is not one for the attempt after the next. */
export type Retry = { readonly failedAt: Instant }
export type Answer = { readonly questionId: string; readonly value: string; readonly by: string }
/** An answer to whatever is asked: the job is to stop. */
export const CANCEL_ANSWER: Answer = { questionId: '*', value: '(cancel)', by: '(cancel)' }

/**
 * The steps of any flow (`flow-steps.test.ts` pins them), or what they return, are others than before: one more. An unfinished job of an older version does not
 * go on with steps that are not its own: it counts as lost, and what it left is tidied up.
 */
const FLOW_VERSION = 6
export const flowOf = (kind: Job['kind']): string => `${kind}/${FLOW_VERSION}`

/** Running jobs of this process: a cancel reaches their current task at once. */
export type Cancels = Map<JobId, AbortController>

const ATTEMPT_LIMIT = 5
const UNDO_RETRIES = 4
const RETRY_PAUSES_SECONDS = [2, 5, 15, 30]
/** What a job is (its state, its question) is worth half an hour of a database that is away. */
const ROW_RETRIES = 60
/** What a task looks like is not worth holding the task up for long. */
const DISPLAY_RETRIES = 2
/** Messages of an earlier attempt: more than people can click. */
const LEFT_OVER_LIMIT = 100

type JobRun = {
  readonly parts: EngineParts
  readonly cancels: Cancels
  readonly context: DurableContext
  readonly jobId: JobId
  readonly attempt: number
  pastNoReturn: boolean
  /** For a person, in all attempts. Summed from what steps return: a repetition comes to the same. */
  waitedSeconds: number
}

/** Everything that a step returns is JSON, failures included: an error class does not survive a restart. */
type Settled<Result> =
  | { readonly ok: true; readonly value: Result }
  | { readonly ok: false; readonly failure: FailureReport }

/** Makes a durable workflow of a job's body. A failed one can be run again, under the same id, for a while. */
export function jobWorkflow<Request>(
  parts: EngineParts,
  cancels: Cancels,
  body: JobBody<Request>,
): Workflow<Request> {
  return async (context, request) => {
    const jobId = context.workflowId as JobId
    let waitedSeconds = 0
    let failedAt: Instant | null = null
    for (let attempt = 1; attempt <= ATTEMPT_LIMIT; attempt += 1) {
      const run: JobRun = { parts, cancels, context, jobId, attempt, pastNoReturn: false, waitedSeconds }
      failedAt = await runAttempt(run, body, { request, failedAt })
      waitedSeconds = run.waitedSeconds
      if (failedAt === null || attempt === ATTEMPT_LIMIT) return
      if (!(await isWantedAgain(run, failedAt))) return
      // A cancel or an answer that came too late last time is no wish for this time.
      await drain(context, CANCEL_TOPIC)
      await drain(context, ANSWER_TOPIC)
    }
  }
}

/** False: nobody has asked for it in time. */
async function isWantedAgain({ context, parts }: JobRun, failedAt: Instant): Promise<boolean> {
  for (let left = 0; left < LEFT_OVER_LIMIT; left += 1) {
    const wish = await context.waitForSignal<Retry>(RETRY_TOPIC, parts.config.retryWindowSeconds)
    if (wish === null) return false
    if (wish.failedAt === failedAt) return true
  }
  return false
}

async function drain(context: DurableContext, topic: string): Promise<void> {
  for (let left = 0; left < LEFT_OVER_LIMIT; left += 1)
    if ((await context.waitForSignal<unknown>(topic, 0)) === null) return
}

/** Null: it is over for good. Else it failed then, and may be tried again. */
async function runAttempt<Request>(
  run: JobRun,
  body: JobBody<Request>,
  { request, failedAt }: { readonly request: Request; readonly failedAt: Instant | null },
): Promise<Instant | null> {
  const begun = await run.context.step(`begin ${run.attempt}`, () => begin(run, body.tasks(request)))
  const isRefused = 'refusedAt' in begun
  if (failedAt !== null) run.waitedSeconds += waitedBetween(failedAt, isRefused ? begun.refusedAt : begun.at)
  // Another job works on the subject by now: this one stays failed, and can be tried again.
  if (isRefused) return begun.refusedAt
  try {
    await body.run(scopeOf(run, begun.by), request)
    await run.context.step(`end ${run.attempt}`, () => finish(run, 'succeeded', null))
    return null
  } catch (error) {
    const { report } = asJobFailure(error)
    const cancelled = report.kind === 'aborted'
    const endedAt = await run.context.step(`end ${run.attempt}`, () =>
      finish(run, cancelled ? 'cancelled' : 'failed', report),
    )
    return cancelled ? null : endedAt
  } finally {
    run.cancels.delete(run.jobId)
  }
}

function scopeOf(run: JobRun, by: string): JobScope {
  return {
    id: run.jobId,
    by,
    task: (name, work, options) => runTask(run, name, work, options ?? {}),
    skip: (name, note) =>
      orJobFailure(() =>
        run.context.step(stepName(run, name), () => showTask(run, name, { state: 'skipped', note })),
      ),
    ask: (question) => orJobFailure(() => ask(run, { ...question, id: stepName(run, question.id) })),
    waitedSeconds: () => run.waitedSeconds,
    passPointOfNoReturn() {
      run.pastNoReturn = true
    },
    undo: (name, work) => tryHard(run, name, work),
    afterwards: (name, work) => tryHard(run, name, work),
  }
}

/** What puts things back, and what follows a success, must not be stopped by a cancel: it may have been what made it necessary. */
async function tryHard(
  run: JobRun,
  name: string,
  work: (task: TaskScope) => Promise<unknown>,
): Promise<boolean> {
  run.pastNoReturn = true
  try {
    await runTask(run, name, work, { retries: UNDO_RETRIES })
    return true
  } catch (error) {
    asJobFailure(error)
    return false
  }
}

const stepName = (run: JobRun, name: string): string =>
  run.attempt === 1 ? name : `${name} (${run.attempt})`

async function runTask<Result>(
  run: JobRun,
  name: string,
  work: (task: TaskScope) => Promise<Result>,
  options: TaskOptions,
): Promise<Result> {
  // Before the look for a cancel: one that comes right after it would meet nobody, and wait for the end of the task.
  if (!run.pastNoReturn) cancelOf(run)
  const settled = await orJobFailure(async () => {
    await stopIfCancelled(run)
    return await run.context.step(stepName(run, name), (signal) =>
      carryOut(run, name, work, { options, signal }),
    )
  })
  if (settled.ok) return settled.value
  throw new JobFailure(settled.failure)
}

/** Whatever goes wrong between a body and its tasks is a failure of the job: only then the body puts things back. */
async function orJobFailure<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw asJobFailure(error)
  }
}

/** Cut short from outside is no failure: nothing is known about the job's end, and it goes on elsewhere or was ended there. */
function asJobFailure(error: unknown): JobFailure {
  if (error instanceof JobFailure) return error
  if (isAbort(error)) throw error
  return new JobFailure(toFailureReport(error))
}

async function stopIfCancelled(run: JobRun): Promise<void> {
  if (run.pastNoReturn) return
  if ((await run.context.waitForSignal<boolean>(CANCEL_TOPIC, 0)) === true) throw cancelled()
}

const cancelled = (): JobFailure =>
  new JobFailure({
    kind: 'aborted',
    code: 'job/cancelled',
    message: 'The job was cancelled',
    remedy: 'Start it again when you are ready.',
  })

async function carryOut<Result>(
  run: JobRun,
  name: string,
  work: (task: TaskScope) => Promise<Result>,
  how: { readonly options: TaskOptions; readonly signal: AbortSignal },
): Promise<Settled<Result>> {
  const { parts } = run
  const cancel = run.pastNoReturn ? null : cancelOf(run)
  const signal = cancel ? AbortSignal.any([how.signal, cancel.signal]) : how.signal
  const startedAt = parts.clock.now()
  await showTask(run, name, { state: 'running', startedAt, endedAt: null, progress: null, note: null })
  const reporter = progressReporter(run, name)
  let note: string | null = null
  let done: 'succeeded' | 'warned' = 'succeeded'
  const scope: TaskScope = {
    signal,
    note(text) {
      note = text
    },
    warn(text) {
      note = text
      done = 'warned'
    },
    progress: reporter.progress,
    at: reporter.at,
    async heldUpBy(text) {
      // A progress that is still being written would write the former note back.
      await reporter.settle()
      await showTask(run, name, { note: text })
    },
  }
  try {
    const value = await withRetries(run, name, () => work(scope), {
      retries: how.options.retries ?? 2,
      signal,
    })
    await reporter.settle()
    await showTask(run, name, { state: done, endedAt: parts.clock.now(), note })
    return { ok: true, value }
  } catch (error) {
    await reporter.settle()
    // The process stops, or the durable machinery gave the step up: it runs again, this is no result.
    if (how.signal.aborted) throw error
    const failure = cancel?.signal.aborted && isAbort(error) ? cancelled().report : toFailureReport(error)
    if (failure.kind === 'invariant')
      parts.log('error', 'a task failed by our own fault', { job: run.jobId, error })
    await showTask(run, name, { state: 'failed', endedAt: parts.clock.now(), note: failure.message })
    return { ok: false, failure }
  }
}

function cancelOf(run: JobRun): AbortController {
  const known = run.cancels.get(run.jobId)
  if (known) return known
  const controller = new AbortController()
  run.cancels.set(run.jobId, controller)
  return controller
}

async function withRetries<Result>(
  run: JobRun,
  name: string,
  work: () => Promise<Result>,
  how: { readonly retries: number; readonly signal: AbortSignal },
): Promise<Result> {
  for (let failures = 0; ; failures += 1) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof Outage) || failures >= how.retries || how.signal.aborted) throw error
      const pause = pauseSeconds(failures)
      await showTask(run, name, { note: `${error.message} Trying again in ${pause} s.` })
      await run.parts.sleep(pause * 1000, how.signal)
    }
  }
}

/** What people see of a task. Tried again for a moment; when it fails all the same it costs a display, never the task. */
async function showTask(run: JobRun, name: string, change: Partial<Task>): Promise<void> {
  try {
    await overOutages(run, DISPLAY_RETRIES, () => changeTask(run, name, change))
  } catch (error) {
    run.parts.log('warn', 'a task could not be shown', { job: run.jobId, task: name, error })
  }
}

/** Once more after an outage, with growing pauses, at most `retries` times. */
async function overOutages<Result>(
  { parts }: JobRun,
  retries: number,
  write: () => Promise<Result>,
): Promise<Result> {
  for (let failures = 0; ; failures += 1) {
    try {
      return await write()
    } catch (error) {
      if (!(error instanceof Outage) || failures >= retries) throw error
      await parts.sleep(pauseSeconds(failures) * 1000)
    }
  }
}

const pauseSeconds = (failures: number): number =>
  RETRY_PAUSES_SECONDS[Math.min(failures, RETRY_PAUSES_SECONDS.length - 1)] ?? 30

/** Writes progress at most twice a second, one write at a time; a write that fails costs a display, not the job. */
function progressReporter(run: JobRun, name: string) {
  const { parts } = run
  const startedAt = parts.clock.now()
  let writing: Promise<void> = Promise.resolve()
  let underWay = 0
  let lastAt = 0
  let lastDoing: string | null = null
  const write = async (change: Partial<Task>): Promise<void> => {
    try {
      await changeTask(run, name, change)
    } catch (error) {
      parts.log('warn', 'progress could not be shown', { job: run.jobId, error })
    }
    underWay -= 1
  }
  const show = (change: Partial<Task>): void => {
    underWay += 1
    lastAt = parts.clock.now()
    writing = writing.then(() => write(change))
  }
  const isTooSoon = (): boolean => underWay > 0 || parts.clock.now() - lastAt < 500
  const withRate = ({ doneBytes, totalBytes }: Bytes): TaskProgress => {
    const seconds = (parts.clock.now() - startedAt) / 1000
    return { doneBytes, totalBytes, bytesPerSecond: seconds > 0 ? doneBytes / seconds : 0 }
  }
  return {
    progress(bytes: Bytes): void {
      if (!isTooSoon()) show({ progress: withRate(bytes) })
    },
    at(doing: string, bytes: Bytes | null): void {
      // A part that begins may be the last thing that is heard for an hour.
      if (doing === lastDoing && isTooSoon()) return
      lastDoing = doing
      show({ note: doing, progress: bytes && withRate(bytes) })
    },
    settle: () => writing,
  }
}

type Bytes = { readonly doneBytes: number; readonly totalBytes: number }

async function ask(run: JobRun, question: JobQuestion): Promise<Answered | null> {
  await stopIfCancelled(run)
  const { context, parts, jobId } = run
  const askedAt = await context.step(`ask ${question.id}`, async () => {
    await moveJob(run, 'waiting', { question })
    return parts.clock.now()
  })
  let answered: Answered | null = null
  const deadline = parts.config.questionTimeoutSeconds
  for (;;) {
    const answer: Answer | null = await context.waitForSignal<Answer>(ANSWER_TOPIC, deadline)
    if (answer?.questionId === CANCEL_ANSWER.questionId) throw await withdrawQuestion(run, question)
    if (answer !== null && answer.questionId !== question.id) continue
    answered = answer && { value: answer.value, by: answer.by }
    break
  }
  const goesOnAt = await context.step(`answered ${question.id}`, async () => {
    await moveJob(run, 'running', { question: null })
    await overOutages(run, ROW_RETRIES, () => tellAnswer(parts, jobId, question, answered))
    return parts.clock.now()
  })
  run.waitedSeconds += waitedBetween(askedAt, goesOnAt)
  return answered
}

/** Never below zero, whatever was done to a clock meanwhile. */
const waitedBetween = (from: Instant, to: Instant): number => Math.max(0, secondsBetween(from, to))

async function withdrawQuestion(run: JobRun, question: JobQuestion): Promise<JobFailure> {
  await run.context.step(`withdraw ${question.id}`, () => moveJob(run, 'running', { question: null }))
  return cancelled()
}

async function tellAnswer(
  parts: EngineParts,
  jobId: JobId,
  question: JobQuestion,
  answered: Answered | null,
): Promise<void> {
  const job = await parts.stores.jobs.find(jobId)
  const label = question.answers.find(({ value }) => value === answered?.value)?.label
  await recordEvent(parts, {
    severity: 'warning',
    code: 'job/answered',
    message:
      answered === null
        ? `"${question.text}": nobody answered in time`
        : `"${question.text}": ${answered.by} answered "${label ?? answered.value}"`,
    subject: job ? { id: job.subjectId, name: job.subjectName } : null,
    facts: { jobId, value: answered?.value ?? null, by: answered?.by ?? null },
  })
}

/** Who started the job, and when this attempt began; or since when it has failed, because another one works on its subject. */
type Begun = { readonly by: string; readonly at: Instant } | { readonly refusedAt: Instant }

async function begin(run: JobRun, names: readonly string[]): Promise<Begun> {
  const tasks = names.map((name): Task => ({ ...newTask(name), state: 'pending' }))
  try {
    const job = await moveJob(run, 'running', { tasks, failure: null, question: null, endedAt: null })
    return { by: job?.startedBy ?? 'unknown', at: run.parts.clock.now() }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const { parts, jobId } = run
    const refusedAt = parts.clock.now()
    await parts.stores.jobs.update(jobId, { failure: toFailureReport(error), endedAt: refusedAt })
    parts.live.changed('jobs', jobId)
    return { refusedAt }
  }
}

/** Returns when, as the job's row says it. */
async function finish(run: JobRun, state: JobState, failure: FailureReport | null): Promise<Instant> {
  const { parts } = run
  const endedAt = parts.clock.now()
  const job = await moveJob(run, state, { failure, question: null, endedAt })
  if (!job || state !== 'failed' || failure === null) return endedAt
  await overOutages(run, ROW_RETRIES, () => recordEvent(parts, failedEvent(job, failure)))
  return endedAt
}

export const failedEvent = (job: Job, failure: FailureReport): Report => ({
  severity: 'warning',
  code: 'job/failed',
  message: `${describeKind(job.kind)} of ${job.subjectName} failed: ${failure.message}`,
  subject: { id: job.subjectId, name: job.subjectName },
  facts: { jobId: job.id, code: failure.code, remedy: failure.remedy },
})

export const describeKind = (kind: Job['kind']): string => {
  const words = kind.replaceAll('-', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** Repeatable: a job that is there already stays. Returns the job as it was before, or null when it has gone. */
async function moveJob(run: JobRun, to: JobState, change: Partial<Job>): Promise<Job | null> {
  return await overOutages(run, ROW_RETRIES, () => moveJobOnce(run, to, change))
}

async function moveJobOnce(run: JobRun, to: JobState, change: Partial<Job>): Promise<Job | null> {
  const { parts, jobId } = run
  const job = await parts.stores.jobs.find(jobId)
  if (!job) return null
  const state = job.state === to ? to : jobLife.move(job.state, to)
  const { id, kind, createdAt, startedBy, ...rest } = change
  await parts.stores.jobs.update(jobId, { ...rest, state })
  parts.live.changed('jobs', jobId)
  return job
}

const newTask = (name: string): Task => ({
  name,
  state: 'running',
  startedAt: null,
  endedAt: null,
  progress: null,
  note: null,
})

async function changeTask(run: JobRun, name: string, change: Partial<Task>): Promise<void> {
  const { parts, jobId } = run
  const job = await parts.stores.jobs.find(jobId)
  if (!job) return
  const known = job.tasks.some((task) => task.name === name)
  const tasks = known ? job.tasks : [...job.tasks, newTask(name)]
  await parts.stores.jobs.update(jobId, {
    tasks: tasks.map((task) => (task.name === name ? { ...task, ...change } : task)),
  })
  parts.live.changed('jobs', jobId)
}
