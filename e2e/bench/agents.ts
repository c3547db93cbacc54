// npm run bench:agents [-- --quick | --agents=N]. Two hundred agents that stay connected to one server: what they cost it, and how quickly it
// answers somebody who looks at them.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { MiB } from '@understudy/base/bytes'
import type { Api } from './api-client.ts'
import { newBars, numberOption, quantile } from './bars.ts'
import { withProduct } from './bench-product.ts'
import { withCleanUp } from './clean-up.ts'
import { cpuSeconds, residentBytes } from './process-figures.ts'

const isQuick = process.argv.includes('--quick')
const agents = numberOption('agents', isQuick ? 20 : 200)
const windowSeconds = isQuick ? 15 : 90
const connectSeconds = 300

const entry = fileURLToPath(new URL('../../apps/agent/src/lab-tests/many-agents.ts', import.meta.url))
const bars = newBars(isQuick ? 'agents-quick' : 'agents')

await withProduct(async (api, { serverPid }) => {
  const { id } = await api<{ id: string }>('POST', '/sites', { name: 'far', platform: 'physical' })
  const quiet = await measure(api, id, serverPid())
  bars.note('agents-cpu-without', quiet.cores, 'cores')
  const commands: string[] = []
  for (let count = 0; count < agents; count += 1) {
    const roles = ['protected-server']
    commands.push(
      (await api<{ command: string }>('POST', `/sites/${id}/agent-invitations`, { roles })).command,
    )
  }
  const child = spawn(process.execPath, [entry], { cwd: '/', stdio: ['pipe', 'pipe', 'inherit'] })
  const close = async (): Promise<void> => {
    if (child.exitCode !== null) return
    const ended = once(child, 'close')
    child.kill('SIGTERM')
    await ended
  }
  await withCleanUp(close, async () => {
    child.stdin.end(commands.join('\n'))
    const ended = once(child, 'close').then(() => Promise.reject(new Error('The agents ended')))
    await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended])
    ended.catch(() => {})
    const startedAt = Date.now()
    while ((await connected(api, id)) < agents) {
      if (Date.now() - startedAt > connectSeconds * 1000) break
      await wait(500)
    }
    bars.note('agents-connect', (Date.now() - startedAt) / 1000, 's')
    const busy = await measure(api, id, serverPid())
    bars.bar('agents-connected', await connected(api, id), 'agents', { atLeast: agents })
    bars.note('agents-cpu', busy.cores, 'cores')
    bars.note('agents-memory', busy.memoryBytes / MiB, 'MiB')
    bars.note('agents-memory-each', (busy.memoryBytes - quiet.memoryBytes) / agents / MiB, 'MiB')
    bars.note('agents-list-p99', quantile(busy.answers, 0.99), 'ms')
  })
})
await bars.finish()

async function connected(api: Api, siteId: string): Promise<number> {
  const { items } = await api<{ items: readonly { state: string }[] }>('GET', `/agents?siteId=${siteId}`)
  return items.filter(({ state }) => state === 'connected').length
}

async function measure(api: Api, siteId: string, pid: number) {
  const startedAt = Date.now()
  const before = await cpuSeconds(pid)
  const answers: number[] = []
  while (Date.now() - startedAt < windowSeconds * 1000) {
    const askedAt = performance.now()
    await api('GET', `/agents?siteId=${siteId}`)
    answers.push(performance.now() - askedAt)
    await wait(1000)
  }
  const cores = ((await cpuSeconds(pid)) - before) / ((Date.now() - startedAt) / 1000)
  return { cores, memoryBytes: await residentBytes(pid), answers }
}
