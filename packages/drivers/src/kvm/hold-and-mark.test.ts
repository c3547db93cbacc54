import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { holdAndMark } from './hold-and-mark.ts'
import { localHost } from './local-host.ts'
import type { PreparedMachine } from './prepare-point.ts'
import type { Qmp } from './qmp.ts'

let folder: string
let server: net.Server
/** What the agent answers to freeze and thaw: how many file systems. */
let counts: Readonly<Record<string, number>>

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'us-hold-'))
  server = net.createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      const { execute, arguments: args } = JSON.parse(chunk.toString('latin1').replaceAll('\xff', '')) as {
        execute: string
        arguments: { id?: number }
      }
      socket.write(`${JSON.stringify({ return: args.id ?? counts[execute] ?? {} })}\n`)
    })
  })
  await new Promise<void>((resolve) => server.listen(join(folder, 'agent.sock'), resolve))
})
afterEach(async () => {
  server.close()
  await rm(folder, { recursive: true, force: true })
})

/** A running machine without disks, whose monitor grants everything. */
function prepared(): PreparedMachine {
  const qmp = { batch: async () => [], onEvent: () => () => undefined } as unknown as Qmp
  return {
    machine: {
      ref: '00000000-0000-4000-8000-000000000001' as MachineRef,
      name: 'alpha',
      host: localHost({ name: 'here', machinesFolder: folder }),
      folder,
      monitorPath: join(folder, 'qmp.sock'),
      agentPath: join(folder, 'agent.sock'),
      definition: null,
    },
    trackingId: 'p1',
    visit: { qmp, end: () => undefined },
    running: true,
    since: null,
    checkpoint: { bitmap: 'b', process: 'p', disks: new Map() },
    snapshots: [],
    unchangedAt: null,
  }
}

const hold = () => holdAndMark([prepared()], 'application', { now: () => 5 })

test('a point is application-consistent when the guest was frozen until its disks were marked', async () => {
  counts = { 'guest-fsfreeze-freeze': 2, 'guest-fsfreeze-thaw': 2 }
  expect(await hold()).toMatchObject({ consistency: 'application', consistencyNote: null })
})

test('a point is crash-consistent, with the reason, when the guest was thawed before', async () => {
  counts = { 'guest-fsfreeze-freeze': 2, 'guest-fsfreeze-thaw': 0 }
  expect(await hold()).toMatchObject({
    consistency: 'crash',
    consistencyNote: expect.stringContaining('thawed before'),
  })
})
