// Prisma's schema engine over one `pg` connection. @prisma/adapter-pg cannot do it: it does not know PostgreSQL's "char"
// type, splits scripts at every semicolon (also inside function bodies) and takes the main database for the shadow one.
import type {
  ConnectionInfo,
  SqlDriverAdapter,
  SqlQuery,
  SqlResultSet,
  Transaction,
} from '@prisma/driver-adapter-utils'
import { ColumnTypeEnum, DriverAdapterError } from '@prisma/driver-adapter-utils'
import pg from 'pg'

export type DatabaseAddress = {
  readonly schema: string
  readonly config: pg.ClientConfig & { readonly database: string }
}

/** Takes a `postgresql://` URL apart. `schema`, `host` (a socket folder) and `sslmode` come from the query. */
export function toDatabaseAddress(url: string): DatabaseAddress {
  const parsed = new URL(url)
  const sslmode = parsed.searchParams.get('sslmode')
  return {
    schema: parsed.searchParams.get('schema') ?? 'public',
    config: {
      host: parsed.searchParams.get('host') ?? decodeURIComponent(parsed.hostname),
      port: Number(parsed.port || 5432),
      user: decodeURIComponent(parsed.username),
      password: decodeURIComponent(parsed.password),
      database: decodeURIComponent(parsed.pathname.slice(1)),
      // `require` means encrypted, as in libpq; whoever wants the server proven as well asks for verify-full.
      ...(sslmode && sslmode !== 'disable' ? { ssl: { rejectUnauthorized: sslmode !== 'require' } } : {}),
    },
  }
}

type Options = { readonly database?: string; readonly onDispose?: () => Promise<void> }

/** One connection, because advisory locks and the search path must stick to it. Throws DriverAdapterError. */
export async function openMigrationConnection(url: string, options: Options = {}): Promise<SqlDriverAdapter> {
  const address = toDatabaseAddress(url)
  const database = options.database ?? address.config.database
  const config = { ...address.config, database }
  const client = new pg.Client({
    ...config,
    connectionTimeoutMillis: 10_000,
    application_name: 'understudy-migrate',
  })
  // A connection that breaks between two queries is reported by the next query.
  client.on('error', () => {})
  try {
    await client.connect()
  } catch (error) {
    throw toAdapterError(error, config)
  }
  return new MigrationConnection(client, { ...address, config }, options.onDispose)
}

class MigrationConnection implements SqlDriverAdapter {
  readonly provider = 'postgres'
  readonly adapterName = '@prisma/adapter-pg'
  readonly #client: pg.Client
  readonly #address: DatabaseAddress
  readonly #onDispose: (() => Promise<void>) | undefined

  constructor(client: pg.Client, address: DatabaseAddress, onDispose: (() => Promise<void>) | undefined) {
    this.#client = client
    this.#address = address
    this.#onDispose = onDispose
  }

  async queryRaw({ sql, args }: SqlQuery): Promise<SqlResultSet> {
    const result = await this.#run(() =>
      this.#client.query<unknown[]>({ text: sql, values: args, rowMode: 'array', types: textTypes }),
    )
    return {
      columnNames: result.fields.map((field) => field.name),
      columnTypes: result.fields.map((field) => columns.get(field.dataTypeID)?.type ?? ColumnTypeEnum.Text),
      rows: result.rows,
    }
  }

  async executeRaw({ sql, args }: SqlQuery): Promise<number> {
    const result = await this.#run(() => this.#client.query({ text: sql, values: args, types: textTypes }))
    return result.rowCount ?? 0
  }

  /** The whole script by the simple protocol: one implicit transaction, dollar-quoted bodies intact. */
  async executeScript(script: string): Promise<void> {
    await this.#run(() => this.#client.query(script))
  }

  async startTransaction(): Promise<Transaction> {
    await this.executeScript('BEGIN')
    return {
      provider: this.provider,
      adapterName: this.adapterName,
      options: { usePhantomQuery: true },
      queryRaw: (query) => this.queryRaw(query),
      executeRaw: (query) => this.executeRaw(query),
      commit: () => this.executeScript('COMMIT'),
      rollback: () => this.executeScript('ROLLBACK'),
    }
  }

  getConnectionInfo(): ConnectionInfo {
    return { schemaName: this.#address.schema, supportsRelationJoins: true }
  }

  async dispose(): Promise<void> {
    await this.#client.end()
    await this.#onDispose?.()
  }

  async #run<Result>(query: () => Promise<Result>): Promise<Result> {
    try {
      return await query()
    } catch (error) {
      throw toAdapterError(error, this.#address.config)
    }
  }
}

