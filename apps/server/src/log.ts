import { Outage, Refusal } from '@understudy/base/errors'
import type { Log } from '@understudy/engine/engine-parts'
import { type DestinationStream, type Logger, pino } from 'pino'
import pretty from 'pino-pretty'
import type { Config } from './config.ts'

/** Readable in a terminal, one JSON object a line elsewhere. Secrets never get here; these paths are a second net. */
export function createLog(
  config: Pick<Config, 'logLevel' | 'logFormat'>,
  destination: DestinationStream = pino.destination(1),
): Logger {
  const options = {
    level: config.logLevel,
    base: null,
    // Everything here logs a failure as `error`; left alone, an Error would be printed as {}.
    serializers: { error: serializeError },
    redact: [
      'password',
      'secret',
      'secrets',
      '*.password',
      '*.secret',
      '*.secrets',
      '*.authorization',
      '*.cookie',
    ],
  }
  const readable = config.logFormat === 'pretty' || (config.logFormat === 'auto' && process.stdout.isTTY)
  if (!readable) return pino(options, destination)
  return pino(
    options,
    pretty({ colorize: process.stdout.isTTY, translateTime: 'SYS:HH:MM:ss.l', sync: true }),
  )
}

/** What is expected to happen says what it is, with its causes; where in the code it was said helps nobody. */
function serializeError(error: unknown): unknown {
  if (!(error instanceof Refusal) && !(error instanceof Outage))
    return error instanceof Error ? pino.stdSerializers.err(error) : error
  const { type, message } = pino.stdSerializers.err(error)
  return { type, message, code: error.code, remedy: error.remedy, facts: error.facts }
}

/** The same log in the engine's shape. */
export const engineLog =
  (log: Logger): Log =>
  (level, message, facts) =>
    log[level](facts ?? {}, message)
