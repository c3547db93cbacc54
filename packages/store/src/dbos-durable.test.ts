import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import type { Durable } from '@understudy/engine/ports/durable'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { dbosDurable, withIdleTimeout } from './dbos-durable.ts'
import { type EmbeddedPostgres, type PostgresNews, startEmbeddedPostgres } from './embedded-postgres.ts'
import { migrateDeploy } from './migrate.ts'
import { type DurableCommand, testTables } from './test-durable-process.ts'
import { makeTestHome } from './test-postgres.ts'

const home = makeTestHome()
// Node tells each deprecation once in a process: whoever listens later does not hear it.
const warnings: string[] = []
process.on('warning', ({ message }) => warnings.push(message))
const news: PostgresNews[] = []
let server: EmbeddedPostgres
let database: pg.Pool
let databaseUrl: string
let databases = 0
const workers: Worker[] = []

beforeAll(async () => {
  server = await startEmbeddedPostgres({ home, onNews: (what) => news.push(what) })
})
afterAll(async () => {
  await server.stop()
  rmSync(home, { recursive: true, force: true })
})
beforeEach(async () => {
  databases += 1
  databaseUrl = server.databaseUrl.replace(/[^/]*$/, `durable_${databases}`)
  await migrateDeploy(databaseUrl)
  database = new pg.Pool({ connectionString: databaseUrl, max: 2 })
  database.on('error', () => {})
  await database.query(testTables)
})
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.kill()
  await database.end()
})

type Worker = {
  ask(command: DurableCommand): Promise<unknown>
  kill(): Promise<void>
  /** Stands still, as a computer that is suspended. */
  stun(): void
  wake(): void
}

const program = path.join(import.meta.dirname, 'test-durable-process.ts')

/** A process of its own that has launched the durable work. Its lease is short, so that its death is noticed soon. */
async function work(executorId: string, leaseSeconds = 4): Promise<Worker> {
  const child = spawn(process.execPath, [program, databaseUrl, executorId, String(leaseSeconds)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<unknown> => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`${executorId} has ended`)
    return JSON.parse(value)
  }
  const worker: Worker = {
    ask: (command) => {
      child.stdin.write(`${JSON.stringify(command)}\n`)
      return next()
    },
    kill: () => kill(child),
    stun: () => void child.kill('SIGSTOP'),
    wake: () => void child.kill('SIGCONT'),
  }
  workers.push(worker)
  expect(await next()).toBe('ready')
  return worker
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
}

const shut = (step: string) => database.query('INSERT INTO gate VALUES ($1)', [step])
const open = (step: string) => database.query('DELETE FROM gate WHERE step = $1', [step])

async function marks(id: string): Promise<string[]> {
  const { rows } = await database.query<{ step: string; moment: string; process: string }>(
    'SELECT step, moment, process FROM mark WHERE id = $1 ORDER BY place',
    [id],
  )
  return rows.map((row) => `${row.process}: ${row.step} ${row.moment}`)
}

/** All marks, once there is one that ends with `mark`. */
async function seen(id: string, mark: string): Promise<string[]> {
  const deadline = Date.now() + 40_000
  for (;;) {
    const all = await marks(id).catch((): string[] => [])
    if (all.some((each) => each.endsWith(mark))) return all
    if (Date.now() > deadline) throw new Error(`"${mark}" did not come within 40 s: ${all.join(', ')}`)
    await wait(20)
  }
}

test('after kill -9 in the middle of a step the finished steps are not repeated, and that one is', async () => {
  await shut('b')
  const first = await work('one')
  await first.ask({ do: 'start', id: 'job', steps: ['a', 'b', 'c'] })
  await seen('job', 'one: b begins')
  await first.kill()
  await open('b')
  await work('one')
  expect(await seen('job', 'one: walk done')).toEqual([
    'one: a begins',
    'one: a ends',
    'one: b begins',
    'one: b begins',
    'one: b ends',
    'one: c begins',
    'one: c ends',
    'one: walk done',
  ])
})

