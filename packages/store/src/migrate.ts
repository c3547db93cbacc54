// What `prisma migrate deploy` does, in process: the product needs no Prisma CLI at run time.
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { DriverAdapterError } from '@prisma/driver-adapter-utils'
import type { MigrationList } from '@prisma/schema-engine-wasm/schema_engine_bg'
import { Outage } from '@understudy/base/errors'
import pg from 'pg'
import { openMigrationConnection, toDatabaseAddress } from './migration-connection.ts'
import { openMigrationEngine } from './migration-engine.ts'

/** The product's own migrations. */
export const migrationsFolder = fileURLToPath(new URL('../../../prisma/migrations', import.meta.url))

/**
 * Creates the database when it is absent, then applies the migrations that are pending. Returns their names. Repeatable;
 * several processes at once wait for each other. Outage when the server cannot be reached or a migration fails.
 */
export async function migrateDeploy(
  url: string,
  folder: string = migrationsFolder,
): Promise<readonly string[]> {
  try {
    await ensureDatabase(url)
    const { engine, close } = await openMigrationEngine({ url })
    try {
      const result = await engine.applyMigrations({
        migrationsList: await readMigrations(folder),
        filters: { externalTables: [], externalEnums: [] },
      })
      return result.appliedMigrationNames
    } finally {
      await close()
    }
  } catch (error) {
    throw toOutage(error)
  }
}

async function ensureDatabase(url: string): Promise<void> {
  try {
    await (await openMigrationConnection(url)).dispose()
  } catch (error) {
    if (failureKind(error) !== 'DatabaseDoesNotExist') throw error
    await createDatabase(url).catch((other: unknown) => {
      if (!existsNow(other)) throw other
    })
  }
}

/** Another process was quicker; that is as good. At the very same moment it is the catalogue's index that says so. */
const existsNow = (error: unknown): boolean =>
  failureKind(error) === 'DatabaseAlreadyExists' ||
  (error instanceof DriverAdapterError && error.cause.originalCode === '23505')

/** Makes the database that the URL names. Returns its name. Throws DriverAdapterError, also when it is there already. */
export async function createDatabase(url: string): Promise<string> {
  const { database } = toDatabaseAddress(url).config
  await runOnServer(url, `CREATE DATABASE ${pg.escapeIdentifier(database)}`)
  return database
}

/** Removes the database that the URL names, with everything in it and whoever is connected to it. Repeatable. */
export async function dropDatabase(url: string): Promise<void> {
  const { database } = toDatabaseAddress(url).config
  await runOnServer(url, `DROP DATABASE IF EXISTS ${pg.escapeIdentifier(database)} WITH (FORCE)`)
}

async function runOnServer(url: string, statement: string): Promise<void> {
  const connection = await openMigrationConnection(url, { database: 'postgres' })
  try {
    await connection.executeScript(statement)
  } finally {
    await connection.dispose()
  }
}

/** The folder in the shape that the engine wants: a folder of migrations, each with its SQL or why it cannot be read. */
export async function readMigrations(folder: string): Promise<MigrationList> {
  const entries = await readdir(folder, { withFileTypes: true })
  const names = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort()
  const lock = await readText(path.join(folder, 'migration_lock.toml'))
  return {
    baseDir: folder,
    lockfile: { path: 'migration_lock.toml', content: lock.tag === 'ok' ? lock.value : null },
    shadowDbInitScript: '',
    migrationDirectories: await Promise.all(
      names.map(async (name) => ({
        path: name,
        migrationFile: {
          path: 'migration.sql',
          content: await readText(path.join(folder, name, 'migration.sql')),
        },
      })),
    ),
  }
}

type ReadText = { tag: 'ok'; value: string } | { tag: 'error'; value: string }

async function readText(file: string): Promise<ReadText> {
  try {
    return { tag: 'ok', value: await readFile(file, 'utf8') }
  } catch (error) {
    return { tag: 'error', value: error instanceof Error ? error.message : String(error) }
  }
}

/** What went wrong in the engine's words (`DatabaseDoesNotExist`), or null for anything else. */
export const failureKind = (error: unknown): string | null =>
  error instanceof DriverAdapterError ? error.cause.kind : null

function toOutage(error: unknown): Outage {
  const cause = error instanceof DriverAdapterError ? error.cause.originalMessage : undefined
  const reason = cause ?? (error instanceof Error ? error.message : String(error))
  return new Outage({
    code: 'store/migration-failed',
    message: `The database could not be brought up to date: ${reason}`,
    remedy: 'Check that DATABASE_URL names a PostgreSQL server that runs and a user who may create tables.',
    cause: error,
  })
}
