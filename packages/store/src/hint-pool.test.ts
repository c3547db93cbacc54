import { rmSync } from 'node:fs'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts'
import { openHintPool } from './hint-pool.ts'
import { migrateDeploy } from './migrate.ts'
import { makeTestHome } from './test-postgres.ts'

const home = makeTestHome()
let server: EmbeddedPostgres

beforeAll(async () => {
  server = await startEmbeddedPostgres({ home })
  await migrateDeploy(server.databaseUrl)
})
afterAll(async () => {
  await server.stop()
  rmSync(home, { recursive: true, force: true })
})

test('a listening connection that breaks again and again neither ends the process nor uses the pool up', async () => {
  const hints = openHintPool(server.databaseUrl)
  const other = new pg.Client({ connectionString: server.databaseUrl })
  await other.connect()
  try {
    // More often than the pool has places. The listener never gives its connection back: it has gone.
    for (let round = 0; round < 5; round += 1) {
      const listener = await hints.pool.connect()
      const ended = new Promise<void>((resolve) => listener.once('end', () => resolve()))
      const { rows } = await listener.query<{ pid: number }>('select pg_backend_pid() as pid')
      await other.query('select pg_terminate_backend($1)', [rows[0]?.pid])
      await ended
    }
    expect((await hints.pool.query<{ one: number }>('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(hints.pool.totalCount).toBe(1)
  } finally {
    await other.end()
    await hints.close()
  }
})
