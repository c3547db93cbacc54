// Commands of the finishing: each bounded in time, and one that does not end well is told with what it said.
import { Outage } from '@understudy/base/errors'
import type { runCommand } from '../run-command.ts'

export type Run = typeof runCommand

export type Tools = {
  readonly run: Run
  readonly signal: AbortSignal | undefined
}

const SHORT_SECONDS = 120
const LONGEST_SAID = 500

export const commandText = (command: readonly string[]): string => command.join(' ')

/** Gives what it said. Throws `homecoming/command-failed`. */
export async function runWell(
  { run, signal }: Tools,
  command: readonly [string, ...string[]],
  seconds = SHORT_SECONDS,
): Promise<string> {
  const [program, ...parameters] = command
  const { code, output } = await run(program, parameters, { seconds, signal })
  if (code === 0) return output
  const end = code === null ? `did not end within ${seconds} s` : `ended with ${code}`
  throw new Outage({
    code: 'homecoming/command-failed',
    message: `"${commandText(command)}" ${end}: ${output.trim().slice(-LONGEST_SAID) || 'it said nothing'}`,
    remedy:
      'The disks are written whole; only their finishing has to be repeated. See in the rescue system what the command complains about.',
  })
}

/** Null: it did not end well, or is not there. */
export async function tryRun(
  { run, signal }: Tools,
  [program, ...parameters]: readonly [string, ...string[]],
): Promise<string | null> {
  const end = await run(program, parameters, { seconds: SHORT_SECONDS, signal }).catch((error: unknown) => {
    signal?.throwIfAborted()
    if (error instanceof Outage) return null
    throw error
  })
  return end?.code === 0 ? end.output : null
}
