// Work that survives the process. A crash may repeat a step, so every step is idempotent.

export type DurableContext = {
  readonly workflowId: string
  /**
   * Runs `work` and keeps its JSON result; after a restart a finished step is not run again, its result is returned. `work`
   * that rejects because its signal aborted (shut down, cancel) is never kept as a result: it runs again after a restart.
   */
  step<Result>(name: string, work: (signal: AbortSignal) => Promise<Result>): Promise<Result>
  sleep(milliseconds: number): Promise<void>
  /** The next value sent under `topic`, or null after the timeout. */
  waitForSignal<Value>(topic: string, timeoutSeconds: number): Promise<Value | null>
}

export type Workflow<Input> = (context: DurableContext, input: Input) => Promise<void>

export interface Durable {
  /** Before `launch`, once per name, in every process alike. */
  register<Input>(name: string, workflow: Workflow<Input>): void
  /** Also recovers what an earlier life of this process, or a dead peer, left unfinished. */
  launch(): Promise<void>
  /** Repeatable: the same id starts once. Returns when it is durably accepted, not when it is done. */
  start<Input>(name: string, id: string, input: Input): Promise<void>
  signal(id: string, topic: string, value: unknown): Promise<void>
  /** No further step begins; the running step's signal aborts. */
  cancel(id: string): Promise<void>
  isRunning(id: string): Promise<boolean>
  shutDown(): Promise<void>
}