test('another process takes over what a killed one left, and only when its lease has expired', async () => {
  await shut('b')
  const first = await work('one')
  await work('two')
  await first.ask({ do: 'start', id: 'job', steps: ['a', 'b'] })
  await seen('job', 'one: b begins')
  // Alive and busy for longer than a lease: nobody touches it.
  await wait(6_000)
  expect(await marks('job')).toEqual(['one: a begins', 'one: a ends', 'one: b begins'])
  await first.kill()
  await open('b')
  const all = await seen('job', 'two: walk done')
  expect(all.slice(3)).toEqual(['two: b begins', 'two: b ends', 'two: walk done'])
})

test('a process that stood still for longer than its lease lets go of the step that another one goes on with', async () => {
  await shut('b')
  const first = await work('one')
  await work('two')
  await first.ask({ do: 'start', id: 'job', steps: ['a', 'b', 'c'] })
  await seen('job', 'one: b begins')
  first.stun()
  await seen('job', 'two: b begins')
  first.wake()
  await seen('job', 'one: b aborted')
  await open('b')
  const all = await seen('job', 'two: walk done')
  expect(all.filter((mark) => mark.startsWith('one:'))).toEqual([
    'one: a begins',
    'one: a ends',
    'one: b begins',
    'one: b aborted',
  ])
})

test('a clock that is set back does not keep a process from taking over what a dead one left', async () => {
  await shut('b')
  const dying = await work('one')
  await dying.ask({ do: 'start', id: 'job', steps: ['a', 'b'] })
  await seen('job', 'one: b begins')
  let behindMilliseconds = 0
  const durable = dbosDurable({
    databaseUrl,
    executorId: 'two',
    leaseSeconds: 2,
    heartbeatSeconds: 0.5,
    clock: { now: () => Date.now() - behindMilliseconds },
  })
  const done: string[] = []
  durable.register<readonly string[]>('walk', async (context, steps) => {
    for (const step of steps) await context.step(step, async () => void done.push(step))
  })
  await durable.launch()
  behindMilliseconds = 3_600_000
  await dying.kill()
  for (const deadline = Date.now() + 20_000; done.length === 0 && Date.now() < deadline; ) await wait(50)
  await durable.shutDown()
  expect(done).toEqual(['b'])
})

test('a process that stops cleanly asks its step to end and leaves its work to others at once', async () => {
  await shut('b')
  const first = await work('one', 60)
  await first.ask({ do: 'start', id: 'job', steps: ['a', 'b'] })
  await seen('job', 'one: b begins')
  expect(await first.ask({ do: 'shutDown' })).toBe('ok')
  await open('b')
  await work('two', 60)
  const all = await seen('job', 'two: walk done')
  expect(all.slice(2)).toEqual([
    'one: b begins',
    'one: b aborted',
    'two: b begins',
    'two: b ends',
    'two: walk done',
  ])
})

test('a signal that is sent while nobody is there is received afterwards, once', async () => {
  const first = await work('one')
  await first.ask({ do: 'start', id: 'job', steps: ['a', 'wait approval', 'expire approval'] })
  await seen('job', 'one: a ends')
  const second = await work('two')
  await first.kill()
  await second.ask({ do: 'signal', id: 'job', topic: 'approval', value: 'yes' })
  const all = await seen('job', 'two: walk done')
  expect(all.slice(2)).toEqual(['two: yes received', 'two: null received', 'two: walk done'])
  expect(await second.ask({ do: 'signal', id: 'nobody', topic: 'approval', value: 1 })).toEqual({
    code: 'job/not-found',
  })
})

test('the same id starts once, also from another process and after the end', async () => {
  const [first, second] = [await work('one'), await work('two')]
  const command: DurableCommand = { do: 'start', id: 'job', steps: ['a'] }
  await Promise.all([first.ask(command), second.ask(command)])
  await seen('job', 'walk done')
  await first.ask(command)
  await second.ask(command)
  expect((await marks('job')).filter((mark) => mark.endsWith('begins'))).toHaveLength(1)
})

