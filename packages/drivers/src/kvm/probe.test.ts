import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { localHost } from './local-host.ts'
import type { MachineDefinition } from './machine-definition.ts'
import { probeMachine } from './probe.ts'

let folder: string
const servers: net.Server[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'probe-'))
})
afterEach(async () => {
  for (const server of servers.splice(0)) server.close()
  await rm(folder, { recursive: true, force: true })
})

async function serve(where: net.ListenOptions, onData: (socket: net.Socket, data: Buffer) => void) {
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (data) => onData(socket, data))
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(where, resolve))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

const serveGuest = (answer: string) =>
  serve({ host: '127.0.0.1', port: 0 }, (socket) => {
    if (answer !== '') socket.end(answer)
  })

/** Answers a sync with its id and everything else with an empty list. */
const serveAgent = () =>
  serve({ path: join(folder, 'agent.sock') }, (socket, data) => {
    const { execute, arguments: args } = JSON.parse(data.toString('latin1').replace('\xff', ''))
    socket.write(`${JSON.stringify({ return: execute === 'guest-sync-delimited' ? args.id : [] })}\n`)
  })

function machineWith(ports: readonly number[]): Parameters<typeof probeMachine>[0] {
  const forwards = ports.map((hostPort, index) => ({ guestPort: 80 + index, hostPort }))
  const adapter = {
    key: 'nic0',
    macAddress: '52:54:00:00:00:01',
    networkId: 'prod',
    model: 'virtio-net-pci',
    kind: 'user',
    restrict: false,
    forwards,
  } as const
  const definition = { adapters: [adapter] } as unknown as MachineDefinition
  return {
    ref: 'web' as Parameters<typeof probeMachine>[0]['ref'],
    name: 'web',
    host: localHost({ name: 'here', machinesFolder: folder }),
    folder,
    monitorPath: join(folder, 'monitor.sock'),
    agentPath: join(folder, 'agent.sock'),
    definition,
  }
}

test('bytes from the service behind a forwarded port are the answer, and the note says so', async () => {
  const port = await serveGuest('HTTP/1.0 200 OK\r\n\r\n')
  const probe = await probeMachine(machineWith([port]))
  expect(probe).toMatchObject({ answered: true, addresses: [`http://127.0.0.1:${port}`] })
  expect(probe.note).toContain('service answers')
})

test('an agent alone is no answer of a machine whose service is known and silent', async () => {
  await serveAgent()
  const probe = await probeMachine(machineWith([await serveGuest('')]))
  expect(probe).toEqual({
    addresses: [],
    answered: false,
    note: 'nothing answers on port 80; the guest agent answers',
  })
})

test('one of several services is enough: nobody said that the machine has them all', async () => {
  const port = await serveGuest('SSH-2.0-test\r\n')
  const probe = await probeMachine(machineWith([await serveGuest(''), port]))
  expect(probe).toMatchObject({ answered: true, addresses: [`127.0.0.1:${port}`] })
})

test('where no service is known the agent counts, and the note names it', async () => {
  await serveAgent()
  expect(await probeMachine(machineWith([]))).toEqual({
    addresses: [],
    answered: true,
    note: 'the guest agent answers',
  })
})

test('a guest of which nothing is heard has not answered', async () => {
  expect(await probeMachine(machineWith([]))).toMatchObject({ answered: false })
})