type Parser = (text: string) => unknown
const asText: Parser = (text) => text
const asBoolean: Parser = (text) => text === 't' || text === 'true'
const asIso: Parser = (text) => `${text.replace(' ', 'T').replace(/[+-]\d{2}(:\d{2})?$/, '')}+00:00`
const textArray = 1009
const readTextArray = (pg.types.getTypeParser as (oid: number) => unknown)(textArray) as (
  text: string,
) => (string | null)[]
const asArrayOf =
  (parse: Parser): Parser =>
  (text) =>
    readTextArray(text).map((item) => (item === null ? null : parse(item)))

/** By the type's object id: what the engine calls it, and how its text form is read. Everything else goes over as text. */
const columns: ReadonlyMap<
  number,
  { readonly type: SqlResultSet['columnTypes'][number]; readonly parse: Parser }
> = new Map([
  [16, { type: ColumnTypeEnum.Boolean, parse: asBoolean }],
  [18, { type: ColumnTypeEnum.Character, parse: asText }],
  [20, { type: ColumnTypeEnum.Int64, parse: asText }],
  [21, { type: ColumnTypeEnum.Int32, parse: Number }],
  [23, { type: ColumnTypeEnum.Int32, parse: Number }],
  [26, { type: ColumnTypeEnum.Int64, parse: asText }],
  [700, { type: ColumnTypeEnum.Float, parse: Number }],
  [701, { type: ColumnTypeEnum.Double, parse: Number }],
  [1700, { type: ColumnTypeEnum.Numeric, parse: asText }],
  [1114, { type: ColumnTypeEnum.DateTime, parse: asIso }],
  [1184, { type: ColumnTypeEnum.DateTime, parse: asIso }],
  [1000, { type: ColumnTypeEnum.BooleanArray, parse: asArrayOf(asBoolean) }],
  [1002, { type: ColumnTypeEnum.CharacterArray, parse: asArrayOf(asText) }],
  [1003, { type: ColumnTypeEnum.TextArray, parse: asArrayOf(asText) }],
  [1005, { type: ColumnTypeEnum.Int32Array, parse: asArrayOf(Number) }],
  [1007, { type: ColumnTypeEnum.Int32Array, parse: asArrayOf(Number) }],
  [textArray, { type: ColumnTypeEnum.TextArray, parse: asArrayOf(asText) }],
  [1015, { type: ColumnTypeEnum.TextArray, parse: asArrayOf(asText) }],
  [1016, { type: ColumnTypeEnum.Int64Array, parse: asArrayOf(asText) }],
  [1028, { type: ColumnTypeEnum.Int64Array, parse: asArrayOf(asText) }],
])

const textTypes: pg.CustomTypesConfig = {
  getTypeParser: (oid: number) => columns.get(oid)?.parse ?? asText,
}

/** What `pg` throws, in the engine's words: it decides by them whether to create the database or to give up. */
function toAdapterError(error: unknown, config: DatabaseAddress['config']): DriverAdapterError {
  const fields = (error instanceof Error ? error : new Error(String(error))) as Error &
    Partial<pg.DatabaseError>
  const original = {
    originalMessage: fields.message,
    ...(fields.code === undefined ? {} : { originalCode: fields.code }),
  }
  const { database: db, user } = config
  switch (fields.code) {
    case '3D000':
      return new DriverAdapterError({ kind: 'DatabaseDoesNotExist', db, ...original })
    case '42P04':
      return new DriverAdapterError({ kind: 'DatabaseAlreadyExists', db, ...original })
    case '28P01':
      return new DriverAdapterError({ kind: 'AuthenticationFailed', user: user ?? '', ...original })
    case '28000':
      return new DriverAdapterError({ kind: 'DatabaseAccessDenied', db, ...original })
    case 'ECONNREFUSED':
    case 'ENOTFOUND':
      return new DriverAdapterError({
        kind: 'DatabaseNotReachable',
        host: config.host ?? '',
        port: config.port ?? 5432,
        ...original,
      })
    case 'ETIMEDOUT':
      return new DriverAdapterError({ kind: 'SocketTimeout', ...original })
    default:
      return new DriverAdapterError({
        kind: 'postgres',
        code: fields.code ?? 'XX000',
        severity: fields.severity ?? 'ERROR',
        message: fields.message,
        detail: fields.detail,
        column: fields.column,
        hint: fields.hint,
        ...original,
      })
  }
}
