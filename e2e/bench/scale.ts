// npm run bench:scale [-- --quick]. A thousand simulated machines replicated every 30 s by one server process, while
// somebody looks at the console: what it costs, how far behind they are, and how quickly the API answers.
import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { KiB, MiB } from '@understudy/base/bytes'
import { newHome, type Product, removeHome, startProduct } from '../product.ts'
import { median, newBars, quantile } from './bars.ts'

const isQuick = process.argv.includes('--quick')
const machines = isQuick ? 40 : 1_000
const intervalSeconds = isQuick ? 10 : 30
const windows = isQuick ? 1 : 3
const windowSeconds = isQuick ? 10 : 60
const setUpLimitSeconds = isQuick ? 60 : 1_200

type Api = <Answer>(method: string, path: string, body?: unknown) => Promise<Answer>
type Listed<Item> = {
  readonly items: readonly Item[]
  readonly next: string | null
  readonly total: number | null
}
type Identified = { readonly id: string }
type ShownProtection = Identified & { readonly state: string; readonly lagSeconds: number | null }

const bars = newBars(isQuick ? 'scale-quick' : 'scale')
const home = await newHome()
try {
  const product = await startProduct(home, {
    environment: { UNDERSTUDY_REQUESTS_PER_MINUTE: '1000000' },
  })
  try {
    const api = await signUp(product)
    await protectAll(api)
    await measure(api, product)
  } finally {
    await product.stop()
  }
} finally {
  await removeHome(home)
}
await bars.finish()

/** Makes the owner and a token of theirs: programs use tokens. */
async function signUp({ address, setupLink }: Product): Promise<Api> {
  const password = 'a long enough password'
  const token = new URL(setupLink ?? 'http://no-link').searchParams.get('token')
  const origin = new URL(address).origin
  const setUp = await fetch(`${origin}/api/v1/setup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token, name: 'bench', password }),
  })
  const session: { csrfToken: string } = JSON.parse(await textOf(setUp))
  const cookie = setUp.headers
    .getSetCookie()
    .map((one) => one.split(';')[0])
    .join('; ')
  const made = await fetch(`${origin}/api/v1/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', cookie, 'x-csrf-token': session.csrfToken },
    body: JSON.stringify({ name: 'bench', role: 'owner', expiresInDays: 1 }),
  })
  const { secret }: { secret: string } = JSON.parse(await textOf(made))
  return async (method, path, body) => {
    const answer = await fetch(`${origin}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return JSON.parse(await textOf(answer))
  }
}

async function textOf(answer: Response): Promise<string> {
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${answer.status} ${answer.url}: ${text.slice(0, 500)}`)
  return text
}

async function protectAll(api: Api): Promise<void> {
  const startedAt = Date.now()
  const site = (name: string, count: number) =>
    api<Identified>('POST', '/sites', {
      name,
      platform: 'simulated',
      settings: {
        machines: count,
        diskBytes: MiB,
        usedBytes: 256 * KiB,
        churnBytesPerSecond: 2 * KiB,
        seed: 1,
      },
    })
  const [source, target] = [await site('bench source', machines), await site('bench target', 0)]
  const policy = await api<Identified>('POST', '/policies', {
    name: 'bench',
    intervalSeconds,
    lagTargetSeconds: 4 * intervalSeconds,
    applicationConsistentEverySeconds: 0,
    retention: [{ everySeconds: 0, forSeconds: 3600 }],
    compress: true,
    encrypt: false,
    priority: 5,
    rateLimitBytesPerSecond: 0,
    commitTimeoutSeconds: 0,
    uncommittedAction: 'commit',
  })
  const found = await listAll<Identified>(api, `/machines?siteId=${source.id}`)
  if (found.length !== machines)
    throw new Error(`The inventory has ${found.length} machines, not ${machines}`)
  const waiting = [...found]
  const protectNext = async (): Promise<void> => {
    for (let machine = waiting.pop(); machine; machine = waiting.pop())
      await api('POST', '/protections', {
        machineId: machine.id,
        targetSiteId: target.id,
        policyId: policy.id,
      })
  }
  await Promise.all(Array.from({ length: 8 }, protectNext))
  await untilProtected(api, startedAt)
  bars.note('scale-set-up', (Date.now() - startedAt) / 1000, 's')
}

