// For tests only: the whole product as a process of its own, with its lab of real machines, driven as an operator would.
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, createHmac } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { BlockReader, Extent } from '@understudy/block/device'
import { isZero } from '@understudy/block/zero-detection'
import type { Alert, Event } from '@understudy/contract/event'
import type { Job } from '@understudy/contract/job'
import type { Machine } from '@understudy/contract/machine'
import type { Lab } from '@understudy/contract/overview'
import type { Protection } from '@understudy/contract/protection'
import type { RecoveryPoint } from '@understudy/contract/recovery-point'
import type { Site } from '@understudy/contract/site'
import { destroyLab } from '@understudy/drivers/kvm/lab/lab'
import { pointDifferences } from '@understudy/drivers/kvm/lab/point-differences'
import { type ChainVerdict, verifyChain } from '@understudy/drivers/kvm/lab/verify-chain'
import { localHost } from '@understudy/drivers/kvm/local-host'
import { processOf } from '@understudy/drivers/kvm/power'
import { loadRunMachine, type RunMachine } from '@understudy/drivers/kvm/runs'
import type { OpenedPoint } from '@understudy/engine/ports/replica-store'
import { openJournalStore } from '@understudy/journal/journal-store'
import { loadSecretKey } from '@understudy/store/secret-key'

const entry = fileURLToPath(new URL('../main.ts', import.meta.url))
/** Built from the distribution's packages once, and shared with the other tests of the lab. */
const cacheFolder = fileURLToPath(new URL('../../../../node_modules/.cache/understudy-lab', import.meta.url))
const startSeconds = 300
const endStates: readonly Job['state'][] = ['succeeded', 'failed', 'cancelled']

export type Answer<Body> = { readonly status: number; readonly body: Body }
export type ProblemBody = { readonly code: string; readonly detail: string; readonly remedy: string }
export type Page<Row> = { readonly items: readonly Row[] }
export type SiteLetter = 'a' | 'b'
export type ProtectOptions = {
  readonly encrypt: boolean
  /** Ids of networks of the target site. */
  readonly networks: { readonly failover: string; readonly test: string }
}
/** What a lab machine's page says of itself. */
export type GuestStatus = {
  readonly machine: string
  readonly boot: string
  readonly chain: {
    readonly state: string
    readonly step: number
    readonly hash: string
    readonly bootCheck: string
  }
  readonly database: {
    readonly rows: number
    readonly amount: number
    readonly integrity: string
  } | null
}

/** Asks again and again until the answer is neither null nor undefined; throws with `what` when that takes too long. */
export async function until<Result>(
  what: string,
  seconds: number,
  look: () => Promise<Result | null | undefined>,
): Promise<Result> {
  const deadline = performance.now() + seconds * 1000
  let failure: unknown = null
  for (;;) {
    try {
      const seen = await look()
      if (seen !== null && seen !== undefined) return seen
      failure = null
    } catch (error) {
      failure = error
    }
    if (performance.now() > deadline) throw new Error(`Not within ${seconds} s: ${what}`, { cause: failure })
    await sleep(150)
  }
}

type Running = { readonly child: ChildProcess; readonly address: string; readonly printed: () => string }

async function startServer(home: string, args: readonly string[]): Promise<Running> {
  const child = spawn(process.execPath, [entry, ...args], {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      NODE_ENV: 'production',
      UNDERSTUDY_HOME: home,
      UNDERSTUDY_PORT: '0',
      UNDERSTUDY_LOG_FORMAT: 'json',
      UNDERSTUDY_REQUESTS_PER_MINUTE: '1000000',
    },
  })
  let printed = ''
  const keep = (chunk: Buffer): void => {
    printed += chunk.toString('utf8')
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const address = await until('the server is ready', startSeconds, async () => {
    if (child.exitCode !== null) return ''
    return /is ready: (\S+)\n/.exec(printed)?.[1]
  }).catch((error: unknown) => {
    child.kill('SIGKILL')
    throw new Error(`The server did not start:\n${printed.slice(-4000)}`, { cause: error })
  })
  if (address === '') throw new Error(`The server ended with ${child.exitCode}:\n${printed.slice(-4000)}`)
  return { child, address, printed: () => printed }
}

async function endServer({ child }: Running, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(signal)
  await ended
}

