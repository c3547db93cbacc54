// What the body of a job works with. Between tasks it only decides; everything it does, it does inside a task.
import type { FailureReport } from '@understudy/base/errors'
import type { JobId, JobQuestion } from '@understudy/domain/jobs/job'

export type TaskScope = {
  /** Aborts when the job is cancelled (`isCancelled`), when the process stops, or when another one has taken the job over. */
  readonly signal: AbortSignal
  /** What came of it, for a person. The last one stays. */
  note(text: string): void
  /** What holds it up right now, shown at once; null: nothing does any more. What comes of the task replaces it. */
  heldUpBy(text: string | null): Promise<void>
  /** A note that wants a look: the task is done, and shown as `warned`. */
  warn(text: string): void
  progress(progress: { readonly doneBytes: number; readonly totalBytes: number }): void
  /**
   * Which part of it is under way, for a person, and how far that is (`bytes` null: it cannot be told). Shown with the progress until
   * what comes of the task replaces it; a part that begins is never left out.
   */
  at(doing: string, bytes: { readonly doneBytes: number; readonly totalBytes: number } | null): void
}

export type TaskOptions = {
  /** Tries after an outage, with growing pauses. Default 2. */
  readonly retries?: number
}

export type JobScope = {
  readonly id: JobId
  /** Who started it. */
  readonly by: string
  /**
   * One step that the operator sees. `work` may run again after a crash, so it is idempotent; its result is small JSON.
   * Throws JobFailure when it failed for good, or when the job was cancelled before it.
   */
  task<Result>(
    name: string,
    work: (task: TaskScope) => Promise<Result>,
    options?: TaskOptions,
  ): Promise<Result>
  /** Shows that a task is not needed, and why. */
  skip(name: string, note: string): Promise<void>
  /** Waits for a person. Null: nobody answered in time. */
  ask(question: JobQuestion): Promise<Answered | null>
  /** How long it has waited for a person so far: for answers, and after failures for the wish to try again. */
  waitedSeconds(): number
  /** From here on a cancel is too late. */
  passPointOfNoReturn(): void
  /**
   * Puts back what the job has done. Not cancelled, tried hard; when it fails all the same it is shown as failed and passed over.
   * True: done.
   */
  undo(name: string, work: (task: TaskScope) => Promise<unknown>): Promise<boolean>
  /** The same for what is left to clear away or to tell once it is settled how the job ends. */
  afterwards(name: string, work: (task: TaskScope) => Promise<unknown>): Promise<boolean>
}

/** `by`: who has answered. */
export type Answered = { readonly value: string; readonly by: string }

/** A task failed for good. Carries what people see; kept as JSON, so it is the same after a restart. */
export class JobFailure extends Error {
  override readonly name = 'JobFailure'
  readonly report: FailureReport
  constructor(report: FailureReport) {
    super(report.message)
    this.report = report
  }
}

export type JobBody<Request> = {
  /** Shown as pending from the start. */
  readonly tasks: (request: Request) => readonly string[]
  readonly run: (job: JobScope, request: Request) => Promise<void>
}
