// The Prisma CLI over our schema engine: what a developer types works with nothing downloaded.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { startTestPostgres, type TestPostgres } from '@understudy/store/test-postgres'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'

let postgres: TestPostgres
let databaseUrl: string
beforeAll(async () => {
  postgres = await startTestPostgres()
  databaseUrl = await postgres.newDatabase()
})
afterAll(() => postgres.stop())

function prisma(url: string, ...args: string[]): { readonly status: number | null; readonly output: string } {
  const root = path.dirname(import.meta.dirname)
  const program = path.join(root, 'node_modules/prisma/build/index.js')
  const done = spawnSync(process.execPath, [program, ...args, '--config', 'prisma/prisma.config.ts'], {
    cwd: root,
    encoding: 'utf8',
    // The engine is started by its first line, which looks for `node` on the path.
    env: { ...process.env, DATABASE_URL: url, PATH: `${path.dirname(process.execPath)}:${process.env.PATH}` },
  })
  return { status: done.status, output: done.stdout + done.stderr }
}

test('the CLI deploys the migrations into a database that is not there yet, and finds it up to date', () => {
  const url = `${databaseUrl}_new`
  const deployed = prisma(url, 'migrate', 'deploy')
  expect(deployed.output).toContain('have been successfully applied')
  const status = prisma(url, 'migrate', 'status')
  expect(status.output).toContain('Database schema is up to date')
  expect([deployed.status, status.status]).toEqual([0, 0])
})

test('the CLI compares migrations with the schema through a shadow database and leaves none behind', async () => {
  const same = ['--from-migrations', 'prisma/migrations', '--to-schema', 'prisma/schema.prisma']
  const difference = prisma(databaseUrl, 'migrate', 'diff', ...same, '--exit-code')
  expect(difference.output).toContain('No difference detected')
  const all = prisma(
    databaseUrl,
    'migrate',
    'diff',
    '--from-empty',
    '--to-schema',
    'prisma/schema.prisma',
    '--script',
  )
  expect(all.output).toContain('CREATE TABLE "Protection"')
  expect([difference.status, all.status]).toEqual([0, 0])
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const { rows } = await client.query("SELECT datname FROM pg_database WHERE datname LIKE 'prisma%'")
  await client.end()
  expect(rows).toEqual([])
})

test('a wrong password is told with the code that the CLI knows', () => {
  const wrong = databaseUrl.replace(/:[^:@]*@/, ':wrong@')
  const deployed = prisma(wrong, 'migrate', 'deploy')
  expect(deployed.output).toContain('P1000')
  expect(deployed.status).toBe(1)
})
