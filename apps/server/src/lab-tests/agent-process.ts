// For tests only: a real agent as a process of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { present } from '@understudy/base/invariant'

const entry = fileURLToPath(new URL('../../../agent/src/main.ts', import.meta.url))
const simulatedEntry = fileURLToPath(
  new URL('../../../agent/src/lab-tests/simulated-agent.ts', import.meta.url),
)

const receiverEntry = fileURLToPath(
  new URL('../../../agent/src/lab-tests/receiver-agent.ts', import.meta.url),
)

const loopEntry = fileURLToPath(new URL('../../../agent/src/lab-tests/loop-agent.ts', import.meta.url))

/**
 * What the agent takes for its server: a simulated one with these settings, whose disks lie in `<home>/simulated` and whose firmware is what
 * `<home>/sys` shows, or these devices.
 */
export type AgentServer =
  | { readonly simulated: Readonly<Record<string, unknown>>; readonly clockOffMilliseconds?: number }
  /** Copies of them as they were while they were held still lie in `<home>/oracle/hold-*`, by their place in the list. */
  | { readonly devices: readonly string[] }
  /** A computer in a rescue system with these disks: files, or devices. */
  | { readonly receives: readonly string[] }

export type AgentRun = { readonly code: number | null; readonly printed: string }

/** An agent with a folder of its own on a server that is told apart by its identity: this computer, or `on`. */
export async function openAgent(identity: string, on?: AgentServer) {
  const home = await mkdtemp(join(tmpdir(), 'us-agent-'))
  const { program, environment } = await programFor(home, on)
  let running: ChildProcess | null = null
  let printed = ''
  const start = (args: readonly string[]): ChildProcess => {
    const child = spawn(process.execPath, [program, ...args, '--home', home], {
      cwd: '/',
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const keep = (chunk: Buffer): void => {
      printed += chunk.toString('utf8')
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    return child
  }
  const command = async (args: readonly string[]): Promise<AgentRun> => {
    printed = ''
    const child = start(args)
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, printed }
  }
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    const child = running
    running = null
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const ended = once(child, 'close')
    child.kill(signal)
    const [code] = (await ended) as [number | null]
    return code
  }
  return {
    home,
    command,
    /** With the command that the console shows. */
    enrol: (line: string, more: readonly string[] = []): Promise<AgentRun> =>
      command([...line.split(' ').slice(1), '--identity', identity, '--name', identity, ...more]),
    /** With the command of the console, or once more with nothing but what it has kept. */
    receive(line: string | null, more: readonly string[] = []): void {
      printed = ''
      const options = line === null ? [] : [...line.split(' ').slice(2), '--name', identity]
      running = start(['receive', ...options, ...more])
    },
    run(): void {
      printed = ''
      running = start(['run'])
    },
    printed: (): string => printed,
    /** Resolves when it ends by itself. */
    async ended(): Promise<number | null> {
      const child = present(running, 'the agent runs')
      if (child.exitCode === null) await once(child, 'close')
      return child.exitCode
    },
    kill: (): Promise<number | null> => end('SIGKILL'),
    stop: (): Promise<number | null> => end('SIGTERM'),
    async close(): Promise<void> {
      await end('SIGKILL')
      await rm(home, { recursive: true, force: true })
    },
  }
}

async function programFor(home: string, on: AgentServer | undefined) {
  if (on === undefined) return { program: entry, environment: {} }
  if ('simulated' in on)
    return {
      program: simulatedEntry,
      environment: {
        UNDERSTUDY_SIMULATED_SERVER: join(home, 'simulated'),
        UNDERSTUDY_SIMULATED_SYSFS: join(home, 'sys'),
        UNDERSTUDY_SIMULATED_SETTINGS: JSON.stringify(on.simulated),
        UNDERSTUDY_TEST_CLOCK_OFF: String(on.clockOffMilliseconds ?? 0),
      },
    }
  if ('receives' in on)
    return {
      program: receiverEntry,
      environment: { UNDERSTUDY_TEST_DISKS: on.receives.join(' '), UNDERSTUDY_TEST_FOLDER: home },
    }
  const oracle = join(home, 'oracle')
  await mkdir(oracle)
  return {
    program: loopEntry,
    environment: { UNDERSTUDY_TEST_DEVICES: on.devices.join(' '), UNDERSTUDY_TEST_ORACLE: oracle },
  }
}

export type TestAgent = Awaited<ReturnType<typeof openAgent>>
