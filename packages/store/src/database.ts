// The one connection pool to PostgreSQL and the Prisma client on it. What the stores share, and nothing about any of them.
import { PrismaPg } from '@prisma/adapter-pg'
import { Outage, Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import pg from 'pg'
import { Prisma, PrismaClient } from './generated/client.ts'

export type Database = {
  readonly prisma: PrismaClient
  /** For the few statements that Prisma cannot say. */
  readonly pool: pg.Pool
  close(): Promise<void>
}

/** Opens nothing yet: the first query connects. */
export function openDatabase(databaseUrl: string, connections: number): Database {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: connections,
    connectionTimeoutMillis: 10_000,
    application_name: 'understudy',
  })
  // A connection that breaks while nobody uses it is replaced by the next query.
  pool.on('error', () => {})
  // One that breaks while somebody holds it fails his statement; without a listener it would end this process as well.
  pool.on('connect', (client) => void client.on('error', () => {}))
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool), errorFormat: 'minimal' })
  return {
    prisma,
    pool,
    close: async () => {
      await prisma.$disconnect()
      if (!pool.ended) await pool.end()
    },
  }
}

export type Transaction = Prisma.TransactionClient

/** All or nothing. Bounded: a transaction that waits for a lock for ever would take a connection with it. */
export const inTransaction = <Result>(
  { prisma }: Database,
  work: (transaction: Transaction) => Promise<Result>,
): Promise<Result> => prisma.$transaction(work, { maxWait: 10_000, timeout: 30_000 })

/** Lets one after the other in, among all processes on this database. Held to the end of the transaction. */
export async function takeTurn(transaction: Transaction, what: string): Promise<void> {
  await transaction.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`understudy/${what}`}, 0))`
}

/** The store, with what the database throws turned into our three kinds of failure. */
export function withFailures<Store extends object>(store: Store): Store {
  const guarded = Object.entries(store).map(
    ([name, method]: [string, (...args: unknown[]) => Promise<unknown>]) => [
      name,
      async (...args: unknown[]) => {
        try {
          return await method(...args)
        } catch (error) {
          throw toFailure(error)
        }
      },
    ],
  )
  return Object.fromEntries(guarded) as Store
}

/**
 * SQLSTATE classes and codes of a server that is away, going away or coming, or out of disk or memory (53, 58), and those of
 * the network.
 */
const awayCodes =
  /^(08...|57P0[1-5]|53...|58...|P1001|P1002|P1008|P1017|P2024|P2028|P2037|ECONN\w+|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN)$/
const diskFull = '53100'
const awayWords =
  /connection terminated|timeout exceeded when trying to connect|server closed the connection/i
/** A deadlock or a serialisation failure: the same again may succeed. */
const againCodes = /^(40...|P2034)$/

function toFailure(error: unknown): unknown {
  const codes = errorCodes(error)
  const message = error instanceof Error ? error.message : String(error)
  if (codes.some((code) => awayCodes.test(code)) || awayWords.test(message))
    return new Outage({
      code: 'store/unreachable',
      message: codes.includes(diskFull) ? 'The disk of the database is full' : 'The database does not answer',
      remedy: codes.includes(diskFull)
        ? 'Nothing is lost; it is tried again. Make room on the disk of the PostgreSQL server.'
        : 'Nothing is lost; it is tried again. If it stays so, check the PostgreSQL server and its disk.',
      cause: error,
    })
  if (codes.some((code) => againCodes.test(code)))
    return new Outage({
      code: 'store/conflict',
      message: 'Two changes met in the database',
      remedy: 'Try again.',
      cause: error,
    })
  return error
}

/** Of the error and of what caused it: Prisma wraps the driver's error, which wraps the server's. */
function errorCodes(error: unknown): readonly string[] {
  const codes: string[] = []
  let current: unknown = error
  for (let depth = 0; depth < 6 && typeof current === 'object' && current !== null; depth += 1) {
    const fields = current as {
      code?: unknown
      originalCode?: unknown
      cause?: unknown
      meta?: { driverAdapterError?: unknown }
    }
    for (const code of [fields.code, fields.originalCode]) if (typeof code === 'string') codes.push(code)
    current = fields.cause ?? fields.meta?.driverAdapterError
  }
  return codes
}

const isPrismaError = (error: unknown, code: string): boolean =>
  error instanceof Prisma.PrismaClientKnownRequestError && error.code === code

/** Runs the write; what breaks a unique index becomes `refusal`. */
export const refuseTaken = <Result>(write: Promise<Result>, refusal: () => Refusal): Promise<Result> =>
  translate(write, 'P2002', refusal)

/** Runs the write; what breaks a reference becomes `refusal`. */
export const refuseReferenced = <Result>(write: Promise<Result>, refusal: () => Refusal): Promise<Result> =>
  translate(write, 'P2003', refusal)

/** Runs the update; a row that is not there becomes a `.../not-found`. */
export const refuseMissing = <Result>(write: Promise<Result>, noun: string, id: string): Promise<Result> =>
  translate(write, 'P2025', () => notFound(noun, id))

async function translate<Result>(
  write: Promise<Result>,
  code: string,
  refusal: () => Refusal,
): Promise<Result> {
  try {
    return await write
  } catch (error) {
    if (isPrismaError(error, code)) throw refusal()
    throw error
  }
}

export const notFound = (noun: string, id: string): Refusal =>
  new Refusal({
    code: `${noun}/not-found`,
    message: `There is no ${noun} ${id}`,
    remedy: 'Reload the list; somebody may have removed it.',
  })

/** Names that differ only in case are the same name. */
export const toKey = (name: string): string => name.normalize('NFC').toLowerCase()

type Dated<Value> = Value extends Instant ? Date : Value
export const toDate = <Value extends Instant | null | undefined>(value: Value): Dated<Value> =>
  (typeof value === 'number' ? new Date(value) : value) as Dated<Value>

type Timed<Value> = Value extends Date ? Instant : Value
export const toInstant = <Value extends Date | null>(value: Value): Timed<Value> =>
  (value === null ? null : value.getTime()) as Timed<Value>

/** For JSON columns. What we keep there is plain data; `undefined` inside it is dropped. */
export const toJson = (value: unknown): Prisma.InputJsonValue => JSON.parse(JSON.stringify(value))

/** For JSON columns that may be empty. */
export function toNullableJson(value: unknown): Prisma.InputJsonValue | typeof Prisma.DbNull | undefined {
  if (value === undefined) return undefined
  return value === null ? Prisma.DbNull : toJson(value)
}

/** From JSON columns: written by `toJson` of the same type. */
export const fromJson = <Value>(value: Prisma.JsonValue): Value => value as Value

/** The fields that are set: an update leaves the other columns alone. */
export function defined<Fields extends object>(
  fields: Fields,
): { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Fields]?: Exclude<Fields[Name], undefined>
  }
}
