// A process that runs durable work, for tests that kill it. Commands come as JSON lines, answers go the same way.
//
// Its one workflow, `walk`, goes through the steps of its input. Each leaves a mark when it begins and when it ends; a step
// whose name is in the table `gate` waits until the test takes it out. Steps that begin with a word do more: see `walk`.
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { Outage, Refusal } from '@understudy/base/errors'
import type { DurableContext } from '@understudy/engine/ports/durable'
import pg from 'pg'
import { dbosDurable } from './dbos-durable.ts'

export type DurableCommand =
  | { readonly do: 'start'; readonly id: string; readonly steps: readonly string[] }
  | { readonly do: 'signal'; readonly id: string; readonly topic: string; readonly value: unknown }
  | { readonly do: 'cancel' | 'isRunning'; readonly id: string }
  | { readonly do: 'shutDown' }

export const testTables = `
  CREATE TABLE mark (place serial, id text, step text, moment text, process text);
  CREATE TABLE gate (step text PRIMARY KEY);`

async function walk(
  pool: pg.Pool,
  process: string,
  context: DurableContext,
  steps: readonly string[],
): Promise<void> {
  const id = context.workflowId
  const mark = async (step: string, moment: string): Promise<void> => {
    await pool.query('INSERT INTO mark (id, step, moment, process) VALUES ($1, $2, $3, $4)', [
      id,
      step,
      moment,
      process,
    ])
  }
  for (const step of steps) {
    const [word, argument] = step.split(' ')
    if (word === 'sleep') await context.sleep(Number(argument))
    else if (word === 'wait') await mark(`${await context.waitForSignal(String(argument), 60)}`, 'received')
    else if (word === 'expire') await mark(`${await context.waitForSignal(String(argument), 1)}`, 'received')
    else if (word === 'fail') await fail(context, mark, step)
    else await context.step(step, (signal) => walkStep(pool, mark, step, signal))
  }
  await mark('walk', 'done')
}

async function walkStep(
  pool: pg.Pool,
  mark: (step: string, moment: string) => Promise<void>,
  step: string,
  signal: AbortSignal,
): Promise<string> {
  await mark(step, 'begins')
  while ((await atGate(pool, step)) && !signal.aborted) await wait(20)
  if (signal.aborted) {
    await mark(step, 'aborted')
    throw new Error('cut short')
  }
  await mark(step, 'ends')
  return `${step} is done`
}

/** While the database is away the gate is shut. */
async function atGate(pool: pg.Pool, step: string): Promise<boolean> {
  try {
    return (await pool.query('SELECT 1 FROM gate WHERE step = $1', [step])).rowCount !== 0
  } catch {
    return true
  }
}

async function fail(
  context: DurableContext,
  mark: (step: string, moment: string) => Promise<void>,
  step: string,
): Promise<void> {
  const description = {
    code: 'test/failed',
    message: 'It failed',
    remedy: 'Try less.',
    facts: { lagSeconds: 3 },
  }
  for (const failure of [new Refusal(description), new Outage(description), new RangeError('odd')]) {
    try {
      await context.step(`${step} ${failure.name}`, () => Promise.reject(failure))
    } catch (error) {
      const kind = error instanceof Refusal ? 'Refusal' : error instanceof Outage ? 'Outage' : 'other'
      await mark(`${kind} ${(error as Error).name} ${JSON.stringify({ ...(error as Error) })}`, 'failed')
    }
  }
}

async function main(databaseUrl: string, executorId: string, leaseSeconds: number): Promise<void> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 4 })
  pool.on('error', () => {})
  const durable = dbosDurable({
    databaseUrl,
    executorId,
    leaseSeconds,
    heartbeatSeconds: leaseSeconds / 4,
    stopSeconds: 5,
    log: (level, message) => {
      if (process.env.VERBOSE) console.error(executorId, level, message)
    },
  })
  durable.register<readonly string[]>('walk', (context, steps) => walk(pool, executorId, context, steps))
  await durable.launch()
  const answer = (value: unknown): boolean => process.stdout.write(`${JSON.stringify(value)}\n`)
  answer('ready')

  const obey = async (command: DurableCommand): Promise<unknown> => {
    switch (command.do) {
      case 'start':
        return durable.start('walk', command.id, command.steps)
      case 'signal':
        return durable.signal(command.id, command.topic, command.value)
      case 'cancel':
        return durable.cancel(command.id)
      case 'isRunning':
        return durable.isRunning(command.id)
      case 'shutDown':
        return durable.shutDown()
    }
  }
  for await (const line of createInterface({ input: process.stdin })) {
    const command: DurableCommand = JSON.parse(line)
    try {
      answer((await obey(command)) ?? 'ok')
    } catch (error) {
      answer({ code: (error as { code?: string }).code ?? String(error) })
    }
    if (command.do === 'shutDown') break
  }
  await pool.end()
  process.exit(0)
}

const [databaseUrl, executorId, leaseSeconds] = process.argv.slice(2)
if (import.meta.main && databaseUrl && executorId) await main(databaseUrl, executorId, Number(leaseSeconds))
