// For tests only: a whole emulated server with the hardware of another time (AHCI, e1000e), which nothing but its own agent can be asked about, and
// whoever looks at its disk from outside while the agent holds it still.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { buildServerDisk, makeServerDisk, serverProbePort } from '@understudy/drivers/kvm/lab/server-image'
import { freePort } from '@understudy/simulator/free-port'
import { bundleProgram } from '@understudy/toolchain/bundle-program'
import { until } from './lab-product.ts'

const run = promisify(execFile)
const cacheFolder = fileURLToPath(new URL('../../../../node_modules/.cache/understudy-lab', import.meta.url))
const agentEntry = fileURLToPath(new URL('../../../agent/src/lab-tests/held-agent.ts', import.meta.url))
const KEPT_HOLDS = 5

/** What the server, or whatever was booted from a copy of it, says of itself. */
export type ServerStatus = {
  /** What lay on its disk when it started: whether every record follows from the one before, and the newest. */
  readonly found: { readonly ok: boolean; readonly newest: number }
  readonly newest: number
  readonly boot: string
  /** Name and address. */
  readonly adapters: readonly string[]
}

export type OldIron = Awaited<ReturnType<typeof openOldIron>>

export const prepareCache = (): Promise<string> => buildServerDisk({ cacheFolder })

export async function openOldIron(folder: string, base: string) {
  await mkdir(join(folder, 'holds'), { recursive: true })
  const disk = join(folder, 'disk.raw')
  const serialLog = join(folder, 'serial.log')
  const port = await freePort()
  const holds: { readonly at: number; readonly file: string }[] = []
  const watcher = createServer((_request, response) => {
    const at = Date.now()
    const file = join(folder, 'holds', `${at}.raw`)
    void run('cp', ['--sparse=always', '--reflink=auto', disk, file])
      .then(async () => {
        holds.push({ at, file })
        for (const old of holds.splice(0, Math.max(0, holds.length - KEPT_HOLDS))) await rm(old.file)
        response.end('go on')
      })
      .catch(() => response.destroy())
  })
  watcher.listen(0, '127.0.0.1')
  await once(watcher, 'listening')
  const holdsPort = (watcher.address() as AddressInfo).port
  let machine: ChildProcess | null = null
  const end = async (): Promise<void> => {
    const child = machine
    machine = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  return {
    /** Where its page answers. */
    address: `http://127.0.0.1:${port}`,
    holds: (): readonly { readonly at: number; readonly file: string }[] => holds,
    async install(enrol: string): Promise<void> {
      const agent = join(folder, 'agent.mjs')
      await bundleProgram({ entry: agentEntry, file: agent, format: 'esm' })
      // The computer of the test, as the server sees it.
      const environment = `UNDERSTUDY_TEST_HOLDS=http://10.0.2.2:${holdsPort}/\n`
      await makeServerDisk(base, disk, { node: process.execPath, agent, enrol, environment })
    },
    start(): void {
      const hardware = [
        ...['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'qemu64', '-smp', '2', '-m', '768'],
        ...['-nodefaults', '-no-user-config', '-display', 'none'],
        ...['-smbios', 'type=1,manufacturer=Iron Works,product=Old,serial=IW-0042'],
        ...['-chardev', `file,id=serial,path=${serialLog}`, '-serial', 'chardev:serial'],
        ...['-blockdev', `driver=raw,node-name=disk,file.driver=file,file.filename=${disk}`],
        ...['-device', 'ide-hd,drive=disk,bus=ide.0,serial=OLD-DISK-1,bootindex=0'],
        ...['-netdev', `user,id=net,hostfwd=tcp:127.0.0.1:${port}-:${serverProbePort}`],
        ...['-device', 'e1000e,netdev=net,addr=0x5,mac=52:54:00:0a:0b:0c,romfile='],
      ]
      machine = spawn('qemu-system-x86_64', hardware, { stdio: 'ignore' })
    },
    /** Pulls the plug. */
    end,
    serial: (): Promise<string> => readFile(serialLog, 'latin1').catch(() => ''),
    async close(): Promise<void> {
      await end()
      watcher.close()
      watcher.closeAllConnections()
    },
  }
}

export const statusOf = (address: string, seconds: number): Promise<ServerStatus> =>
  until(`${address} answers`, seconds, async () => {
    const response = await fetch(address, { signal: AbortSignal.timeout(10_000) })
    return (await response.json()) as ServerStatus
  })

/** Runs it in there, as root. Throws when it does not end well. */
export async function inside(address: string, script: string): Promise<string> {
  const response = await fetch(`${address}/sh`, {
    method: 'POST',
    body: script,
    signal: AbortSignal.timeout(120_000),
  })
  const { code, output } = (await response.json()) as { readonly code: number; readonly output: string }
  if (code !== 0) throw new Error(`${script} ended with ${code}: ${output}`)
  return output
}

export async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(piece as Buffer)
  return hash.digest('hex')
}
