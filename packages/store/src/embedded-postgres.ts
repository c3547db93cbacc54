// Runs the PostgreSQL that comes with us, for everyone who has set no DATABASE_URL.
//
//   <home>/postgres          the data folder
//   <home>/postgres.secret   its superuser's password, 0600
//   <home>/postgres.port     the port it was given, so that a second start finds the running server
//   <home>/postgres.log      what it said since its last start
//
// It outlives us: after kill -9 of our process the next one adopts the running server; after kill -9 of PostgreSQL this
// supervisor starts it again, and PostgreSQL recovers from its write-ahead log what it had acknowledged.
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { MiB } from '@understudy/base/bytes'
import { Outage } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import pg from 'pg'
import { chooseRunAs, findPostgresBinaries, type RunAs } from './postgres-binaries.ts'

export type PostgresNews = 'adopted' | 'started' | 'lost' | 'restarted' | 'given-up'

export type EmbeddedPostgresOptions = {
  /** The folder of everything this installation keeps; made when it is not there. */
  readonly home: string
  /** Told when the server comes and goes; for the log. */
  readonly onNews?: (news: PostgresNews, detail: string) => void
}

export type EmbeddedPostgres = {
  /** Of the database `understudy`, which `migrateDeploy` creates. Holds the password. */
  readonly databaseUrl: string
  readonly port: number
  /** True: it was running already. */
  readonly adopted: boolean
  /** Stops watching and shuts the server down, breaking connections that are still open. Repeatable. */
  stop(): Promise<void>
  /** Stops watching and leaves the server running for the next process. */
  leave(): void
}

/** `UNDERSTUDY_HOME`, or `.understudy` in the user's home. */
export const defaultHome = (environment: NodeJS.ProcessEnv = process.env): string =>
  path.resolve(environment.UNDERSTUDY_HOME ?? path.join(os.homedir(), '.understudy'))

/**
 * Starts PostgreSQL, or adopts the one that is running on this home's data, and keeps it running until `stop` or `leave`.
 * Outage when it does not come up; Refusal when it cannot run here at all.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const cluster = openCluster(path.resolve(options.home))
  const news = options.onNews ?? (() => {})
  const adopted = await bringUp(cluster)
  cluster.inUse = true
  news(adopted ? 'adopted' : 'started', `PostgreSQL on port ${cluster.port}`)
  const watch = new AbortController()
  const watching = keepUp(cluster, watch.signal, news)
  return {
    databaseUrl: databaseUrl(cluster, 'understudy'),
    port: cluster.port,
    adopted,
    leave: () => watch.abort(),
    stop: async () => {
      watch.abort()
      await watching
      await shutDown(cluster)
    },
  }
}

type Cluster = {
  readonly dataFolder: string
  readonly binaries: string
  readonly runAs: RunAs
  readonly password: string
  port: number
  /** Its address has been given out. */
  inUse: boolean
}

const beside = (dataFolder: string, what: 'secret' | 'port' | 'log'): string => `${dataFolder}.${what}`
const databaseUrl = (cluster: Cluster, database: string): string =>
  `postgresql://understudy:${cluster.password}@127.0.0.1:${cluster.port}/${database}`

function openCluster(home: string): Cluster {
  mkdirSync(home, { recursive: true, mode: 0o755 })
  const dataFolder = path.join(home, 'postgres')
  const binaries = findPostgresBinaries()
  const runAs = chooseRunAs(binaries, dataFolder)
  if (!existsSync(path.join(dataFolder, 'PG_VERSION'))) initialise(dataFolder, binaries, runAs)
  const password = readFileSync(beside(dataFolder, 'secret'), 'utf8').trim()
  return { dataFolder, binaries, runAs, password, port: readPort(dataFolder) ?? 0, inUse: false }
}

