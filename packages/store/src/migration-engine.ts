// Prisma's schema engine as WebAssembly: the npm package has it, where the native executable would be a download.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { SqlDriverAdapter } from '@prisma/driver-adapter-utils'
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from '@prisma/driver-adapter-utils'
import type { SchemaEngine } from '@prisma/schema-engine-wasm/schema_engine_bg'
import { openMigrationConnection } from './migration-connection.ts'

export type MigrationEngineOptions = {
  readonly url: string
  readonly shadowUrl?: string | undefined
  /** File name and content of each schema file. */
  readonly schemas?: [string, string][] | undefined
  /** No question will need a database: comparing two schema files. */
  readonly offline?: boolean
}

export type MigrationEngine = { readonly engine: SchemaEngine; close(): Promise<void> }

/** One engine for one question: it keeps its shadow database only from `devDiagnostic` to the next `applyMigrations`. */
export async function openMigrationEngine(options: MigrationEngineOptions): Promise<MigrationEngine> {
  const runtime = await loadRuntime()
  const connections: SqlDriverAdapter[] = []
  const factory = bindMigrationAwareSqlAdapterFactory({
    provider: 'postgres',
    adapterName: '@prisma/adapter-pg',
    connect: async () => {
      const connection = options.offline ? offlineConnection : await openMigrationConnection(options.url)
      connections.push(connection)
      return connection
    },
    connectToShadowDb: () =>
      options.shadowUrl ? openMigrationConnection(options.shadowUrl) : openShadowDatabase(options.url),
  })
  const engine = await runtime.SchemaEngine.new({ datamodels: options.schemas }, () => {}, factory)
  return {
    engine,
    close: async () => {
      engine.free()
      // The work is done or has failed with its own error; a connection that broke has nothing to add.
      await Promise.allSettled(connections.map((connection) => connection.dispose()))
    },
  }
}

// The part that is used of the global that only the browser's type library declares.
declare const WebAssembly: {
  instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: { exports: Record<string, unknown> } }>
}

type Runtime = typeof import('@prisma/schema-engine-wasm/schema_engine_bg')
let loading: Promise<Runtime> | undefined

function loadRuntime(): Promise<Runtime> {
  loading ??= instantiate()
  return loading
}

async function instantiate(): Promise<Runtime> {
  const runtime = await import('@prisma/schema-engine-wasm/schema_engine_bg')
  const script = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm')
  const bytes = await readFile(script.replace(/schema_engine\.js$/, 'schema_engine_bg.wasm'))
  const { instance } = await WebAssembly.instantiate(bytes, {
    './schema_engine_bg.js': runtime,
  })
  runtime.__wbg_set_wasm(instance.exports)
  const start = instance.exports.__wbindgen_start
  if (typeof start === 'function') start()
  return runtime
}

/** A database that lives as long as the connection: `migrate dev` plays the migrations through in it. */
async function openShadowDatabase(url: string): Promise<SqlDriverAdapter> {
  const admin = await openMigrationConnection(url)
  const database = `prisma_migrate_shadow_db_${crypto.randomUUID()}`
  await admin.executeScript(`CREATE DATABASE "${database}"`)
  return openMigrationConnection(url, {
    database,
    onDispose: async () => {
      await admin.executeScript(`DROP DATABASE IF EXISTS "${database}" WITH (FORCE)`)
      await admin.dispose()
    },
  })
}

/** Answers just the question about the version that the engine asks at its start. */
const offlineConnection: SqlDriverAdapter = {
  provider: 'postgres',
  adapterName: '@prisma/adapter-pg',
  queryRaw: async () => ({
    columnNames: ['exists', 'version', 'numeric_version'],
    columnTypes: [ColumnTypeEnum.Boolean, ColumnTypeEnum.Text, ColumnTypeEnum.Int32],
    rows: [[true, 'PostgreSQL 16.0', 160_000]],
  }),
  executeRaw: async () => 0,
  executeScript: async () => {},
  startTransaction: () => Promise.reject(new Error('There is no database behind this comparison')),
  getConnectionInfo: () => ({ schemaName: 'public', supportsRelationJoins: true }),
  dispose: async () => {},
}
