import { readFileSync, rmSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Refusal } from '@understudy/base/errors'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts'
import { type ProcessName, takeProcessName } from './process-name.ts'
import { makeTestHome, runStatement } from './test-postgres.ts'

const home = makeTestHome()
let server: EmbeddedPostgres
let databaseUrl: string
const taken: ProcessName[] = []

beforeAll(async () => {
  server = await startEmbeddedPostgres({ home })
  databaseUrl = server.databaseUrl.replace(/[^/]*$/, 'postgres')
})
afterEach(async () => {
  for (const name of taken.splice(0)) await name.release()
})
afterAll(async () => {
  await server.stop()
  rmSync(home, { recursive: true, force: true })
})

async function take(
  name: string,
  how: { onLost?: (why: Refusal) => void; patienceMilliseconds?: number; url?: string } = {},
) {
  const { onLost = () => {}, patienceMilliseconds = 0, url = databaseUrl } = how
  const held = await takeProcessName(url, name, { onLost, patienceMilliseconds })
  taken.push(held)
  return held
}

/** Every connection that holds a name. One that is only about to take it can still be overtaken. */
async function holders(): Promise<number[]> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const { rows } = await client.query<{ pid: number }>(
    `SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
     WHERE locktype = 'advisory' AND granted AND application_name LIKE 'understudy-name %'`,
  )
  await client.end()
  return rows.map(({ pid }) => pid)
}

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + 40_000
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Not within 40 s: ${what}`)
    await wait(50)
  }
}

test('a process whose name another living one has is refused, and gets it when that one has gone', async () => {
  const first = await take('server-a')
  await take('server-b')
  await expect(take('server-a')).rejects.toMatchObject({ name: 'Refusal', code: 'process/name-taken' })
  await first.release()
  await take('server-a', { patienceMilliseconds: 5000 })
})

test('a name is guarded again after PostgreSQL was started anew', async () => {
  await take('server-c')
  process.kill(
    Number(readFileSync(path.join(home, 'postgres/postmaster.pid'), 'utf8').split('\n')[0]),
    'SIGKILL',
  )
  await until('its lock is held again', () =>
    holders().then(
      (pids) => pids.length === 1,
      () => false,
    ),
  )
  await expect(take('server-c')).rejects.toMatchObject({ code: 'process/name-taken' })
})

test('a process that another one has taken the name from is told, once', async () => {
  const heard: string[] = []
  await take('server-d', { onLost: ({ code }) => heard.push(code) })
  const [pid] = await holders()
  const other = new pg.Client({ connectionString: databaseUrl })
  await other.connect()
  // It waits before the lock is free, so it is the quicker one.
  const quicker = other.query(`SELECT pg_advisory_lock(hashtextextended('understudy/process/server-d', 0))`)
  await runStatement(databaseUrl, `SELECT pg_terminate_backend(${pid})`)
  await quicker
  await until('it hears that it has lost its name', () => heard.length > 0)
  await wait(1500)
  expect(heard).toEqual(['process/name-taken'])
  await other.end()
})

test('what PostgreSQL keeps of a connection that was cut off does not stand in our way', async () => {
  const lost: string[] = []
  const way = await openWay(Number(new URL(databaseUrl).port))
  const url = databaseUrl.replace(/:\d+\//, `:${way.port}/`)
  await take('server-e', { url, onLost: ({ code }) => lost.push(code) })
  const former = await holders()
  way.cut()
  await until('another connection has the name', async () => {
    const now = await holders()
    return now.length === 1 && now[0] !== former[0]
  })
  expect(lost).toEqual([])
  await expect(take('server-e')).rejects.toMatchObject({ code: 'process/name-taken' })
  for (const name of taken.splice(0)) await name.release()
  way.close()
})

/** To PostgreSQL; when it is cut, our end notices and PostgreSQL does not. What is opened later goes through. */
async function openWay(port: number) {
  const ways: { readonly near: net.Socket; readonly far: net.Socket }[] = []
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1')
    for (const socket of [near, far]) socket.on('error', () => {})
    near.on('data', (data) => far.write(data))
    far.on('data', (data) => near.write(data))
    ways.push({ near, far })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as net.AddressInfo).port,
    cut() {
      for (const { near } of ways.splice(0, 1)) near.destroy()
    },
    close() {
      for (const { near, far } of ways) for (const socket of [near, far]) socket.destroy()
      server.close()
    },
  }
}