export async function postgresPid(home: string): Promise<number | null> {
  const file = await readFile(join(home, 'postgres', 'postmaster.pid'), 'utf8').catch(() => null)
  return file === null ? null : Number(file.split('\n')[0])
}

/** A killed server leaves its PostgreSQL behind for the next one. */
async function stopPostgres(home: string): Promise<void> {
  const pid = await postgresPid(home)
  if (pid === null) return
  // SIGINT: it ends at once and in order. The file of one that was killed stays.
  if (!isAlive(pid)) return
  process.kill(pid, 'SIGINT')
  await until('PostgreSQL has ended', 30, async () => (isAlive(pid) ? null : true))
}

/** A process that has ended and that nobody has waited for yet is not alive. */
export function isAlive(pid: number): boolean {
  try {
    // After the name, which may hold anything, comes the state.
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !/^ [ZX]/.test(text.slice(text.lastIndexOf(')') + 1))
  } catch {
    return false
  }
}

export type LabProduct = Awaited<ReturnType<typeof openLabProduct>>

/** Starts the product on an empty home and signs up. With `lab`: resolves when its machines run and are known. */
export async function openLabProduct(options: { readonly lab: boolean }) {
  const home = await mkdtemp(join(tmpdir(), 'us-p-'))
  await mkdir(cacheFolder, { recursive: true })
  await symlink(cacheFolder, join(home, 'cache'))
  const lab = join(home, 'lab')
  let running = await startServer(home, options.lab ? ['--lab'] : []).catch(async (error: unknown) => {
    await stopPostgres(home)
    await rm(home, { recursive: true, force: true })
    throw error
  })
  let token = ''

  /** Leaves no process and no file, whatever the test has killed. */
  const close = async (): Promise<void> => {
    await endServer(running, 'SIGTERM')
    await stopPostgres(home)
    await destroyLab({ folder: lab })
    await rm(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
  }

  async function call<Body = ProblemBody>(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<Answer<Body>> {
    const response = await fetch(`${running.address}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    })
    const text = await response.text()
    return { status: response.status, body: (text === '' ? null : JSON.parse(text)) as Body }
  }

  /** The body of an answer that must be a success. */
  async function ask<Body>(method: string, path: string, body?: unknown): Promise<Body> {
    const answer = await call<Body>(method, path, body)
    if (answer.status >= 400)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body
  }

  const items = async <Row>(path: string): Promise<readonly Row[]> =>
    (await ask<Page<Row>>('GET', path)).items

  async function waitForJob(id: string, states: readonly Job['state'][] = endStates): Promise<Job> {
    return until(`job ${id} is ${states.join(' or ')}`, 300, async () => {
      const job = await ask<Job>('GET', `/jobs/${id}`)
      return states.includes(job.state) ? job : null
    })
  }

  /** Starts a job and waits until it has succeeded. */
  async function finish(method: string, path: string, body?: unknown): Promise<Job> {
    const { jobId } = await ask<{ jobId: string }>(method, path, body)
    const job = await waitForJob(jobId)
    if (job.state !== 'succeeded')
      throw new Error(`${job.title} is ${job.state}: ${JSON.stringify(job, null, 1)}`)
    return job
  }

  const protection = (id: string): Promise<Protection> => ask('GET', `/protections/${id}`)
  const points = (id: string): Promise<readonly RecoveryPoint[]> =>
    items(`/protections/${id}/recovery-points?limit=500`)
  const siteHost = (site: SiteLetter) =>
    localHost({ name: site, machinesFolder: join(lab, `site-${site}`, 'machines') })

  /** Every machine that lies in the site's folder, whatever the product says. */
  async function machinesAt(site: SiteLetter): Promise<readonly RunMachine[]> {
    const host = siteHost(site)
    const entries = await host.list(host.machinesFolder)
    const found = await Promise.all(
      entries
        .filter(({ kind }) => kind === 'folder')
        .map(({ name }) => loadRunMachine(host, join(host.machinesFolder, name))),
    )
    return found.filter((machine) => machine !== null)
  }

  async function machineAt(site: SiteLetter, name: string): Promise<RunMachine> {
    const machine = (await machinesAt(site)).find((each) => each.name === name)
    return present(machine, `${name} is at site ${site}`)
  }

  async function openReplica(site: SiteLetter) {
    const folder = join(lab, `site-${site}`, 'replicas')
    const store = openJournalStore({
      folder,
      clock: { now: () => Date.now() },
      key: (id) => createHmac('sha256', loadSecretKey(home)).update(`replica ${id}`).digest(),
    })
    const [id] = await store.list()
    return store.openReplica(present(id, `site ${site} keeps a replica`), null)
  }

  /** Opens a point of the one replica that a site keeps, in this process, past the server. */
  async function withPoint<Result>(
    site: SiteLetter,
    pointId: string | 'newest',
    work: (point: OpenedPoint) => Promise<Result>,
  ): Promise<Result> {
    const replica = await openReplica(site)
    try {
      const all = replica.points()
      const point = pointId === 'newest' ? all.at(-1) : all.find(({ id }) => id === pointId)
      const opened = await replica.openPoint(present(point, `point ${pointId} is in the replica`).id)
      try {
        return await work(opened)
      } finally {
        await opened.close()
      }
    } finally {
      await replica.close()
    }
  }

  return {
    home,
    lab,
    call,
    ask,
    items,
    waitForJob,
    finish,
    protection,
    points,
    machinesAt,
    machineAt,
    withPoint,
    close,
    serverPid: (): number => present(running.child.pid, 'the server runs'),
    printed: (): string => running.printed(),
    /** kill -9 of the server alone; PostgreSQL and the guests stay, as after a crash. */
    kill: (): Promise<void> => endServer(running, 'SIGKILL'),
    async start(args: readonly string[] = []): Promise<void> {
      running = await startServer(home, args)
    },
    events: (subjectId: string): Promise<readonly Event[]> =>
      items(`/events?limit=500&subjectId=${subjectId}`),
    alerts: async (subjectId: string): Promise<readonly Alert[]> =>
      (await items<Alert>('/alerts?limit=500&open=true')).filter((alert) => alert.subjectId === subjectId),

    /** Makes the first owner with the printed link, and a token for everything that follows. */
    async signUp(): Promise<void> {
      const secret = await until(
        'the set-up link',
        10,
        async () => /\/setup\?token=(\S+)/.exec(running.printed())?.[1],
      )
      const done = await fetch(`${running.address}/api/v1/setup`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin: running.address },
        body: JSON.stringify({ token: secret, name: 'operator', password: 'correct horse battery' }),
      })
      const { csrfToken } = (await done.json()) as { csrfToken: string }
      const made = await fetch(`${running.address}/api/v1/tokens`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'x-csrf-token': csrfToken,
          cookie: (done.headers.get('set-cookie') ?? '').split(';')[0] ?? '',
          origin: running.address,
        },
        body: JSON.stringify({ name: 'test', role: 'owner' }),
      })
      token = ((await made.json()) as { secret: string }).secret
    },

    async waitForLab(): Promise<{ readonly siteA: Site; readonly siteB: Site; readonly machine: Machine }> {
      await until('the lab is ready', 500, async () => {
        const { state, jobId } = await ask<Lab>('GET', '/lab')
        if (state === 'failed')
          throw new Error(JSON.stringify(await ask('GET', `/jobs/${jobId ?? ''}`), null, 1))
        return state === 'ready' ? state : null
      })
      const sites = await items<Site>('/sites')
      const siteA = present(
        sites.find(({ name }) => name.endsWith('A')),
        'the lab has a site A',
      )
      const siteB = present(
        sites.find(({ name }) => name.endsWith('B')),
        'the lab has a site B',
      )
      const machines = await items<Machine>(`/machines?siteId=${siteA.id}`)
      return {
        siteA,
        siteB,
        machine: present(
          machines.find(({ name }) => name === 'lab-db'),
          'lab-db is known',
        ),
      }
    },

    /** Protects the machine with a cycle every so many seconds; resolves when it is protected. */
    async protect(
      machineId: string,
      targetSiteId: string,
      intervalSeconds: number,
      { encrypt, networks }: ProtectOptions = {
        encrypt: true,
        networks: { failover: 'prod', test: 'isolated' },
      },
    ): Promise<string> {
      const policy = await ask<{ id: string }>('POST', '/policies', {
        name: `every ${intervalSeconds} s ${machineId}`,
        intervalSeconds,
        lagTargetSeconds: 3600,
        applicationConsistentEverySeconds: 0,
        retention: [{ everySeconds: 0, forSeconds: 3600 }],
        compress: true,
        encrypt,
        priority: 5,
        rateLimitBytesPerSecond: 0,
        commitTimeoutSeconds: 0,
        uncommittedAction: 'commit',
      })
      const { protectionId, jobId } = await ask<{ protectionId: string; jobId: string }>(
        'POST',
        '/protections',
        {
          machineId,
          targetSiteId,
          policyId: policy.id,
          adapters: [
            { adapterKey: 'nic0', failoverNetworkId: networks.failover, testNetworkId: networks.test },
          ],
        },
      )
      const job = await waitForJob(jobId)
      if (job.state !== 'succeeded') throw new Error(JSON.stringify(job, null, 1))
      await until('lab-db is protected', 300, async () =>
        (await protection(protectionId)).state === 'protected' ? true : null,
      )
      return protectionId
    },

    /** A point of an instant after this call. */
    async nextPoint(id: string, seconds = 120): Promise<RecoveryPoint> {
      const since = Date.now()
      return until('a newer recovery point', seconds, async () => {
        const [newest] = await points(id)
        return newest && Date.parse(newest.instant) > since ? newest : null
      }).catch(async (cause: unknown) => {
        const [now, alerts] = [await protection(id), await items('/alerts?open=true')]
        throw new Error(`${String(cause)}: ${JSON.stringify({ now, alerts }, null, 1)}`, { cause })
      })
    },

    /** Where a point differs from the machine's disks as they are now; see pointDifferences. */
    differencesTo: (
      machine: RunMachine,
      site: SiteLetter,
      pointId: string | 'newest',
    ): Promise<readonly string[]> => withPoint(site, pointId, (point) => pointDifferences(machine, point)),

    /** One hash over every byte of a point. Zeros count by being left out between the offsets of the rest. */
    hashOf: (site: SiteLetter, pointId: string): Promise<string> =>
      withPoint(site, pointId, async ({ disks }) => {
        const hash = createHash('sha256')
        for (const { key, bytes, reader } of disks) {
          hash.update(`${key} ${bytes}\n`)
          for (let offset = 0; offset < bytes; offset += pieceBytes) {
            const piece = { offset, bytes: Math.min(pieceBytes, bytes - offset) }
            if (await isKnownZero(reader, piece)) continue
            const data = await reader.read(piece.offset, piece.bytes)
            if (!isZero(data)) hash.update(`${offset}\n`).update(data)
          }
        }
        return hash.digest('hex')
      }),

    /** The chain of records over all disks of a point, judged from outside. */
    chainOf: (site: SiteLetter, pointId: string | 'newest'): Promise<ChainVerdict> =>
      withPoint(site, pointId, ({ disks }) => verifyChain(disks.map(({ reader }) => reader))),
  }
}

const pieceBytes = MiB

async function isKnownZero(reader: BlockReader, piece: Extent): Promise<boolean> {
  for await (const { kind } of reader.map?.(piece) ?? [{ kind: 'data' }]) if (kind === 'data') return false
  return true
}

/** The status page of a guest that answers at one of these addresses, once its chain and database are up. */
export const waitForGuest = (addresses: readonly string[], seconds = 150): Promise<GuestStatus> =>
  until(`a guest at ${addresses.join(', ')} is up`, seconds, async () => {
    const response = await fetch(`${addresses[0]}/status.json`, { signal: AbortSignal.timeout(5000) })
    const status = (await response.json()) as GuestStatus
    return status.chain.state !== 'starting' && (status.database?.integrity ?? '') !== '' ? status : null
  })

/** Where a machine that we read from its folder answers. */
export const addressesOf = (machine: RunMachine): readonly string[] =>
  machine.definition.adapters.flatMap(({ forwards }) =>
    forwards.map(({ hostPort }) => `http://127.0.0.1:${hostPort}`),
  )

/** Of QEMU, while the machine runs. */
export const pidOf = async (machine: RunMachine): Promise<number | null> => processOf(machine)

export const foldersAt = (product: LabProduct, site: SiteLetter): Promise<string[]> =>
  readdir(join(product.lab, `site-${site}`, 'machines'))
