import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startEmbeddedPostgres } from './embedded-postgres.ts'
import { dropDatabase, migrateDeploy, migrationsFolder, readMigrations } from './migrate.ts'
import { openMigrationEngine } from './migration-engine.ts'
import { makeTestHome } from './test-postgres.ts'

let server: Awaited<ReturnType<typeof startEmbeddedPostgres>>
const home = makeTestHome()
const drafts = mkdtempSync(path.join(os.tmpdir(), 'understudy-migrations-'))
beforeAll(async () => {
  server = await startEmbeddedPostgres({ home })
})
afterAll(async () => {
  await server.stop()
  for (const folder of [home, drafts]) rmSync(folder, { recursive: true, force: true })
})

const databaseUrl = (name: string): string => server.databaseUrl.replace(/[^/]*$/, name)
const schemaFile = fileURLToPath(new URL('../../../prisma/schema.prisma', import.meta.url))

function draft(name: string, migrations: Readonly<Record<string, string>>): string {
  const folder = path.join(drafts, name)
  for (const [migration, sql] of Object.entries(migrations)) {
    mkdirSync(path.join(folder, migration), { recursive: true })
    writeFileSync(path.join(folder, migration, 'migration.sql'), sql)
  }
  writeFileSync(path.join(folder, 'migration_lock.toml'), 'provider = "postgresql"\n')
  return folder
}

async function ask(url: string, statement: string): Promise<object[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(statement)).rows
  } finally {
    await client.end()
  }
}

/** What would have to be done to the migrated database to make it equal to the schema. */
async function difference(url: string, schema: string): Promise<string> {
  const { engine, close } = await openMigrationEngine({ url, schemas: [['schema.prisma', schema]] })
  try {
    const result = await engine.diff({
      from: { tag: 'migrations', ...(await readMigrations(migrationsFolder)) },
      to: { tag: 'schemaDatamodel', files: [{ path: 'schema.prisma', content: schema }] },
      exitCode: true,
      script: true,
      filters: { externalTables: [], externalEnums: [] },
    })
    return result.exitCode === 0 ? '' : (result.stdout ?? 'differs')
  } finally {
    await close()
  }
}

test('the committed migrations make exactly the tables that the schema describes', async () => {
  const url = databaseUrl('drift')
  await migrateDeploy(url)
  const schema = readFileSync(schemaFile, 'utf8')
  expect(await difference(url, schema)).toBe('')
  // And the comparison does see a difference where there is one.
  const changed = schema.replace('healthNote String?', 'healthNote String?\n  forgotten  String?')
  expect(await difference(url, changed)).toContain('ADD COLUMN     "forgotten" TEXT')
})

test('the database is created when it is absent, and a second run has nothing to do', async () => {
  const url = databaseUrl('fresh')
  const { migrationDirectories } = await readMigrations(migrationsFolder)
  expect(migrationDirectories.length).toBeGreaterThan(5)
  expect(await migrateDeploy(url)).toEqual(migrationDirectories.map(({ path: name }) => name).sort())
  expect(await migrateDeploy(url)).toEqual([])
  await dropDatabase(url)
  await dropDatabase(url)
  await expect(ask(url, 'SELECT 1')).rejects.toMatchObject({ code: '3D000' })
})

test('jobs that a former version has left active beside each other do not keep the server from starting', async () => {
  const url = databaseUrl('doubled')
  const [first] = (await readMigrations(migrationsFolder)).migrationDirectories
  const sql = first && readFileSync(path.join(migrationsFolder, first.path, 'migration.sql'), 'utf8')
  await migrateDeploy(url, draft('only-first', { [first?.path ?? '']: sql ?? '' }))
  const row = (id: string, kind: string) => `('${id}', '${kind}', 'queued', 'web', 'web', '[]', now(), 'ada')`
  await ask(
    url,
    `INSERT INTO "Job" ("id", "kind", "state", "subjectId", "subjectName", "tasks", "createdAt", "startedBy")
     VALUES ${row('lost', 'commit')}, ${row('beside', 'resync')}, ${row('end', 'end-protection')}, ${row('newest', 'roll-back')}`,
  )
  await migrateDeploy(url)
  const active = await ask(url, `SELECT "id" FROM "Job" WHERE "state" = 'queued' ORDER BY "id"`)
  expect(active).toEqual([{ id: 'beside' }, { id: 'end' }, { id: 'newest' }])
})

test('of several processes that migrate at once one does the work and the others wait for it', async () => {
  const folder = draft('slow', { '1_slow': 'SELECT pg_sleep(0.5); CREATE TABLE made_once (id int)' })
  const url = databaseUrl('together')
  const done = await Promise.all([1, 2, 3].map(() => migrateDeploy(url, folder)))
  expect(done.flat()).toEqual(['1_slow'])
  expect(await ask(url, 'SELECT count(*)::int AS rows FROM made_once')).toEqual([{ rows: 0 }])
})

test('function bodies and semicolons in strings reach the server whole', async () => {
  const sql = `
    CREATE FUNCTION answer() RETURNS text AS $$ BEGIN PERFORM 1; RETURN 'a;b'; END $$ LANGUAGE plpgsql;
    CREATE TABLE said AS SELECT answer() AS words;`
  const url = databaseUrl('bodies')
  await migrateDeploy(url, draft('bodies', { '1_body': sql }))
  expect(await ask(url, 'SELECT * FROM said')).toEqual([{ words: 'a;b' }])
})

test('a migration that fails leaves nothing half done, says why, and blocks the next start until it is mended', async () => {
  const url = databaseUrl('failing')
  const folder = draft('failing', { '1_bad': 'CREATE TABLE half (id int); SELECT nonsense;' })
  const failed = { name: 'Outage', code: 'store/migration-failed' }
  await expect(migrateDeploy(url, folder)).rejects.toMatchObject({
    ...failed,
    message: expect.stringContaining('nonsense'),
  })
  await expect(migrateDeploy(url, folder)).rejects.toMatchObject(failed)
  await expect(ask(url, 'SELECT * FROM half')).rejects.toMatchObject({ code: '42P01' })
})

test('a server that is not there and a password that is wrong are outages that say so', async () => {
  const wrong = databaseUrl('any').replace(/:[^:@]*@/, ':wrong@')
  await expect(migrateDeploy(wrong)).rejects.toMatchObject({
    code: 'store/migration-failed',
    message: expect.stringContaining('password authentication failed'),
  })
  await expect(migrateDeploy('postgresql://nobody@127.0.0.1:1/none')).rejects.toMatchObject({
    code: 'store/migration-failed',
    message: expect.stringContaining('ECONNREFUSED'),
  })
})
