// Every setting of the server, in one checked place: defaults, then `<home>/understudy.json`, then the environment.
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { MiB } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import { z } from 'zod'
import { settings } from './usage.mjs'

const wholeNumber = (minimum: number, maximum: number) => z.coerce.number().int().min(minimum).max(maximum)
const onOff = z.union([
  z.boolean(),
  z.enum(['true', 'false', '1', '0', 'yes', 'no']).transform((text) => ['true', '1', 'yes'].includes(text)),
])

/** What each setting may be, in the environment, in the file and as an option; the rest about it is in usage.mjs. */
const schemas = {
  host: z.string().min(1),
  port: wholeNumber(0, 65_535),
  publicUrl: z.url().nullable(),
  trustProxy: wholeNumber(0, 10),
  tlsCertificate: z.string().nullable(),
  tlsKey: z.string().nullable(),
  agentHost: z.string().min(1).nullable(),
  agentPort: wholeNumber(0, 65_535),
  agentUrl: z.url({ protocol: /^https$/ }).nullable(),
  agentSilentSeconds: wholeNumber(30, 86_400),
  databaseUrl: z.string().startsWith('postgres').nullable(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']),
  logFormat: z.enum(['auto', 'pretty', 'json']),
  moverConcurrency: wholeNumber(1, 256),
  moverMemoryBytes: wholeNumber(32 * MiB, 64 * 1024 * MiB),
  lowSpaceBytes: wholeNumber(0, Number.MAX_SAFE_INTEGER),
  letGoSeconds: wholeNumber(1, 3600),
  scheduledTests: wholeNumber(1, 1000),
  processName: z.string().regex(/^[a-z0-9-]{1,40}$/),
  lab: onOff,
  sessionHours: wholeNumber(1, 720),
  requestsPerMinute: wholeNumber(30, 1_000_000),
} as const satisfies Record<keyof typeof settings, z.ZodType>

type Schemas = typeof schemas
export type Config = { readonly [Name in keyof Schemas]: z.output<Schemas[Name]> } & {
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
  for (const [name, schema] of Object.entries(schemas)) {
    const { variable, fallback } = settings[name as keyof Schemas]
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
