// A PostgreSQL server for one test file, with a fresh database for every test that wants one. For tests only.
import { randomUUID } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { startEmbeddedPostgres } from './embedded-postgres.ts'
import { migrateDeploy } from './migrate.ts'

export type TestPostgres = {
  /** Of a database that is there and migrated, and empty. */
  newDatabase(): Promise<string>
  /** Removes every row: quicker than a new database for each test. */
  empty(databaseUrl: string): Promise<void>
  /** Stops the server and removes its files. */
  stop(): Promise<void>
}

/** The embedded PostgreSQL as the product starts it, in a folder of its own. */
export async function startTestPostgres(): Promise<TestPostgres> {
  const home = makeTestHome()
  const server = await startEmbeddedPostgres({ home })
  const template = 'migrated'
  const urlOf = (database: string): string => server.databaseUrl.replace(/[^/]*$/, database)
  await migrateDeploy(urlOf(template))
  return {
    async newDatabase() {
      const database = `test_${randomUUID().replaceAll('-', '')}`
      // A copy of migrated files is several times quicker than migrating again.
      await runStatement(
        urlOf('postgres'),
        `CREATE DATABASE ${database} TEMPLATE ${template} STRATEGY FILE_COPY`,
      )
      return urlOf(database)
    },
    empty: (databaseUrl) => runStatement(databaseUrl, emptyStatement),
    async stop() {
      await server.stop()
      rmSync(home, { recursive: true, force: true })
    },
  }
}

const emptyStatement = `
  DO $$ DECLARE tables text; BEGIN
    SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') INTO tables
    FROM pg_tables WHERE schemaname = 'public' AND tablename <> '_prisma_migrations';
    EXECUTE 'TRUNCATE ' || tables || ' CASCADE';
  END $$`

/** One statement over a connection of its own. */
export async function runStatement(databaseUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/** A new folder that the user whom PostgreSQL runs as may enter. */
export function makeTestHome(): string {
  const home = mkdtempSync(path.join(os.tmpdir(), 'understudy-postgres-'))
  chmodSync(home, 0o755)
  return home
}
