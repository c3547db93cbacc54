// Every setting of the server, in one checked place: defaults, then `<home>/understudy.json`, then the environment.
import { existsSync, readFileSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import path from 'node:path'
import { GiB, MiB } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import { z } from 'zod'

const wholeNumber = (minimum: number, maximum: number) => z.coerce.number().int().min(minimum).max(maximum)
const onOff = z.union([
  z.boolean(),
  z.enum(['true', 'false', '1', '0', 'yes', 'no']).transform((text) => ['true', '1', 'yes'].includes(text)),
])

/** Of a host: `Vault-2.example` is `vault-2-example`. Two servers on one host and one database need names of their own. */
function defaultProcessName(host: string): string {
  const name = host
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .slice(0, 40)
  return name === '' ? 'server' : name
}

type Setting = {
  readonly variable: string
  readonly help: string
  readonly schema: z.ZodType
  readonly fallback: unknown
}

const setting = <Schema extends z.ZodType>(
  variable: string,
  schema: Schema,
  fallback: z.output<Schema>,
  help: string,
) => ({ variable, schema, fallback, help })

/** Name in the file, and everything else about it. `--help` is printed from here. */
const settings = {
  host: setting(
    'UNDERSTUDY_HOST',
    z.string().min(1),
    '127.0.0.1',
    'Address to listen on; 0.0.0.0 for every network card',
  ),
  port: setting(
    'UNDERSTUDY_PORT',
    wholeNumber(0, 65_535),
    4600,
    'Port of console and API; 0 takes a free one',
  ),
  publicUrl: setting(
    'UNDERSTUDY_PUBLIC_URL',
    z.url().nullable(),
    null,
    'How browsers reach this server, when a proxy stands before it',
  ),
  trustProxy: setting(
    'UNDERSTUDY_TRUST_PROXY',
    wholeNumber(0, 10),
    0,
    'How many proxies before this server set X-Forwarded-For',
  ),
  tlsCertificate: setting(
    'UNDERSTUDY_TLS_CERTIFICATE',
    z.string().nullable(),
    null,
    'PEM file; with tlsKey the server speaks https',
  ),
  tlsKey: setting('UNDERSTUDY_TLS_KEY', z.string().nullable(), null, 'PEM file of the private key'),
  databaseUrl: setting(
    'DATABASE_URL',
    z.string().startsWith('postgres').nullable(),
    null,
    'A PostgreSQL of yours (15 or newer); without it an embedded one is started',
  ),
  logLevel: setting(
    'UNDERSTUDY_LOG_LEVEL',
    z.enum(['debug', 'info', 'warn', 'error']),
    'info',
    'debug, info, warn or error',
  ),
  logFormat: setting(
    'UNDERSTUDY_LOG_FORMAT',
    z.enum(['auto', 'pretty', 'json']),
    'auto',
    'auto (pretty in a terminal), pretty or json',
  ),
  moverConcurrency: setting(
    'UNDERSTUDY_MOVER_CONCURRENCY',
    wholeNumber(1, 256),
    4,
    'Cycles that this process runs at the same time',
  ),
  moverMemoryBytes: setting(
    'UNDERSTUDY_MOVER_MEMORY_BYTES',
    wholeNumber(32 * MiB, 64 * 1024 * MiB),
    256 * MiB,
    'Bytes of buffers that all running cycles share',
  ),
  lowSpaceBytes: setting(
    'UNDERSTUDY_LOW_SPACE_BYTES',
    wholeNumber(0, Number.MAX_SAFE_INTEGER),
    5 * GiB,
    'An alert tells when a replica folder has less room than this',
  ),
  letGoSeconds: setting(
    'UNDERSTUDY_LET_GO_SECONDS',
    wholeNumber(1, 3600),
    30,
    'How long a cycle that was asked to stop may go on; then it is left behind, and an event says so',
  ),
  processName: setting(
    'UNDERSTUDY_PROCESS',
    z.string().regex(/^[a-z0-9-]{1,40}$/),
    defaultProcessName(hostname()),
    'Name of this process; must differ between servers on one database',
  ),
  lab: setting('UNDERSTUDY_LAB', onOff, false, 'Create the lab at the start, as --lab does'),
  sessionHours: setting(
    'UNDERSTUDY_SESSION_HOURS',
    wholeNumber(1, 720),
    12,
    'A session ends after so many hours without use',
  ),
  requestsPerMinute: setting(
    'UNDERSTUDY_REQUESTS_PER_MINUTE',
    wholeNumber(30, 1_000_000),
    3000,
    'API requests of one address; more are answered 429',
  ),
} as const satisfies Record<string, Setting>

type Settings = typeof settings
export type Config = {
  readonly [Name in keyof Settings]: Settings[Name]['fallback'] | z.output<Settings[Name]['schema']>
} & {
  /** Absolute folder of everything that this installation keeps. */
  readonly home: string
}

/** Reads and checks the configuration. Refuses (`config/invalid`) by naming the variable, its value and what is allowed. */
export function loadConfig(
  environment: NodeJS.ProcessEnv,
  given: Readonly<Record<string, unknown>> = {},
): Config {
  const home = path.resolve(environment.UNDERSTUDY_HOME ?? path.join(homedir(), '.understudy'))
  const file = path.join(home, 'understudy.json')
  const fromFile = readConfigFile(file)
  const config: Record<string, unknown> = { home }
  for (const [name, { variable, schema, fallback }] of Object.entries(settings)) {
    const fromEnvironment = environment[variable]
    const source =
      given[name] !== undefined
        ? `--${name}`
        : fromEnvironment !== undefined
          ? variable
          : `"${name}" in ${file}`
    const value = given[name] ?? fromEnvironment ?? fromFile[name]
    config[name] = value === undefined ? fallback : checked(source, schema, value)
  }
  if ((config.tlsCertificate === null) !== (config.tlsKey === null))
    throw invalid('tlsCertificate and tlsKey belong together', 'Set both or none.')
  return config as Config
}

/** Text for `--help`. */
export function describeConfig(): string {
  const rows = Object.entries(settings).map(
    ([name, { variable, help, fallback }]) =>
      `  ${variable.padEnd(32)} ${help}\n${' '.repeat(35)}file: "${name}", default: ${JSON.stringify(fallback)}`,
  )
  return [
    'Usage: npm start -- [--lab] [--port <port>] [--help]',
    '',
    'Settings come from the environment, else from <home>/understudy.json, else from the defaults.',
    '',
    `  ${'UNDERSTUDY_HOME'.padEnd(32)} Folder of database, replicas, keys and logs\n${' '.repeat(35)}default: ~/.understudy`,
    ...rows,
    '',
  ].join('\n')
}

function readConfigFile(file: string): Record<string, unknown> {
  if (!existsSync(file)) return {}
  let content: unknown
  try {
    content = JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw invalid(
      `${file} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`,
      'Mend the file or remove it.',
    )
  }
  const parsed = z.record(z.string(), z.unknown()).safeParse(content)
  if (!parsed.success) throw invalid(`${file} must hold one JSON object`, 'Mend the file or remove it.')
  const unknown = Object.keys(parsed.data).find((name) => !Object.hasOwn(settings, name))
  if (unknown !== undefined)
    throw invalid(
      `${file} has the unknown setting "${unknown}"`,
      `Known are: ${Object.keys(settings).join(', ')}.`,
    )
  return parsed.data
}

function checked(source: string, schema: z.ZodType, value: unknown): unknown {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const why = result.error.issues.map((issue) => issue.message).join('; ')
  throw invalid(
    `${source} cannot be ${JSON.stringify(value)}: ${why}`,
    'Run with --help to see what each setting allows.',
  )
}

const invalid = (message: string, remedy: string): Refusal =>
  new Refusal({ code: 'config/invalid', message, remedy })