async function untilProtected(api: Api, startedAt: number): Promise<void> {
  for (;;) {
    const { total } = await api<Listed<ShownProtection>>('GET', '/protections?state=protected&limit=1')
    if (total === machines) return
    if (Date.now() - startedAt > setUpLimitSeconds * 1000)
      throw new Error(`After ${setUpLimitSeconds} s ${total} of ${machines} machines are protected`)
    await wait(1_000)
  }
}

async function listAll<Item>(api: Api, path: string): Promise<Item[]> {
  const items: Item[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const page: Listed<Item> = await api('GET', `${path}${path.includes('?') ? '&' : '?'}limit=500${query}`)
    items.push(...page.items)
    cursor = page.next
  }
  return items
}

type Sample = {
  readonly cores: number
  readonly memoryBytes: number
  readonly lags: readonly number[]
  readonly answers: readonly number[]
}

async function measure(api: Api, { serverPid }: Product): Promise<void> {
  const pid = serverPid()
  if (pid === 0) throw new Error('The server did not say which process it is')
  // One round first, so that the seeds' wave has passed.
  await wait(intervalSeconds * 1000)
  const samples: Sample[] = []
  for (let window = 0; window < windows; window += 1) samples.push(await measureWindow(api, pid))
  const all = (pick: (sample: Sample) => readonly number[], share: number): number =>
    median(samples.map((sample) => quantile(pick(sample), share)))
  bars.bar('scale-cpu', median(samples.map(({ cores }) => cores)), 'cores', { atMost: 1 })
  bars.bar('scale-memory', Math.max(...samples.map(({ memoryBytes }) => memoryBytes)) / MiB, 'MiB', {
    atMost: 1024,
  })
  bars.note(
    'scale-lag-p50',
    all(({ lags }) => lags, 0.5),
    's',
  )
  bars.bar(
    'scale-lag-p99',
    all(({ lags }) => lags, 0.99),
    's',
    { atMost: 2 * intervalSeconds },
  )
  bars.bar(
    'scale-api-p50',
    all(({ answers }) => answers, 0.5),
    'ms',
    { atMost: 100 },
  )
  bars.bar(
    'scale-api-p99',
    all(({ answers }) => answers, 0.99),
    'ms',
    { atMost: 1000 },
  )
  const states = await listAll<ShownProtection>(api, '/protections')
  bars.bar('scale-protected', states.filter(({ state }) => state === 'protected').length, 'machines', {
    atLeast: machines,
  })
}

/** Asks what a console asks for, five times a second, one request after the other. */
async function measureWindow(api: Api, pid: number): Promise<Sample> {
  const startedAt = Date.now()
  const cpuBefore = await cpuSeconds(pid)
  const answers: number[] = []
  const lags: number[] = []
  let memoryBytes = 0
  const first = (await listAll<ShownProtection>(api, '/protections'))[0]
  const paths = [
    '/overview',
    '/protections?limit=100',
    `/protections/${first?.id}`,
    '/jobs?limit=50',
    '/events?limit=50',
  ]
  for (let round = 0; Date.now() - startedAt < windowSeconds * 1000; round += 1) {
    const path = paths[round % paths.length] ?? '/overview'
    const askedAt = performance.now()
    await api('GET', path)
    answers.push(performance.now() - askedAt)
    if (round % 50 === 0)
      for (const { lagSeconds } of await listAll<ShownProtection>(api, '/protections'))
        lags.push(lagSeconds ?? Number.POSITIVE_INFINITY)
    memoryBytes = Math.max(memoryBytes, await residentBytes(pid))
    await wait(200)
  }
  const cores = ((await cpuSeconds(pid)) - cpuBefore) / ((Date.now() - startedAt) / 1000)
  return { cores, memoryBytes, lags, answers }
}

/** utime and stime of proc(5), in ticks of 10 ms. The fields are counted after the name, which may hold anything. */
async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * KiB
}
