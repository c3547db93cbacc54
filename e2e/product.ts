// The product as a user starts it: `npm start` in a home of its own, its address and set-up link read from what it prints.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const startDeadlineMilliseconds = 240_000
const stopDeadlineMilliseconds = 60_000

export type Product = {
  readonly address: string
  /** Null when an owner exists already. */
  readonly setupLink: string | null
  readonly home: string
  /** The server's own process, below the launcher. */
  readonly serverPid: () => number
  /** As Ctrl-C does. */
  stop(): Promise<void>
  /** kill -9 of launcher and server; PostgreSQL and the guests stay, as after a crash. */
  kill(): Promise<void>
}

export const newHome = (): Promise<string> => mkdtemp(path.join(tmpdir(), 'us-e2e-'))
export const removeHome = (home: string): Promise<void> => rm(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })

/** Starts it and waits until it is ready. Throws with what it printed when it does not come up. */
export async function startProduct(home: string, options: { readonly port?: number; readonly environment?: NodeJS.ProcessEnv } = {}): Promise<Product> {
  const child = spawn('npm', ['start', '--silent'], {
    cwd: root,
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
  const printed = await readUntilReady(child)
  const address = /is ready: (\S+)/.exec(printed)?.[1]
  if (address === undefined) throw new Error(`The product did not say where it is:\n${printed}`)
  const setupLink = /^\s*(\S+\/setup\?token=\S+)/m.exec(printed)?.[1] ?? null
  const serverPid = (): number => Number(/"serverPid":(\d+)/.exec(printed)?.[1] ?? 0)
  return {
    address,
    setupLink,
    home,
    serverPid,
    async stop() {
      if (child.exitCode !== null || child.pid === undefined) return
      const ended = once(child, 'exit')
      process.kill(child.pid, 'SIGTERM')
      const timer = setTimeout(() => killTree(child, serverPid()), stopDeadlineMilliseconds)
      await ended
      clearTimeout(timer)
    },
    async kill() {
      const ended = once(child, 'exit')
      killTree(child, serverPid())
      await ended
    },
  }
}

function killTree(child: ChildProcess, serverPid: number): void {
  for (const pid of [serverPid, child.pid === undefined ? 0 : -child.pid]) {
    if (pid === 0) continue
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended already.
    }
  }
}

function readUntilReady(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let printed = ''
    const fail = (why: string): void => reject(new Error(`${why}\n${printed.slice(-8000)}`))
    const timer = setTimeout(() => fail('The product was not ready in time'), startDeadlineMilliseconds)
    const take = (chunk: Buffer): void => {
      printed += chunk.toString('utf8')
      // The set-up link comes in the same write or right after the address.
      if (!/is ready: \S+/.test(printed)) return
      clearTimeout(timer)
      setTimeout(() => resolve(printed), 300)
    }
    child.stdout?.on('data', take)
    child.stderr?.on('data', take)
    child.once('exit', (code) => {
      clearTimeout(timer)
      fail(`The product ended with code ${code}`)
    })
  })
}