test('a cancelled job is over at once, its step is told, and no further step begins, wherever it was cancelled', async () => {
  await shut('b')
  const [first, second] = [await work('one'), await work('two')]
  for (const [id, canceller] of [
    ['near', first],
    ['far', second],
  ] as const) {
    await first.ask({ do: 'start', id, steps: ['a', 'b', 'c'] })
    await seen(id, 'one: b begins')
    expect(await second.ask({ do: 'isRunning', id })).toBe(true)
    await canceller.ask({ do: 'cancel', id })
    expect(await second.ask({ do: 'isRunning', id })).toBe(false)
    await seen(id, 'one: b aborted')
  }
  await open('b')
  // A restart does not bring them back either.
  await first.kill()
  await work('one')
  await wait(3_000)
  for (const id of ['near', 'far'])
    expect(await marks(id)).toEqual(['one: a begins', 'one: a ends', 'one: b begins', 'one: b aborted'])
})

test('a sleep goes on where it was after a restart', async () => {
  const first = await work('one')
  const began = Date.now()
  await first.ask({ do: 'start', id: 'job', steps: ['a', 'sleep 4000', 'b'] })
  await seen('job', 'one: a ends')
  const deadline = await sleepDeadline('job')
  await first.kill()
  await work('one')
  await seen('job', 'one: walk done')
  expect(Date.now() - began).toBeGreaterThanOrEqual(4_000)
  // Not anew from the restart: the end that was written down at first still holds.
  expect(await sleepDeadline('job')).toBe(deadline)
})

/** When the one sleep of the workflow ends, as DBOS has written it down. */
async function sleepDeadline(id: string): Promise<string> {
  const deadline = Date.now() + 40_000
  for (;;) {
    const { rows } = await database.query<{ output: string }>(
      "SELECT output FROM dbos.operation_outputs WHERE workflow_uuid = $1 AND function_name = 'DBOS.sleep'",
      [id],
    )
    if (rows.length > 1) throw new Error('There is more than one sleep')
    if (rows[0]) return rows[0].output
    if (Date.now() > deadline) throw new Error('No sleep was written down within 40 s')
    await wait(20)
  }
}

test('a failure of a step is of the same kind at first and when it is replayed', async () => {
  await shut('b')
  const first = await work('one')
  await first.ask({ do: 'start', id: 'job', steps: ['fail', 'b'] })
  const before = (await seen('job', 'one: b begins')).filter((mark) => mark.endsWith('failed'))
  const described = '{"code":"test/failed","remedy":"Try less.","facts":{"lagSeconds":3},"name":'
  expect(before[0]).toBe(`one: Refusal Refusal ${described}"Refusal"} failed`)
  expect(before[1]).toBe(`one: Outage Outage ${described}"Outage"} failed`)
  expect(before[2]).toContain('other RangeError')
  await first.kill()
  await open('b')
  await work('one')
  const after = (await seen('job', 'one: walk done')).filter((mark) => mark.endsWith('failed'))
  expect(after).toEqual([...before, ...before])
})

test('a job survives kill -9 of the database in the middle of its step', async () => {
  await shut('b')
  const first = await work('one')
  await first.ask({ do: 'start', id: 'job', steps: ['a', 'b', 'c'] })
  await seen('job', 'one: b begins')
  process.kill(
    Number(readFileSync(path.join(home, 'postgres/postmaster.pid'), 'utf8').split('\n')[0]),
    'SIGKILL',
  )
  // Some of its processes still answer for a moment; the gate opens only when the new ones do.
  const deadline = Date.now() + 40_000
  while (!news.includes('restarted') && Date.now() < deadline) await wait(50)
  await open('b')
  const all = await seen('job', 'one: walk done')
  expect(all.filter((mark) => mark === 'one: a begins')).toHaveLength(1)
  expect(all.slice(-3)).toEqual(['one: c begins', 'one: c ends', 'one: walk done'])
})

test('after a clean stop it can be opened again in the same process, and goes on', async () => {
  const reached: string[] = []
  const life = (until: string): Durable => {
    const durable = dbosDurable({ databaseUrl, executorId: 'same', stopSeconds: 5 })
    durable.register<string>('walk', async (context, input) => {
      await context.step('first', async () => void reached.push(`first ${input}`))
      await context.step('second', async (signal) => {
        reached.push(`second ${until}`)
        if (until === 'stopped') await wait(60_000, null, { signal })
      })
      reached.push('done')
    })
    return durable
  }
  const seenHere = async (what: string): Promise<void> => {
    const deadline = Date.now() + 20_000
    while (!reached.includes(what)) {
      if (Date.now() > deadline) throw new Error(`"${what}" did not come within 20 s`)
      await wait(20)
    }
  }
  const first = life('stopped')
  await first.launch()
  await first.start('walk', 'job', 'input')
  await seenHere('second stopped')
  await first.shutDown()
  await first.shutDown()
  const second = life('run')
  await second.launch()
  await seenHere('done')
  expect(reached).toEqual(['first input', 'second stopped', 'second run', 'done'])
  while (await second.isRunning('job')) await wait(20)
  await second.shutDown()
})

