// Durable workflows over a log in memory. The log outlives the process, which can be killed at any moment.
import { Outage, Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import { invariant } from '@understudy/base/invariant'
import type { Durable, DurableContext, Workflow } from '@understudy/engine/ports/durable'
import type { VirtualClock } from './virtual-clock.ts'

/** One line per act of a workflow, in the order of its calls. What has its line is not done again. */
type LoggedAct = {
  readonly name: string
  /** JSON. `failure` is set when it threw. */
  readonly result: string | null
  readonly failure: LoggedFailure | null
}

type LoggedFailure = {
  readonly name: string
  readonly message: string
  readonly code: string
  readonly remedy: string
  readonly facts: string
}

type LoggedWorkflow = {
  readonly id: string
  readonly name: string
  readonly input: string
  state: 'running' | 'done' | 'failed' | 'cancelled'
  /** Why it failed: workflows are expected to catch. */
  failure: string | null
  readonly acts: LoggedAct[]
  /** Set when an act begins to wait, by its place; it waits for the rest after a restart. */
  readonly deadlines: Map<number, Instant>
  readonly mailbox: { readonly topic: string; readonly value: string }[]
}

/** What a database would keep. Pass the same one to the next process. */
export type DurableLog = { readonly workflows: Map<string, LoggedWorkflow> }

export const durableLog = (): DurableLog => ({ workflows: new Map() })

/** Where to die: around the n-th act (from 1) that this process carries out itself. */
export type DurableCrash = {
  readonly act: number
  /** `before` its work, `after` its work but before its result is kept, or once it is `kept`. */
  readonly moment: 'before' | 'after' | 'kept'
}

export type MemoryDurable = Durable & {
  /** The process stops where it is. Nothing of its workflows goes on, nothing is cleaned up. */
  kill(): void
  readonly dead: boolean
  readonly died: Promise<void>
  /** Acts carried out (not replayed) by this process. */
  readonly actCount: number
  /** Resolves when the workflow is over or this process is dead. */
  whenOver(id: string): Promise<void>
  /** Unexpected errors of workflows, for tests to assert that there are none. */
  failures(): readonly string[]
}

export type MemoryDurableOptions = {
  readonly log: DurableLog
  readonly clock: VirtualClock
  readonly crash?: DurableCrash
}

/** One process on the log. At a time only one may be alive: kill it, or shut it down, before the next. */
export function memoryDurable(options: MemoryDurableOptions): MemoryDurable {
  const { log, clock, crash } = options
  const registered = new Map<string, Workflow<unknown>>()
  const running = new Map<string, { readonly stop: AbortController; readonly over: Promise<void> }>()
  const waiters = new Map<string, () => void>()
  let launched = false
  let actCount = 0
  let state: 'alive' | 'dead' | 'shutDown' = 'alive'
  let announce = (): void => {}
  const died = new Promise<void>((resolve) => {
    announce = resolve
  })
  const never = (): Promise<never> => new Promise(() => {})
  const kill = (): void => {
    if (state === 'alive') state = 'dead'
    announce()
  }
  const dieAt = (act: number, moment: DurableCrash['moment']): void => {
    if (crash?.act === act && crash.moment === moment) kill()
  }

  const contextOf = (workflow: LoggedWorkflow, stop: AbortController): DurableContext => {
    let place = 0
    /** Takes the next line of the log, or writes it. The heart of it all. */
    const act = async (name: string, work: (place: number) => Promise<unknown>): Promise<unknown> => {
      const mine = place
      place += 1
      const line = workflow.acts[mine]
      if (line) {
        invariant(line.name === name, `workflow ${workflow.id} repeats "${line.name}", not "${name}"`)
        return replay(line)
      }
      if (state !== 'alive') return never()
      stop.signal.throwIfAborted()
      actCount += 1
      const count = actCount
      dieAt(count, 'before')
      if (state !== 'alive') return never()
      const done = await carryOut(name, () => work(mine))
      dieAt(count, 'after')
      if (state !== 'alive') return never()
      // A cancelled step was cut short: its failure says nothing about the world.
      if (done.failure !== null) stop.signal.throwIfAborted()
      workflow.acts[mine] = done
      dieAt(count, 'kept')
      if (state !== 'alive') return never()
      return replay(done)
    }
    const deadline = (at: number, milliseconds: number): Instant => {
      const known = workflow.deadlines.get(at) ?? clock.now() + milliseconds
      workflow.deadlines.set(at, known)
      return known
    }
    return {
      workflowId: workflow.id,
      async step<Result>(name: string, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
        return (await act(name, () => work(stop.signal))) as Result
      },
      async sleep(milliseconds) {
        await act('(sleep)', (at) => clock.sleep(deadline(at, milliseconds) - clock.now(), stop.signal))
      },
      async waitForSignal<Value>(topic: string, timeoutSeconds: number): Promise<Value | null> {
        const value = await act(`(signal ${topic})`, (at) =>
          receive(workflow, topic, deadline(at, timeoutSeconds * 1000), stop.signal),
        )
        return value as Value | null
      },
    }
  }

  const receive = async (
    workflow: LoggedWorkflow,
    topic: string,
    until: Instant,
    signal: AbortSignal,
  ): Promise<unknown> => {
    // A message is taken by the line in the log that returns it, so a crash in between loses none.
    const taken = workflow.acts.filter(
      ({ name, result }) => name === `(signal ${topic})` && result !== 'null',
    ).length
    for (;;) {
      const message = workflow.mailbox.filter((other) => other.topic === topic)[taken]
      if (message) return JSON.parse(message.value)
      const left = until - clock.now()
      if (left <= 0) return null
      const nudge = new AbortController()
      waiters.set(workflow.id, () => nudge.abort())
      await clock.sleep(left, AbortSignal.any([signal, nudge.signal])).catch(() => signal.throwIfAborted())
      waiters.delete(workflow.id)
    }
  }

  const run = (workflow: LoggedWorkflow): void => {
    if (running.has(workflow.id)) return
    const body = registered.get(workflow.name)
    if (!body) return
    const stop = new AbortController()
    const over = carryOut(workflow.name, () =>
      body(contextOf(workflow, stop), JSON.parse(workflow.input)),
    ).then((done) => {
      if (state !== 'alive') return
      running.delete(workflow.id)
      if (workflow.state !== 'running') return
      workflow.state = done.failure ? 'failed' : 'done'
      workflow.failure = done.failure?.message ?? null
    })
    running.set(workflow.id, { stop, over })
  }

  return {
    kill,
    died,
    get dead() {
      return state === 'dead'
    },
    get actCount() {
      return actCount
    },
    failures: () =>
      [...log.workflows.values()].flatMap(({ id, failure }) =>
        failure === null ? [] : [`${id}: ${failure}`],
      ),
    whenOver: (id) => Promise.race([running.get(id)?.over ?? Promise.resolve(), died]),
    register(name, workflow) {
      invariant(!launched, 'workflows are registered before launch')
      invariant(!registered.has(name), `workflow ${name} is registered once`)
      // The log keeps the input as JSON; the name says which type it has.
      registered.set(name, workflow as Workflow<unknown>)
    },
    async launch() {
      launched = true
      for (const workflow of log.workflows.values()) if (workflow.state === 'running') run(workflow)
    },
    async start(name, id, input) {
      if (state !== 'alive') return never()
      invariant(launched, 'start comes after launch')
      invariant(registered.has(name), `workflow ${name} is registered`)
      if (log.workflows.has(id)) return
      const workflow: LoggedWorkflow = {
        id,
        name,
        input: JSON.stringify(input),
        state: 'running',
        failure: null,
        acts: [],
        deadlines: new Map(),
        mailbox: [],
      }
      log.workflows.set(id, workflow)
      run(workflow)
    },
    async signal(id, topic, value) {
      if (state !== 'alive') return never()
      const workflow = log.workflows.get(id)
      if (!workflow) throw unknownWorkflow(id)
      workflow.mailbox.push({ topic, value: JSON.stringify(value) })
      waiters.get(id)?.()
    },
    async cancel(id) {
      if (state !== 'alive') return never()
      const workflow = log.workflows.get(id)
      if (workflow?.state !== 'running') return
      workflow.state = 'cancelled'
      running.get(id)?.stop.abort(new DOMException('The job was cancelled', 'AbortError'))
    },
    async isRunning(id) {
      const workflow = log.workflows.get(id)
      // One whose name this process does not know goes on nowhere.
      return workflow?.state === 'running' && registered.has(workflow.name)
    },
    async shutDown() {
      // As a kill: what is unfinished goes on in the next process, from its last kept act.
      if (state === 'alive') state = 'shutDown'
      announce()
    },
  }
}

async function carryOut(name: string, work: () => Promise<unknown>): Promise<LoggedAct> {
  try {
    const result = await work()
    return { name, result: result === undefined ? null : JSON.stringify(result), failure: null }
  } catch (error) {
    return { name, result: null, failure: toLogged(error) }
  }
}

function replay(line: LoggedAct): unknown {
  if (line.failure) throw fromLogged(line.failure)
  return line.result === null ? undefined : JSON.parse(line.result)
}

function toLogged(error: unknown): LoggedFailure {
  const facts = error instanceof Refusal || error instanceof Outage ? error : null
  return {
    name: error instanceof Error ? error.name : 'Error',
    message: error instanceof Error ? error.message : String(error),
    code: facts?.code ?? '',
    remedy: facts?.remedy ?? '',
    facts: JSON.stringify(facts?.facts ?? {}),
  }
}

function fromLogged({ name, message, code, remedy, facts }: LoggedFailure): Error {
  if (name === 'Refusal') return new Refusal({ code, message, remedy, facts: JSON.parse(facts) })
  if (name === 'Outage') return new Outage({ code, message, remedy, facts: JSON.parse(facts) })
  return Object.assign(new Error(message), { name })
}

const unknownWorkflow = (id: string): Refusal =>
  new Refusal({
    code: 'job/not-found',
    message: `There is no job ${id}`,
    remedy: 'Reload the page; it may have ended long ago.',
  })
