#!/usr/bin/env node
// Stands in for Prisma's native schema engine (prisma.config.ts names it in PRISMA_SCHEMA_ENGINE_BINARY): the same protocol,
// JSON-RPC lines on stdin and stdout plus the `cli` sub-commands, over the WebAssembly build that the npm registry has.
import { readFileSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { SchemaEngine } from '@prisma/schema-engine-wasm/schema_engine_bg'
import { createDatabase, dropDatabase, failureKind } from '@understudy/store/migrate'
import { openMigrationConnection } from '@understudy/store/migration-connection'
import { openMigrationEngine } from '@understudy/store/migration-engine'

type Arguments = {
  readonly schemaFiles: readonly string[]
  readonly datasource: { readonly url: string; readonly shadowDatabaseUrl?: string }
  readonly command: string | null
}

function readArguments(words: readonly string[]): Arguments {
  const after = (flag: string): string[] =>
    words.flatMap((word, index) => (word === flag ? words.slice(index + 1, index + 2) : []))
  return {
    schemaFiles: after('--datamodels'),
    datasource: JSON.parse(after('--datasource').at(-1) ?? '{"url":""}'),
    command: after('cli').at(-1) ?? null,
  }
}

const codes: Readonly<Record<string, string>> = {
  AuthenticationFailed: 'P1000',
  DatabaseNotReachable: 'P1001',
  SocketTimeout: 'P1002',
  DatabaseDoesNotExist: 'P1003',
  DatabaseAlreadyExists: 'P1009',
  DatabaseAccessDenied: 'P1010',
}

type Failure = {
  readonly code: string | null
  readonly message: string
  readonly meta: unknown
  readonly panic: boolean
}

function toFailure(error: unknown): Failure {
  const fields = (error instanceof Error ? error : { message: String(error) }) as {
    message: string
    name?: string
    code?: string
    meta?: unknown
  }
  return {
    code: fields.code ?? codes[failureKind(error) ?? ''] ?? null,
    message: fields.message,
    meta: fields.meta ?? null,
    panic: fields.name === 'RuntimeError',
  }
}

async function runCommand(command: string, url: string): Promise<void> {
  switch (command) {
    case 'can-connect-to-database':
      return (await openMigrationConnection(url)).dispose()
    case 'create-database':
      await createDatabase(url)
      return
    case 'drop-database':
      return dropDatabase(url)
    default:
      throw new Error(`The schema engine knows no command "${command}"`)
  }
}

async function runAsCommand(command: string, url: string): Promise<number> {
  try {
    await runCommand(command, url)
    return 0
  } catch (error) {
    const failure = toFailure(error)
    const fields = { error_code: failure.code ?? 'P1011', message: failure.message, is_panic: false }
    writeSync(2, `\n${JSON.stringify({ level: 'ERROR', target: 'schema_engine::logger', fields })}`)
    return 1
  }
}

type Request = {
  readonly id: number
  readonly method: string
  readonly params: Readonly<Record<string, unknown>>
}
type Method = (params: unknown) => Promise<unknown>

const send = (message: object): boolean =>
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)

/** A side of a comparison that is a schema file, or nothing at all, needs no database. */
function isOffline({ method, params }: Request): boolean {
  const tag = (side: unknown): unknown => (side as { tag?: unknown } | undefined)?.tag
  const needsNone = (side: unknown): boolean => tag(side) === 'empty' || tag(side) === 'schemaDatamodel'
  return method === 'diff' && needsNone(params.from) && needsNone(params.to)
}

async function answer(request: Request, from: Arguments): Promise<unknown> {
  const { method, params } = request
  if (method === 'createDatabase') return { databaseName: await createDatabase(from.datasource.url) }
  const { engine, close } = await openMigrationEngine({
    url: from.datasource.url,
    shadowUrl: from.datasource.shadowDatabaseUrl,
    offline: isOffline(request),
    schemas: from.schemaFiles.length
      ? from.schemaFiles.map((file) => [file, readFileSync(file, 'utf8')])
      : undefined,
  })
  try {
    // The engine has a shadow database only after devDiagnostic.
    if (method === 'evaluateDataLoss' || method === 'createMigration')
      await engine.devDiagnostic({
        migrationsList: params.migrationsList,
        filters: params.filters,
      } as Parameters<SchemaEngine['devDiagnostic']>[0])
    const name = method === 'getDatabaseVersion' ? 'version' : method
    const call = (engine as unknown as Readonly<Record<string, Method>>)[name]
    if (!call) throw new Error(`The schema engine knows no method "${method}"`)
    const result = (await call.call(engine, params)) ?? {}
    printDifference(method, result)
    return result
  } finally {
    await close()
  }
}

let notes = 1_000_000
function printDifference(method: string, result: unknown): void {
  const { stdout } = result as { stdout?: unknown }
  if (method !== 'diff' || typeof stdout !== 'string') return
  notes += 1
  send({ id: notes, method: 'print', params: { content: stdout } })
}

async function respond(line: string, from: Arguments): Promise<void> {
  const request = JSON.parse(line) as Request
  // Without a method it is the CLI's answer to one of our notes.
  if (!request.method) return
  try {
    send({ id: request.id, result: await answer(request, from) })
  } catch (error) {
    const { code, message, meta, panic } = toFailure(error)
    const data = { is_panic: panic, message, meta, error_code: code }
    send({ id: request.id, error: { code: 4466, message, data } })
  }
}

async function serve(from: Arguments): Promise<void> {
  // One after the other: the engine works on one connection.
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY }))
    if (line.trim()) await respond(line, from)
}

const words = process.argv.slice(2)
if (words.includes('--version') || words.includes('-V')) {
  process.stdout.write('schema-engine-cli wasm\n')
} else {
  const from = readArguments(words)
  if (from.command) process.exit(await runAsCommand(from.command, from.datasource.url))
  await serve(from)
}
process.exit(0)
