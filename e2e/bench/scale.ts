// npm run bench:scale [-- --quick | --machines=N --windows=N]. A thousand simulated machines replicated every 30 s by one server
// process, while somebody looks at the console: what it costs, how far behind they are, and how quickly the API answers. What
// the simulated guests and sites cost is in the server's figures.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { KiB, MiB } from '@understudy/base/bytes'
import type { Product } from '../product.ts'
import { type Api, listAll } from './api-client.ts'
import { median, newBars, numberOption, quantile } from './bars.ts'
import { withProduct } from './bench-product.ts'
import { cpuSeconds, residentBytes } from './process-figures.ts'
import { protectSimulated, type ShownProtection } from './simulated-machines.ts'

const isQuick = process.argv.includes('--quick')
const machines = numberOption('machines', isQuick ? 40 : 1_000)
const intervalSeconds = isQuick ? 10 : 30
const windows = numberOption('windows', isQuick ? 1 : 3)
const windowSeconds = isQuick ? 10 : 60
const setUpLimitSeconds = isQuick ? 60 : 1_200

const bars = newBars(isQuick ? 'scale-quick' : 'scale')
await withProduct(async (api, product) => {
  const emptyBytes = await residentBytes(product.serverPid())
  const setUpSeconds = await protectSimulated(api, {
    machines,
    intervalSeconds,
    limitSeconds: setUpLimitSeconds,
    guests: { usedBytes: 256 * KiB, churnBytesPerSecond: 2 * KiB },
  })
  bars.note('scale-set-up', setUpSeconds, 's')
  await measure(api, product, emptyBytes)
})
await bars.finish()

type Sample = {
  readonly cores: number
  readonly memoryBytes: number
  readonly lags: readonly number[]
  readonly answers: readonly number[]
}

async function measure(api: Api, { serverPid, home }: Product, emptyBytes: number): Promise<void> {
  const pid = serverPid()
  if (pid === 0) throw new Error('The server did not say which process it is')
  // One round first, so that the seeds' wave has passed.
  await wait(intervalSeconds * 1000)
  const samples: Sample[] = []
  const databaseBefore = await databaseCpuSeconds(home)
  const startedAt = Date.now()
  for (let window = 0; window < windows; window += 1) samples.push(await measureWindow(api, pid))
  const seconds = (Date.now() - startedAt) / 1000
  bars.note('scale-postgres-cpu', ((await databaseCpuSeconds(home)) - databaseBefore) / seconds, 'cores')
  const memory = samples.map(({ memoryBytes }) => memoryBytes)
  bars.note('scale-memory-empty', emptyBytes / MiB, 'MiB')
  bars.note('scale-memory-per-protection', (Math.max(...memory) - emptyBytes) / machines / MiB, 'MiB')
  bars.note('scale-memory-grows', ((memory.at(-1) ?? 0) - (memory[0] ?? 0)) / MiB, 'MiB')
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
  bars.note(
    'scale-lag-worst',
    all(({ lags }) => lags, 1),
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

/** Of PostgreSQL's processes that live now: they come and go with connections, and few do while we measure. */
async function databaseCpuSeconds(home: string): Promise<number> {
  const postmaster = Number((await readFile(join(home, 'postgres/postmaster.pid'), 'utf8')).split('\n')[0])
  const children = await readFile(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8')
  const pids = [postmaster, ...children.trim().split(' ').map(Number)]
  const all = await Promise.all(pids.map((pid) => cpuSeconds(pid).catch(() => 0)))
  return all.reduce((sum, one) => sum + one, 0)
}