function initialise(dataFolder: string, binaries: string, runAs: RunAs): void {
  const secret = beside(dataFolder, 'secret')
  if (!existsSync(secret))
    writeFileSync(secret, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 })
  chmodSync(secret, 0o600)
  // Made aside and renamed: a half-made cluster is never taken for a whole one.
  const unfinished = `${dataFolder}.new`
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { mode: 0o700 })
  if (runAs.owner) for (const file of [unfinished, secret]) chownSync(file, runAs.owner.uid, runAs.owner.gid)
  const [program, args] = command(binaries, runAs, 'initdb', [
    `--pgdata=${unfinished}`,
    '--username=understudy',
    `--pwfile=${secret}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // Not the system's: the data may move to a computer with another C library, and its indexes must not break there.
    '--locale-provider=builtin',
    '--locale=C.UTF-8',
    '--no-sync',
  ])
  const environment = { ...process.env, LC_ALL: 'C' }
  const made = spawnSync(program, args, { ...runAs.owner, cwd: '/', encoding: 'utf8', env: environment })
  // Only initdb had to read it.
  if (runAs.owner) chownSync(secret, 0, 0)
  if (made.status !== 0) throw notStarted(`initdb: ${made.stderr || made.error?.message}`)
  renameSync(unfinished, dataFolder)
}

function command(binaries: string, runAs: RunAs, name: string, args: readonly string[]): [string, string[]] {
  const words = [...runAs.prefix, path.join(binaries, 'bin', name), ...args]
  return [present(words[0], 'A command has a first word'), words.slice(1)]
}

const notStarted = (detail: string, cause?: unknown): Outage =>
  new Outage({
    code: 'store/postgres-not-started',
    message: `PostgreSQL did not start: ${detail.trim()}`,
    remedy: 'Look into postgres.log in the home folder; check that the disk has room.',
    cause,
  })

/** A killed predecessor holds its lock until the kernel has let go of it: some seconds. */
const startAttempts = 40
const startDeadlineMilliseconds = 60_000

/** Resolves when the server answers. Returns true when it was running already. */
async function bringUp(cluster: Cluster): Promise<boolean> {
  if (await answersInTime(cluster)) return true
  for (let attempt = 1; ; attempt += 1) {
    const failure = await launch(cluster)
    if (failure === null) return false
    // Somebody else, another process of ours, may have started it in the meantime.
    cluster.port = readPort(cluster.dataFolder) ?? cluster.port
    if (await answers(cluster)) return true
    const locked = /lock file|postmaster\.pid|shared memory/.test(failure)
    const portTaken = /Address already in use|could not create any TCP/.test(failure)
    if (attempt >= startAttempts || !(locked || portTaken)) throw notStarted(failure)
    await wait(250)
  }
}

/** A server that runs may be slow to answer, on a busy computer or while it recovers. A second one could not start beside it. */
async function answersInTime(cluster: Cluster): Promise<boolean> {
  const deadline = Date.now() + startDeadlineMilliseconds
  for (;;) {
    if (await answers(cluster)) return true
    if (!isRunning(cluster) || Date.now() > deadline) return false
    await wait(100)
    cluster.port = readPort(cluster.dataFolder) ?? cluster.port
  }
}

/** Starts the server once. Returns null when it answers, else what it said before it ended. */
async function launch(cluster: Cluster): Promise<string | null> {
  cluster.port = await choosePort(cluster)
  const log = openLog(cluster.dataFolder)
  const [program, args] = command(cluster.binaries, cluster.runAs, 'postgres', serverArguments(cluster))
  // Its own process group: Ctrl-C in our terminal is for us, and we shut it down in order.
  const child = spawn(program, args, {
    ...cluster.runAs.owner,
    cwd: '/',
    detached: true,
    stdio: ['ignore', log.handle, log.handle],
  })
  closeSync(log.handle)
  let ended = false
  let failure: Error | null = null
  child.once('error', (error) => {
    failure = error
  })
  child.once('exit', () => {
    ended = true
  })
  child.unref()
  const deadline = Date.now() + startDeadlineMilliseconds
  while (Date.now() < deadline) {
    if (failure) throw notStarted('its program cannot be run', failure)
    if (ended) return log.readNew()
    if (await answers(cluster)) return null
    await wait(25)
  }
  child.kill('SIGINT')
  throw notStarted(`it did not answer within ${startDeadlineMilliseconds / 1000} s`)
}

const serverArguments = (cluster: Cluster): string[] => [
  '-D',
  cluster.dataFolder,
  `--port=${cluster.port}`,
  '--listen-addresses=127.0.0.1',
  '--unix-socket-directories=',
  '--max-connections=120',
  '--shared-buffers=128MB',
  '--wal-compression=on',
  // Bounded: neither the statements that fail (a refused name is one) nor the checkpoints are news.
  '--log-min-messages=log',
  '--log-checkpoints=off',
]

const largestLogBytes = 4 * MiB

/** Appends, and begins anew when it has grown: a server that cannot start says so again and again. */
function openLog(dataFolder: string): { readonly handle: number; readonly readNew: () => string } {
  const file = beside(dataFolder, 'log')
  const handle = openSync(file, 'a', 0o600)
  if (fstatSync(handle).size > largestLogBytes) ftruncateSync(handle, 0)
  const from = fstatSync(handle).size
  return { handle, readNew: () => readFileSync(file).subarray(from).toString().slice(-4000) }
}

/**
 * The port of last time. When somebody else has taken it meanwhile: another one, but not for a server that has clients,
 * who would not find it.
 */
async function choosePort(cluster: Cluster): Promise<number> {
  const kept = readPort(cluster.dataFolder)
  if (kept !== null && (await isFree(kept))) return kept
  if (kept !== null && cluster.inUse) throw notStarted(`its port ${kept} is taken by another program`)
  const port = await findFreePort()
  writeFileSync(beside(cluster.dataFolder, 'port'), `${port}\n`)
  return port
}

function readPort(dataFolder: string): number | null {
  const file = beside(dataFolder, 'port')
  const port = existsSync(file) ? Number(readFileSync(file, 'utf8')) : Number.NaN
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : null
}

const isFree = async (port: number): Promise<boolean> => (await listenOnce(port)) !== null
const findFreePort = async (): Promise<number> => present(await listenOnce(0), 'The system has a free port')

function listenOnce(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = net.createServer()
    server.once('error', () => resolve(null))
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : null))
    })
  })
}

/** True only for a server on our data: another one may have our port. */
async function answers(cluster: Cluster): Promise<boolean> {
  if (cluster.port === 0) return false
  const client = new pg.Client({
    connectionString: databaseUrl(cluster, 'postgres'),
    connectionTimeoutMillis: 2_000,
    query_timeout: 2_000,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    const result = await client.query<{ data_directory: string }>('show data_directory')
    const folder = result.rows[0]?.data_directory
    return folder !== undefined && realpathSync(folder) === realpathSync(cluster.dataFolder)
  } catch {
    return false
  } finally {
    await client.end().catch(() => {})
  }
}

const restartsInARow = 10

/** Watches the server's process and starts it again when it has gone. Gives up when it does not come back. */
async function keepUp(
  cluster: Cluster,
  signal: AbortSignal,
  news: NonNullable<EmbeddedPostgresOptions['onNews']>,
): Promise<void> {
  let failures = 0
  while (await pause(failures === 0 ? 500 : 1000 * failures, signal)) {
    if (isRunning(cluster)) continue
    news('lost', 'PostgreSQL has ended')
    try {
      await bringUp(cluster)
      failures = 0
      news('restarted', `PostgreSQL on port ${cluster.port}`)
    } catch (error) {
      failures += 1
      const reason = error instanceof Error ? error.message : String(error)
      news(failures < restartsInARow ? 'lost' : 'given-up', reason)
      if (failures >= restartsInARow) return
    }
  }
}

/** False when aborted. Does not keep the process alive. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false
  return wait(milliseconds, true, { signal, ref: false }).catch(() => false)
}

function serverProcess({ dataFolder }: Cluster): number | null {
  const file = path.join(dataFolder, 'postmaster.pid')
  try {
    const pid = Number(readFileSync(file, 'utf8').split('\n')[0])
    return Number.isInteger(pid) && pid > 0 ? pid : null
  } catch {
    // It removes the file when it ends in order.
    return null
  }
}

function isRunning(cluster: Cluster): boolean {
  const pid = serverProcess(cluster)
  return pid !== null && isAlive(pid)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return !hasEnded(pid)
}

/** In containers often nobody waits for orphans: they have ended and stay in the table of processes for ever. */
function hasEnded(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // After the name, which may hold anything, comes the state: Z or X.
    return /^ [ZX]/.test(text.slice(text.lastIndexOf(')') + 1))
  } catch {
    // No such table here, or it went this moment and the next look sees that.
    return false
  }
}

/** Twice what PostgreSQL needs for its last checkpoint on a slow disk. */
const shutDownDeadlineMilliseconds = 60_000

async function shutDown(cluster: Cluster): Promise<void> {
  const pid = serverProcess(cluster)
  if (pid === null || !isAlive(pid)) return
  const [program, args] = command(cluster.binaries, cluster.runAs, 'pg_ctl', [
    `--pgdata=${cluster.dataFolder}`,
    '--mode=fast',
    '--no-wait',
    'stop',
  ])
  // SIGINT asks for the fast shutdown: no new clients, open transactions rolled back. Windows has no such signal.
  if (process.platform === 'win32') spawnSync(program, args)
  else process.kill(pid, 'SIGINT')
  const deadline = Date.now() + shutDownDeadlineMilliseconds
  while (isRunning(cluster)) {
    if (Date.now() > deadline) throw notStopped(pid)
    await wait(25)
  }
}

const notStopped = (pid: number): Outage =>
  new Outage({
    code: 'store/postgres-not-stopped',
    message: `PostgreSQL (process ${pid}) did not shut down within ${shutDownDeadlineMilliseconds / 1000} s`,
    remedy: 'Nothing is lost: the next start goes on with it. Look into postgres.log in the home folder.',
  })
