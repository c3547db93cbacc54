// The product as a user starts it: `npm start` in a home of its own, its address and set-up link read from what it prints.
import { type ChildProcess, spawn } from 'node:child_process'
import { glob, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from './until.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
/** Guest images are built from the distribution's packages once, and shared with the server's own tests of the lab. */
const cacheFolder = path.join(root, 'node_modules/.cache/understudy-lab')
const startSeconds = 240
const stopSeconds = 60

export type Product = {
  readonly address: string
  /** Null when an owner exists already. */
  readonly setupLink: string | null
  readonly home: string
  readonly port: number
  /** The server's own process, below the launcher. */
  readonly serverPid: () => number
  /** As Ctrl-C does; PostgreSQL ends with it, the machines of the lab do not. */
  stop(): Promise<void>
  /** kill -9 of the server; its launcher ends by itself, PostgreSQL and the machines stay, as after a crash. */
  kill(): Promise<void>
}

export const removeHome = (home: string): Promise<void> =>
  rm(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })

export async function newHome(): Promise<string> {
  const home = await mkdtemp(path.join(tmpdir(), 'us-e2e-'))
  await mkdir(cacheFolder, { recursive: true })
  await symlink(cacheFolder, path.join(home, 'cache'))
  return home
}

/** Starts it and waits until it is ready. Throws with what it printed when it does not come up. */
export async function startProduct(
  home: string,
  options: { readonly port?: number; readonly environment?: NodeJS.ProcessEnv } = {},
): Promise<Product> {
  const child = spawn('npm', ['start', '--silent'], {
    cwd: root,
    // A process group of its own, as a terminal gives it: Ctrl-C goes to the whole group.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      UNDERSTUDY_HOME: home,
      UNDERSTUDY_PORT: String(options.port ?? 0),
      UNDERSTUDY_LOG_FORMAT: 'json',
      ...options.environment,
    },
  })
  const printed = collect(child)
  // The set-up link, where there is one, is printed right after the address, and an empty line ends both.
  const ready = await until('the product is ready', startSeconds, async () => {
    const found = /is ready: (\S+)\n((?:[^\n]+\n)*)\n/.exec(printed())
    // The log goes its own way to the same end, and may come later.
    if (found && serverPids(printed()).length > 0) return found
    return hasEnded(child) ? 'ended' : null
  }).catch((error: unknown) => {
    killAll([...serverPids(printed()), -(child.pid ?? 0)])
    throw new Error(`The product did not start:\n${printed().slice(-8000)}`, { cause: error })
  })
  if (ready === 'ended') throw new Error(`The product ended:\n${printed().slice(-8000)}`)
  const address = ready[1] ?? ''
  const pids = serverPids(printed())
  const ended = (): Promise<true> =>
    until('the product has ended', stopSeconds, async () =>
      hasEnded(child) && !pids.some(isAlive) ? true : null,
    )
  return {
    address,
    setupLink: /\S+\/setup\?token=\S+/.exec(ready[2] ?? '')?.[0] ?? null,
    home,
    port: Number(new URL(address).port),
    serverPid: () => pids.at(-1) ?? 0,
    async stop() {
      killAll([-(child.pid ?? 0)], 'SIGINT')
      await ended()
    },
    async kill() {
      killAll(pids)
      await ended()
    },
  }
}

/** Leaves no process and no file of this home, whatever a test has killed or left running. */
export async function dismantle(home: string, product: Product | null): Promise<void> {
  try {
    await product?.stop().catch(() => product.kill())
  } finally {
    await endPostgres(home)
    for await (const file of glob('lab/*/machines/*/pid', { cwd: home }))
      await endOwn(Number(await readFile(path.join(home, file), 'utf8')), home)
    await removeHome(home)
  }
}

function collect(child: ChildProcess): () => string {
  let printed = ''
  const take = (chunk: Buffer): void => {
    printed += chunk.toString('utf8')
  }
  child.stdout?.on('data', take)
  child.stderr?.on('data', take)
  return () => printed
}

const serverPids = (printed: string): readonly number[] =>
  [...printed.matchAll(/"serverPid":(\d+)/g)].map(([, pid]) => Number(pid))

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

async function endPostgres(home: string): Promise<void> {
  const file = await readFile(path.join(home, 'postgres', 'postmaster.pid'), 'utf8').catch(() => '')
  const pid = Number(file.split('\n')[0])
  if (!(await belongsTo(pid, home))) return
  // It ends at once and in order.
  killAll([pid], 'SIGINT')
  await until('PostgreSQL has ended', stopSeconds, async () => (isAlive(pid) ? null : true))
}

async function endOwn(pid: number, home: string): Promise<void> {
  if (!(await belongsTo(pid, home))) return
  killAll([pid])
  await until(`process ${pid} has ended`, stopSeconds, async () => (isAlive(pid) ? null : true))
}

/** A process id may have been given to another program since the file was written. */
async function belongsTo(pid: number, home: string): Promise<boolean> {
  if (!(pid > 1)) return false
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return commandLine.includes(home)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function killAll(pids: readonly number[], signal: NodeJS.Signals = 'SIGKILL'): void {
  for (const pid of pids) {
    if (pid === 0) continue
    try {
      process.kill(pid, signal)
    } catch {
      // It has ended already.
    }
  }
}
