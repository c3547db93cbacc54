// Durable work over DBOS, which keeps every finished step in PostgreSQL (schema `dbos` of the same database).
//
// What DBOS gives: steps that are not repeated once recorded, signals, timers, and a token by which only one execution of a
// workflow may record anything. What is added here: our kinds of failure survive a replay, a stop of the process never looks
// like a failure of the job, and live processes take over the workflows of dead ones.
import { setTimeout as wait } from 'node:timers/promises'
import { DBOS, Error as DbosError, type DLogger } from '@dbos-inc/dbos-sdk'
import { Outage, Refusal } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import { invariant } from '@understudy/base/invariant'
import type { Durable, DurableContext, Workflow } from '@understudy/engine/ports/durable'
import { openDatabase } from './database.ts'
import { jobRunners } from './job-runners.ts'
import { readOutcome, writeFailure, writeResult } from './step-outcome.ts'

export type DurableOptions = {
  /** Of a database that `migrateDeploy` has brought up to date. */
  readonly databaseUrl: string
  /** Unique among all processes; the same after a restart where possible, then that process goes on at once. */
  readonly executorId: string
  readonly heartbeatSeconds?: number
  /** A process that gives no sign of life for this long has lost its workflows to whoever is alive. */
  readonly leaseSeconds?: number
  /** How long finished workflows are kept. */
  readonly historyDays?: number
  /** How long a stop waits for the running steps to heed their signal. */
  readonly stopSeconds?: number
  readonly clock?: Clock
  readonly log?: (level: 'debug' | 'info' | 'warn' | 'error', message: string) => void
}

/** Fixed: workflows of another version are left alone. A flow that changes its steps gets a new name. */
const applicationVersion = '1'
/** Restarts that one workflow may live through. Beyond that it is what brings the process down. */
const maxRecoveryAttempts = 1000
const unfinished: ReadonlySet<string> = new Set(['PENDING', 'ENQUEUED', 'DELAYED'])
/** How soon a wait notices that its workflow was cancelled by another process. */
const cancelPollMilliseconds = 2_000

