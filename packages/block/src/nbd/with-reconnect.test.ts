import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { KiB, MiB } from '@understudy/base/bytes'
import { mustRun, startProgram } from '@understudy/simulator/foreign-programs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { disksAreEqual } from '../compare.ts'
import { copyExtents } from '../copy-extents.ts'
import { memoryDevice } from '../memory-device.ts'
import type { NbdAddress } from './client.ts'
import { type NbdOffer, type NbdServer, startNbdServer } from './server.ts'
import { type ReconnectPolicy, withReconnect } from './with-reconnect.ts'

let directory = ''
let address: NbdAddress & { kind: 'unix' }
const servers: NbdServer[] = []
const policy: ReconnectPolicy = { attempts: 8, firstPauseMs: 10, maximumPauseMs: 80 }

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'nbd-reconnect-'))
  address = { kind: 'unix', path: path.join(directory, 'nbd.sock') }
})
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
  await rm(directory, { recursive: true })
})
const start = async (...exports: NbdOffer[]): Promise<NbdServer> => {
  const server = await startNbdServer({ address, exports })
  servers.push(server)
  return server
}

test('a copy goes through to the last byte although the server goes away again and again', async () => {
  const source = memoryDevice(16 * MiB)
  for (let offset = 0; offset < source.bytes; offset += 96 * KiB)
    await source.write(offset, randomBytes(48 * KiB))
  let server = await start()
  let reads = 0
  let breaking: Promise<void> = Promise.resolve()
  const shaky = {
    ...source,
    read: (offset: number, bytes: number) => {
      reads += 1
      if (reads % 90 === 0)
        breaking = breaking.then(async () => {
          await server.close()
          server = await start({ name: 'd', disk: shaky, readOnly: true })
        })
      return source.read(offset, bytes)
    },
  }
  server.export('d', shaky, { readOnly: true })
  const reconnects: number[] = []
  const onReconnect = (_: Error, attempt: number): unknown => reconnects.push(attempt)
  const device = await withReconnect({ address, exportName: 'd' }, { ...policy, onReconnect })
  const copy = memoryDevice(source.bytes)
  const extents = device.map?.({ offset: 0, bytes: device.bytes }) ?? []
  await copyExtents({ from: device, to: copy, extents, requestBytes: 64 * KiB, reuseBuffers: true })
  await device.close()
  await breaking
  expect(reconnects.length).toBeGreaterThan(2)
  expect(await disksAreEqual(source, copy)).toBe(true)
})

test('the same with qemu-nbd killed in the middle', async () => {
  const file = path.join(directory, 'd.raw')
  await mustRun('qemu-img', ['create', '-q', '-f', 'raw', file, '8M'])
  await mustRun('qemu-io', ['-f', 'raw', '-c', 'write -P 5 1M 1M', file])
  const args = ['--persistent', '--read-only', '--format=raw', '--socket', address.path, file]
  let program = await startProgram('qemu-nbd', args, address.path)
  const device = await withReconnect({ address, exportName: '' }, policy)
  await device.read(0, 4096)
  await program.stop('SIGKILL')
  const reading = device.read(MiB, MiB)
  program = await startProgram('qemu-nbd', args, address.path)
  expect((await reading).equals(Buffer.alloc(MiB, 5))).toBe(true)
  await device.close()
  await program.stop()
})

test('gives up with an outage when nobody comes back, within its bounds', async () => {
  const server = await start()
  server.export('d', memoryDevice(MiB))
  const device = await withReconnect({ address, exportName: 'd' }, { ...policy, attempts: 3 })
  await server.close()
  await expect(device.read(0, 512)).rejects.toMatchObject({ name: 'Outage', code: 'nbd/unreachable' })
  await device.close()
  await expect(device.read(0, 512)).rejects.toThrow()
})

test('a withdrawn export and one of another size are refusals, not retries', async () => {
  const server = await start()
  server.export('d', memoryDevice(MiB))
  const device = await withReconnect({ address, exportName: 'd' }, policy)
  await server.unexport('d')
  await expect(device.read(0, 512)).rejects.toMatchObject({ name: 'Refusal', code: 'nbd/unknown-export' })
  server.export('d', memoryDevice(2 * MiB))
  await expect(device.read(0, 512)).rejects.toMatchObject({ name: 'Refusal', code: 'nbd/export-changed' })
  await device.close()
})

test('a flush never vouches for writes that went over a lost connection', async () => {
  const disk = memoryDevice(MiB)
  const server = await start()
  server.export('d', disk)
  const device = await withReconnect({ address, exportName: 'd' }, policy)
  await device.write(0, Buffer.alloc(512, 1))
  await server.unexport('d')
  server.export('d', disk)
  await device.write(512, Buffer.alloc(512, 2))
  await expect(device.flush()).rejects.toMatchObject({ name: 'Outage', code: 'nbd/writes-in-doubt' })
  await device.write(0, Buffer.alloc(1024, 3))
  await expect(device.flush()).resolves.toBeUndefined()
  await device.close()
})
