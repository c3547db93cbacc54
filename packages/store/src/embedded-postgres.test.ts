import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { afterEach, expect, test } from 'vitest'
import { type EmbeddedPostgres, type PostgresNews, startEmbeddedPostgres } from './embedded-postgres.ts'
import { migrateDeploy } from './migrate.ts'
import { makeTestHome } from './test-postgres.ts'

const cleanUps: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

const newHome = (): string => {
  const home = makeTestHome()
  cleanUps.push(async () => rmSync(home, { recursive: true, force: true }))
  return home
}

async function start(home: string, heard: PostgresNews[] = []): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ home, onNews: (news) => heard.push(news) })
  cleanUps.push(() => server.stop())
  return server
}

const serverPid = (home: string): number =>
  Number(readFileSync(path.join(home, 'postgres/postmaster.pid'), 'utf8').split('\n')[0])

async function ask<Row extends object>(url: string, statement: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 })
  // The server is killed under it in these tests; the query says so too.
  client.on('error', () => {})
  try {
    await client.connect()
    return (await client.query<Row>(statement)).rows
  } finally {
    await client.end().catch(() => {})
  }
}

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 40_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`Not within 40 s: ${what}`)
    await wait(25)
  }
}

const answers = (url: string): Promise<boolean> =>
  ask(url.replace(/[^/]*$/, 'postgres'), 'SELECT 1').then(
    () => true,
    () => false,
  )

test('a running server is adopted with its address, and a stopped one is started again with its data', async () => {
  const home = newHome()
  const first = await start(home)
  await migrateDeploy(first.databaseUrl)
  await ask(first.databaseUrl, `INSERT INTO "Mover" VALUES ('kept', now(), now())`)
  first.leave()

  const second = await start(home)
  expect([first.adopted, second.adopted]).toEqual([false, true])
  expect(second.databaseUrl).toBe(first.databaseUrl)
  await second.stop()
  await second.stop()
  expect(await answers(first.databaseUrl)).toBe(false)

  const third = await start(home)
  expect(third.adopted).toBe(false)
  expect(await ask(third.databaseUrl, 'SELECT id FROM "Mover"')).toEqual([{ id: 'kept' }])
})

test('nobody without the password gets in, only this computer is served, and the password is for its owner', async () => {
  const home = newHome()
  const server = await start(home)
  const wrong = server.databaseUrl.replace(/:[^:@]*@/, ':wrong@').replace(/[^/]*$/, 'postgres')
  await expect(ask(wrong, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' })
  const postgres = server.databaseUrl.replace(/[^/]*$/, 'postgres')
  expect(await ask(postgres, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }])
  expect(statSync(path.join(home, 'postgres.secret')).mode & 0o777).toBe(0o600)
  expect(statSync(path.join(home, 'postgres')).mode & 0o077).toBe(0)
})

test('when another program has taken its port while it was down, it comes up at another one', async () => {
  const home = newHome()
  const first = await start(home)
  await first.stop()
  const intruder = net.createServer().listen(first.port, '127.0.0.1')
  cleanUps.push(async () => void intruder.close())
  await until('the intruder listens', () => intruder.listening)

  const second = await start(home)
  expect(second.port).not.toBe(first.port)
  expect(await answers(second.databaseUrl)).toBe(true)
})

test('a server that is killed while it writes comes back by itself, with everything it had acknowledged', async () => {
  const home = newHome()
  const heard: PostgresNews[] = []
  const server = await start(home, heard)
  await migrateDeploy(server.databaseUrl)
  await ask(server.databaseUrl, 'CREATE TABLE written (number int PRIMARY KEY)')

  let acknowledged = 0
  const writing = (async () => {
    const client = new pg.Client({ connectionString: server.databaseUrl })
    client.on('error', () => {})
    await client.connect()
    for (let number = 1; ; number += 1) {
      await client.query('INSERT INTO written VALUES ($1)', [number])
      acknowledged = number
    }
  })()
  await until('a hundred rows are written', () => acknowledged >= 100)
  process.kill(serverPid(home), 'SIGKILL')
  await expect(writing).rejects.toThrow()

  await until('the supervisor has restarted it', () => heard.includes('restarted'))
  expect(heard).toEqual(['started', 'lost', 'restarted'])
  const [row] = await ask<{ rows: number; newest: number }>(
    server.databaseUrl,
    'SELECT count(*)::int AS rows, max(number) AS newest FROM written',
  )
  expect(row?.rows).toBe(row?.newest)
  // The row that was on its way may be there; none that was acknowledged may be missing.
  expect([acknowledged, acknowledged + 1]).toContain(row?.rows)
})

test('the server outlives kill -9 of its supervisor, and the next one adopts it and can stop it', async () => {
  const home = newHome()
  const script = `
    import { startEmbeddedPostgres } from ${JSON.stringify(path.join(import.meta.dirname, 'embedded-postgres.ts'))}
    const server = await startEmbeddedPostgres({ home: ${JSON.stringify(home)} })
    process.stdout.write(server.databaseUrl)
    setInterval(() => {}, 1000)`
  const supervisor = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let url = ''
  supervisor.stdout.on('data', (data) => {
    url += String(data)
  })
  await until('the supervisor has started it', () => url !== '')
  supervisor.kill('SIGKILL')
  await until('the supervisor is dead', () => supervisor.signalCode === 'SIGKILL')
  expect(await answers(url)).toBe(true)

  const next = await start(home)
  expect(next.adopted).toBe(true)
  expect(next.databaseUrl).toBe(url)
  await next.stop()
  expect(await answers(url)).toBe(false)
})

test('an interrupted initialisation is made anew', async () => {
  const home = newHome()
  const first = await start(home)
  await first.stop()
  // As a kill in the middle of initdb leaves it: the draft is there, the cluster is not.
  rmSync(path.join(home, 'postgres'), { recursive: true })
  mkdirSync(path.join(home, 'postgres.new'))
  writeFileSync(path.join(home, 'postgres.new/PG_VERSION'), '18\n')
  const second = await start(home)
  expect(await answers(second.databaseUrl)).toBe(true)
})
