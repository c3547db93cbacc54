// A program of the server, run to its end or to a deadline.
import { spawn } from 'node:child_process'
import { commandFailed } from './failures.ts'

export type CommandEnd = {
  /** Null: it was ended at its deadline. */
  readonly code: number | null
  /** The beginning of both of its outputs. */
  readonly output: string
}

const SECONDS = 60
const OUTPUT_CHARACTERS = 4 * 1024 * 1024

export type CommandOptions = {
  readonly seconds?: number
  readonly signal?: AbortSignal | undefined
}

/** Without a shell. Throws `linux/command-failed` when it cannot be started. At its deadline its whole group is ended. */
export function runCommand(
  command: string,
  parameters: readonly string[],
  { seconds = SECONDS, signal }: CommandOptions = {},
): Promise<CommandEnd> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    // A group of its own: what it started ends with it.
    const child = spawn(command, parameters, { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    let output = ''
    const gather = (piece: Buffer): void => {
      if (output.length < OUTPUT_CHARACTERS) output += piece.toString('utf8')
    }
    child.stdout.on('data', gather)
    child.stderr.on('data', gather)
    const end = (): void => {
      if (child.pid === undefined) return
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // It has just ended by itself.
      }
    }
    const timer = setTimeout(end, seconds * 1000)
    signal?.addEventListener('abort', end, { once: true })
    const settle = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
    }
    child.on('error', (cause) => {
      settle()
      reject(commandFailed(command, cause))
    })
    child.on('close', (code) => {
      settle()
      if (signal?.aborted) reject(signal.reason)
      else resolve({ code, output })
    })
  })
}
