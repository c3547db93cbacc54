// For tests only: a real agent as a process of its own, and a proxy of ours that it has to go through and that cuts its line.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { present } from '@understudy/base/invariant'

const entry = fileURLToPath(new URL('../../../agent/src/main.ts', import.meta.url))

export type AgentRun = { readonly code: number | null; readonly printed: string }

/** An agent with a folder of its own on a server that is told apart by its identity. */
export async function openAgent(identity: string, folder?: string) {
  const home = folder ?? (await mkdtemp(join(tmpdir(), 'us-agent-')))
  let running: ChildProcess | null = null
  let printed = ''
  const start = (args: readonly string[]): ChildProcess => {
    const child = spawn(process.execPath, [entry, ...args, '--home', home], {
      cwd: '/',
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
export type TestAgent = Awaited<ReturnType<typeof openAgent>>

/** Speaks CONNECT, and cuts everything that goes through it when it is told to. */
export async function openCuttingProxy() {
  const lines = new Set<Duplex>()
  let carried = 0
  const server = createServer((_request, response) => response.writeHead(405).end())
  server.on('connect', (request, client, head) => {
    const [host, port] = (request.url ?? '').split(':')
    const there = connect({ host: host ?? '', port: Number(port) }, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      there.write(head)
      there.pipe(client).pipe(there)
      carried += 1
    })
    for (const each of [client, there]) {
      lines.add(each)
      each.on('error', () => {})
      each.on('close', () => {
        lines.delete(each)
        client.destroy()
        there.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = (): void => {
    for (const each of lines) each.destroy()
  }
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    /** Lines that were opened through it. */
    carried: (): number => carried,
    async close(): Promise<void> {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Nobody has it now; a server that is killed and started again wants the same one. */
export async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
