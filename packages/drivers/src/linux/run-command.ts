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

/** From being killed to being gone; what does not go in that time hangs in the kernel. */
const GRACE_MILLISECONDS = 2000

/** Killed and not gone, by what they were asked: another one would hang beside it, and one more with each cycle. */
const hanging = new Map<string, { readonly pid: number; readonly since: number }>()

/**
 * Without a shell. Throws `linux/command-failed` when it cannot be started, and while the same one of before hangs in the kernel. At its deadline its
 * whole group is ended; who cannot be ended even so is not waited for.
 */
export function runCommand(
  command: string,
  parameters: readonly string[],
  { seconds = SECONDS, signal }: CommandOptions = {},
): Promise<CommandEnd> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const asked = [command, ...parameters].join(' ')
    const before = hanging.get(asked)
    if (before) throw commandFailed(asked, stillHangs(before))
    // A group of its own: what it started ends with it.
    const child = spawn(command, parameters, { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    let output = ''
    const gather = (piece: Buffer): void => {
      if (output.length < OUTPUT_CHARACTERS) output += piece.toString('utf8')
    }
    child.stdout.on('data', gather)
    child.stderr.on('data', gather)
    let grace: ReturnType<typeof setTimeout> | undefined
    const end = (): void => {
      if (child.pid === undefined) return
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // It has just ended by itself.
      }
      grace ??= setTimeout(leave, GRACE_MILLISECONDS)
    }
    const timer = setTimeout(end, seconds * 1000)
    signal?.addEventListener('abort', end, { once: true })
    const settle = (code: number | null): void => {
      clearTimeout(timer)
      clearTimeout(grace)
      signal?.removeEventListener('abort', end)
      if (signal?.aborted) reject(signal.reason)
      else resolve({ code, output })
    }
    /** It hangs, or somebody that it has started and that has left its group still has its outputs. */
    const leave = (): void => {
      const { pid, exitCode, signalCode } = child
      if (pid !== undefined && exitCode === null && signalCode === null) {
        hanging.set(asked, { pid, since: performance.now() })
        child.on('exit', () => hanging.delete(asked))
      }
      child.stdout.destroy()
      child.stderr.destroy()
      child.unref()
      settle(exitCode)
    }
    child.on('error', (cause) => {
      reject(commandFailed(command, cause))
      settle(null)
    })
    child.on('close', (code) => settle(code))
  })
}

const stillHangs = ({ pid, since }: { readonly pid: number; readonly since: number }): Error =>
  new Error(
    `process ${pid}, which was asked the same, has hung in the kernel for ${Math.round((performance.now() - since) / 1000)} s and cannot be ended`,
  )
