// An agent on a simulated server, as a process of its own, enrolled by the command that the console would show.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Api } from './api-client.ts'
import { withCleanUp } from './clean-up.ts'

const entry = fileURLToPath(new URL('../../apps/agent/src/lab-tests/simulated-agent.ts', import.meta.url))

export type BenchAgent = { readonly name: string; pid(): number }

/** `disk`: settings of a simulated site, for its one server. `proxy`: an address that the agent goes through. */
export async function withAgent(
  api: Api,
  {
    siteId,
    name,
    disk,
    proxy,
  }: { readonly siteId: string; readonly name: string; readonly disk: object; readonly proxy: string },
  work: (agent: BenchAgent) => Promise<void>,
): Promise<void> {
  const home = await mkdtemp(path.join(tmpdir(), 'us-bench-agent-'))
  let running: ChildProcess | null = null
  const start = (args: readonly string[]): ChildProcess =>
    spawn(process.execPath, [entry, ...args, '--home', home], {
      cwd: '/',
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        ...process.env,
        UNDERSTUDY_SIMULATED_SERVER: path.join(home, 'simulated'),
        UNDERSTUDY_SIMULATED_SETTINGS: JSON.stringify(disk),
      },
    })
  const close = async (): Promise<void> => {
    if (running && running.exitCode === null && running.signalCode === null) {
      const ended = once(running, 'close')
      running.kill('SIGTERM')
      await ended
    }
    await rm(home, { recursive: true, force: true })
  }
  await withCleanUp(close, async () => {
    const { command } = await api<{ command: string }>('POST', `/sites/${siteId}/agent-invitations`, {
      roles: ['protected-server'],
    })
    const more = ['--name', name, '--identity', name, '--proxy', proxy]
    const [code] = await once(start([...command.split(' ').slice(1), ...more]), 'close')
    if (code !== 0) throw new Error(`${name} could not be enrolled`)
    const child = start(['run'])
    running = child
    await work({ name, pid: () => child.pid ?? 0 })
  })
}