/** DBOS is one per process, so at most one of these may be between `launch` and `shutDown` at a time. */
export function dbosDurable(options: DurableOptions): Durable {
  const { databaseUrl, executorId, clock = { now: () => Date.now() }, log = () => {} } = options
  const leaseMilliseconds = (options.leaseSeconds ?? 20) * 1000
  const heartbeatMilliseconds = (options.heartbeatSeconds ?? 5) * 1000
  const historyMilliseconds = (options.historyDays ?? 90) * 24 * 3600 * 1000
  const stopMilliseconds = (options.stopSeconds ?? 10) * 1000
  const database = openDatabase(databaseUrl, 2)
  const runners = jobRunners(database, executorId, applicationVersion, () => clock.now())
  const workflows = new Map<string, (input: string) => Promise<void>>()
  const executions = new Map<string, AbortController>()
  const stop = new AbortController()
  const stepsUnderWay = new Set<Promise<unknown>>()
  let launched = false
  let beating: Promise<void> = Promise.resolve()

  /** What a stop, or another process that has taken over, cuts short says nothing about the job: it never goes on here. */
  const unlessOver = async <Value>(work: Promise<Value>): Promise<Value> => {
    try {
      return await work
    } catch (error) {
      if (stop.signal.aborted || error instanceof DbosError.DBOSWorkflowConflictError) return forever()
      throw error instanceof DbosError.DBOSError ? cutShort(error) : error
    }
  }

  const runStep = async (
    name: string,
    execution: AbortController,
    work: (signal: AbortSignal) => Promise<unknown>,
  ): Promise<unknown> => {
    if (stop.signal.aborted) return forever()
    const attempt = async (): Promise<string> => {
      const signals = [stop.signal, execution.signal, DBOS.stepStatus?.cancelSignal]
      const signal = AbortSignal.any(signals.filter((each) => each !== undefined))
      try {
        const done = work(signal)
        await track(stepsUnderWay, done)
        return writeResult(await done)
      } catch (error) {
        if (stop.signal.aborted || execution.signal.reason === TAKEN_OVER) return forever()
        // Cut short by the cancel: DBOS sees that and records nothing.
        if (signal.aborted) throw error
        return writeFailure(error)
      }
    }
    return readOutcome(await unlessOver(DBOS.runStep(attempt, { name })))
  }

  const receive = async (topic: string, timeoutSeconds: number): Promise<string | null> => {
    if (stop.signal.aborted) return forever()
    const wait = DBOS.recv<string>(topic, { timeoutSeconds, pollingIntervalMs: cancelPollMilliseconds })
    return unlessOver(wait)
  }

  const contextOf = (workflowId: string, execution: AbortController): DurableContext => ({
    workflowId,
    async step<Result>(name: string, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
      return (await runStep(name, execution, work)) as Result
    },
    async sleep(milliseconds) {
      // As a wait for what nobody sends: unlike DBOS's own sleep it ends when the workflow is cancelled.
      if (milliseconds > 0) await receive('(sleep)', milliseconds / 1000)
    },
    async waitForSignal<Value>(topic: string, timeoutSeconds: number): Promise<Value | null> {
      const value = await receive(topic, timeoutSeconds)
      return value === null ? null : (JSON.parse(value) as Value)
    },
  })

  const execute = async (workflow: Workflow<unknown>, input: string): Promise<void> => {
    const workflowId = DBOS.workflowID
    invariant(workflowId !== undefined, 'DBOS runs a workflow under its id')
    const execution = new AbortController()
    executions.set(workflowId, execution)
    try {
      await workflow(contextOf(workflowId, execution), JSON.parse(input))
    } catch (error) {
      if (stop.signal.aborted) return forever()
      // DBOS wants its own error back, above all to keep a cancelled workflow cancelled.
      throw error instanceof Error && error.cause instanceof DbosError.DBOSError ? error.cause : error
    } finally {
      if (executions.get(workflowId) === execution) executions.delete(workflowId)
    }
  }

  const beat = async (): Promise<void> => {
    const at = clock.now()
    await runners.beat(at, at + leaseMilliseconds)
  }

  const takeOver = async (expiredIsDead: boolean): Promise<void> => {
    const taken = await runners.takeOver(clock.now(), expiredIsDead)
    if (taken.length > 0) log('warn', `Took over from processes that are gone: ${taken.join(', ')}`)
  }

  /** They go on elsewhere: what this process still does of them would be done twice, or much too late. */
  const stopLost = async (): Promise<void> => {
    const lost = await runners.lost([...executions.keys()])
    for (const id of lost) executions.get(id)?.abort(TAKEN_OVER)
    if (lost.length > 0) log('warn', `Lost to other processes while this one stood still: ${lost.join(', ')}`)
  }

  /** Heartbeat, take-over and history, until the stop. What fails is tried again at the next beat. */
  const keepBeating = async (): Promise<void> => {
    // How long something lasts is told by the clock that nobody sets.
    let steadySince = performance.now()
    let beatAt = performance.now()
    let trimAt = 0
    while (await pause(heartbeatMilliseconds, stop.signal)) {
      try {
        await beat()
        const at = performance.now()
        const stoodStill = at - beatAt > leaseMilliseconds
        beatAt = at
        if (stoodStill) {
          steadySince = at
          await stopLost()
        }
        // After an outage of the database every lease has expired, of the living too: let them all beat once before judging.
        await takeOver(at - steadySince > leaseMilliseconds)
        if (at < trimAt) continue
        trimAt = at + trimEveryMilliseconds
        await trimHistory(clock.now() - historyMilliseconds)
      } catch (error) {
        steadySince = performance.now()
        log('warn', `No heartbeat: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  }

  return {
    register(name, workflow) {
      invariant(!launched, 'Workflows are registered before launch')
      invariant(!workflows.has(name), `The workflow ${name} is registered once`)
      // The database keeps the input as JSON; the name says which type it has.
      const run = (input: string): Promise<void> => execute(workflow as Workflow<unknown>, input)
      workflows.set(name, DBOS.registerWorkflow(run, { name, maxRecoveryAttempts }))
    },
    async launch() {
      invariant(!launched, 'It is launched once')
      launched = true
      // Before anything runs here: no peer may find our workflows without our heartbeat.
      await beat()
      DBOS.setConfig({
        name: 'understudy',
        systemDatabaseUrl: withIdleTimeout(databaseUrl),
        systemDatabaseSchemaName: 'dbos',
        executorID: executorId,
        applicationVersion,
        enableOTLP: false,
        tracingEnabled: false,
        logger: toDbosLogger(log),
      })
      await DBOS.launch().catch((error: unknown) => {
        throw notAnswering(error)
      })
      await takeOver(false)
      beating = keepBeating()
    },
    async start(name, id, input) {
      const workflow = workflows.get(name)
      invariant(launched && workflow, `The workflow ${name} is registered and launched`)
      await bounded(DBOS.startWorkflow(workflow, { workflowID: id })(JSON.stringify(input)))
    },
    async signal(id, topic, value) {
      try {
        await bounded(DBOS.send(id, JSON.stringify(value ?? null), topic))
      } catch (error) {
        throw error instanceof DbosError.DBOSNonExistentWorkflowError ? unknownJob(id) : error
      }
    },
    async cancel(id) {
      await bounded(DBOS.cancelWorkflow(id))
      // Only now: a step that is cut short must find its workflow cancelled, or its failure would count.
      executions.get(id)?.abort(new DOMException('The job was cancelled', 'AbortError'))
    },
    async isRunning(id) {
      const workflow = await bounded(DBOS.getWorkflowStatus(id))
      if (workflow === null || !unfinished.has(workflow.status)) return false
      // One that has come to this process, which does not know its name, goes on nowhere. DBOS leaves it as it is.
      return workflows.has(workflow.workflowName) || workflow.executorId !== executorId
    },
    async shutDown() {
      if (stop.signal.aborted) return
      stop.abort(new DOMException('The server is stopping', 'AbortError'))
      await beating
      await Promise.race([Promise.allSettled(stepsUnderWay), wait(stopMilliseconds, null, { ref: false })])
      if (launched) {
        await DBOS.shutdown({ deregister: true })
        await runners.leave().catch((error) => log('warn', `Could not sign off: ${error}`))
      }
      await database.close()
    },
  }
}

/** DBOS waits for a database that is away as long as it takes. Whoever asks for something over HTTP does not. */
const answerMilliseconds = 30_000

async function bounded<Value>(work: Promise<Value>): Promise<Value> {
  const answered = new AbortController()
  const late = wait(answerMilliseconds, null, { signal: answered.signal, ref: false }).then(() => {
    throw notAnswering(null)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    answered.abort()
  }
}

const notAnswering = (cause: unknown): Outage =>
  new Outage({
    code: 'store/unreachable',
    message: 'The database of the durable jobs does not answer',
    remedy: 'Nothing is lost; jobs go on when it is back. Check the PostgreSQL server and its disk.',
    cause,
  })

/** Why an execution is cut short that another process goes on with. */
const TAKEN_OVER = new DOMException('Another process has taken the job over', 'AbortError')

const forever = (): Promise<never> => new Promise(() => {})

/** What DBOS itself refuses (the workflow was cancelled, its steps are not these) is no failure of the job, so nothing is undone. */
const cutShort = (cause: Error): Error =>
  Object.assign(new Error(cause.message, { cause }), { name: 'AbortError' })

async function track(set: Set<Promise<unknown>>, work: Promise<unknown>): Promise<void> {
  set.add(work)
  try {
    await work
  } finally {
    set.delete(work)
  }
}

/** False when aborted. Does not keep the process alive. */
const pause = (milliseconds: number, signal: AbortSignal): Promise<boolean> =>
  wait(milliseconds, true, { signal, ref: false }).catch(() => false)

const trimEveryMilliseconds = 3600 * 1000
const trimAtOnce = 500

/** How long a process that froze in the middle of a transaction may keep its locks. */
const idleTransactionMilliseconds = 60_000

/**
 * DBOS would set this on every new connection while the connection's first query is on its way, which `pg` warns of at every
 * start and will not take in its next version. It leaves it be where the address has it. Pure.
 */
export function withIdleTimeout(databaseUrl: string): string {
  const url = new URL(databaseUrl)
  const given = url.searchParams.get('options')
  if (given?.includes('idle_in_transaction_session_timeout')) return databaseUrl
  const ours = `-c idle_in_transaction_session_timeout=${idleTransactionMilliseconds}`
  url.searchParams.set('options', given === null ? ours : `${given} ${ours}`)
  return url.href
}

/** Drops what ended before, a bounded lot at a time: the rest goes with the next. */
async function trimHistory(before: number): Promise<void> {
  const old = await DBOS.listWorkflows({
    completedBefore: new Date(before).toISOString(),
    status: ['SUCCESS', 'ERROR', 'CANCELLED'],
    limit: trimAtOnce,
    loadInput: false,
    loadOutput: false,
  })
  if (old.length > 0) await DBOS.deleteWorkflows(old.map((workflow) => workflow.workflowID))
}

function toDbosLogger(log: NonNullable<DurableOptions['log']>): DLogger {
  const text = (entry: unknown): string => (entry instanceof Error ? entry.message : String(entry))
  return {
    debug: () => {},
    info: (entry) => log('debug', text(entry)),
    warn: (entry) => log('warn', text(entry)),
    error: (entry) => log('error', text(entry)),
  }
}

const unknownJob = (id: string): Refusal =>
  new Refusal({
    code: 'job/not-found',
    message: `There is no job ${id}`,
    remedy: 'Reload the page; it may have ended long ago.',
  })