test('a workflow whose steps have become others is cut short: that is no failure that it may undo', async () => {
  const seenErrors: string[] = []
  const life = (step: string): Durable => {
    const durable = dbosDurable({ databaseUrl, executorId: 'changed', stopSeconds: 1 })
    durable.register<string>('changing', async (context) => {
      try {
        await context.step(step, async () => {})
        await context.waitForSignal('never', 60)
      } catch (error) {
        seenErrors.push((error as Error).name)
        throw error
      }
    })
    return durable
  }
  const first = life('one')
  await first.launch()
  await first.start('changing', 'job', '')
  const recorded = 'SELECT 1 FROM dbos.operation_outputs WHERE workflow_uuid = $1'
  while ((await database.query(recorded, ['job'])).rowCount === 0) await wait(20)
  await first.shutDown()
  const second = life('other')
  await second.launch()
  for (const deadline = Date.now() + 20_000; (await second.isRunning('job')) && Date.now() < deadline; )
    await wait(20)
  expect(await second.isRunning('job')).toBe(false)
  await second.shutDown()
  expect(seenErrors).toEqual(['AbortError'])
})

test('a workflow of a name that nobody has registered any more does not count as running, and stays cancelled when the name is back', async () => {
  const life = (name: string): Durable => {
    const durable = dbosDurable({ databaseUrl, executorId: 'renamed', stopSeconds: 1 })
    durable.register<string>(name, async (context) => void (await context.waitForSignal('never', 60)))
    return durable
  }
  const first = life('flow/1')
  await first.launch()
  await first.start('flow/1', 'job', '')
  await first.shutDown()
  const second = life('flow/2')
  await second.launch()
  for (const deadline = Date.now() + 20_000; (await second.isRunning('job')) && Date.now() < deadline; )
    await wait(20)
  expect(await second.isRunning('job')).toBe(false)
  await second.cancel('job')
  await second.shutDown()
  const third = life('flow/1')
  await third.launch()
  expect(await third.isRunning('job')).toBe(false)
  await third.shutDown()
})

test('a start uses nothing of the database client that is deprecated, and bounds idle transactions', async () => {
  const durable = dbosDurable({ databaseUrl, executorId: 'quiet' })
  await durable.launch()
  const bounded = new pg.Client({ connectionString: withIdleTimeout(databaseUrl) })
  await bounded.connect()
  const { rows } = await bounded.query('SHOW idle_in_transaction_session_timeout')
  await bounded.end()
  await durable.shutDown()
  expect(rows).toEqual([{ idle_in_transaction_session_timeout: '1min' }])
  expect(warnings.filter((message) => message.includes('deprecated'))).toEqual([])
})

test.each([
  ['postgresql://u@h/d', '-c idle_in_transaction_session_timeout=60000'],
  ['postgresql://u@h/d?options=-c%20a%3D1', '-c a=1 -c idle_in_transaction_session_timeout=60000'],
  [
    'postgresql://u@h/d?options=-c%20idle_in_transaction_session_timeout%3D5',
    '-c idle_in_transaction_session_timeout=5',
  ],
])('an address %s keeps its options', (url, options) => {
  expect(new URL(withIdleTimeout(url)).searchParams.get('options')).toBe(options)
})

test('a database that is not there is an outage, not a hang', async () => {
  const durable = dbosDurable({ databaseUrl: 'postgresql://nobody@127.0.0.1:1/none', executorId: 'lost' })
  await expect(durable.launch()).rejects.toMatchObject({ name: 'Outage', code: 'store/unreachable' })
  await durable.shutDown()
})
