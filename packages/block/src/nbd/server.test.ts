import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { KiB, MiB, TiB } from '@understudy/base/bytes'
import { Outage } from '@understudy/base/errors'
import { makeCertificates, mustRun, runProgram } from '@understudy/simulator/foreign-programs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BlockDevice, BlockReader } from '../device.ts'
import { openFileReader } from '../file-device.ts'
import { memoryDevice } from '../memory-device.ts'
import { connectNbd, listNbdExports } from './client.ts'
import { type NbdServer, startNbdServer } from './server.ts'

let directory = ''
let socket = ''
let server: NbdServer
const failures: unknown[] = []
const uri = (name: string): string => `nbd+unix:///${name}?socket=${socket}`
const file = (name: string): string => path.join(directory, name)

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'nbd-server-'))
  socket = file('nbd.sock')
  failures.length = 0
  server = await startNbdServer({
    address: { kind: 'unix', path: socket },
    onFailure: (_, error) => failures.push(error),
  })
})
afterEach(async () => {
  await server.close()
  await rm(directory, { recursive: true })
})

/** 16 MiB with data at 0, in the middle and at the very end; `image` holds the same as a file's content. */
async function patchyDisk(): Promise<{ disk: BlockDevice; image: Buffer }> {
  const disk = memoryDevice(16 * MiB + 512)
  const image = Buffer.alloc(disk.bytes)
  for (const [offset, bytes] of [
    [0, 300 * KiB],
    [5 * MiB + 512, 1536],
    [disk.bytes - 512, 512],
  ] as const) {
    const data = randomBytes(bytes)
    data.copy(image, offset)
    await disk.write(offset, data)
  }
  return { disk, image }
}

describe('a read-only export', () => {
  test('nbdinfo sees its size, its flags and its description, and can list it', async () => {
    const { disk } = await patchyDisk()
    server.export('point 1', disk, { readOnly: true, description: 'web-1 at noon' })
    const facts = JSON.parse(await mustRun('nbdinfo', ['--json', uri('point%201')])).exports[0]
    expect(facts).toMatchObject({
      'export-name': 'point 1',
      description: 'web-1 at noon',
      'export-size': disk.bytes,
      is_read_only: true,
      can_multi_conn: true,
      can_df: true,
      contexts: ['base:allocation'],
    })
    server.export('point 2', disk)
    const list = JSON.parse(await mustRun('nbdinfo', ['--list', '--json', uri('')])).exports
    expect(list.map((entry: { 'export-name': string }) => entry['export-name'])).toEqual([
      'point 1',
      'point 2',
    ])
  })

  test('nbdinfo --map shows holes as holes, over the whole of a large and sparse disk', async () => {
    const disk = memoryDevice(TiB)
    await disk.write(700 * 1024 * MiB, randomBytes(MiB))
    server.export('big', disk, { readOnly: true })
    const map = JSON.parse(await mustRun('nbdinfo', ['--map', '--json', uri('big')]))
    const joined: { length: number; type: number }[] = []
    for (const { length, type } of map) {
      const last = joined.at(-1)
      if (last !== undefined && last.type === type) last.length += length
      else joined.push({ length, type })
    }
    expect(joined).toEqual([
      { length: 700 * 1024 * MiB, type: 3 },
      { length: MiB, type: 0 },
      { length: TiB - 700 * 1024 * MiB - MiB, type: 3 },
    ])
  })

  test.each(['--connections=1', '--connections=4', '--request-size=33554432'])(
    'nbdcopy %s copies exactly its bytes',
    async (option) => {
      const { disk, image } = await patchyDisk()
      server.export('d', disk, { readOnly: true })
      await mustRun('nbdcopy', [option, uri('d'), file('copy.raw')])
      expect((await readFile(file('copy.raw'))).equals(image)).toBe(true)
    },
  )

  test('buffers that are used again never mix up the data of many clients', async () => {
    const image = randomBytes(48 * MiB + 512)
    image.fill(0, 5 * MiB, 9 * MiB)
    await writeFile(file('source.raw'), image)
    const disk = await openFileReader(file('source.raw'))
    server.export('f', disk)
    const copy = (name: string, option: string) => mustRun('nbdcopy', [option, uri('f'), file(name)])
    await Promise.all([copy('1.raw', '--connections=4'), copy('2.raw', '--request-size=131072')])
    for (const name of ['1.raw', '2.raw']) expect((await readFile(file(name))).equals(image)).toBe(true)
    await server.close()
    await disk.close()
  })

  test('qemu-img compare finds it identical, and finds a single changed byte', async () => {
    const { disk, image } = await patchyDisk()
    server.export('d', disk, { readOnly: true })
    await writeFile(file('same.raw'), image)
    image[9 * MiB] = 1
    await writeFile(file('other.raw'), image)
    const compare = (name: string) =>
      runProgram('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', uri('d'), file(name)])
    expect(await compare('same.raw')).toMatchObject({ code: 0 })
    expect(await compare('other.raw')).toMatchObject({ code: 1 })
  })

  test('qemu-io can neither write to it nor zero it', async () => {
    const { disk, image } = await patchyDisk()
    server.export('d', disk, { readOnly: true })
    const tried = await runProgram('qemu-io', ['-f', 'raw', '-c', 'write 0 4k', uri('d')])
    expect(tried.stderr + tried.stdout).toMatch(/read.only|denied/i)
    expect((await disk.read(0, disk.bytes)).equals(image)).toBe(true)
    // Also a client that ignores the flag: old style, a write of one sector at 0.
    const rude = net.connect(socket)
    const received: Buffer[] = []
    rude.on('data', (data) => received.push(data))
    const option = Buffer.concat([
      Buffer.from('IHAVEOPT'),
      Buffer.from([0, 0, 0, 1, 0, 0, 0, 1]),
      Buffer.from('d'),
    ])
    const write = Buffer.alloc(28 + 512, 0xff)
    write.fill(0, 0, 28).writeUInt32BE(0x25609513, 0)
    write.writeUInt16BE(1, 6)
    write.writeUInt32BE(512, 24)
    rude.write(Buffer.concat([Buffer.from([0, 0, 0, 3]), option, write]))
    await expect.poll(() => Buffer.concat(received).length, { timeout: 5000 }).toBe(18 + 10 + 16)
    expect(Buffer.concat(received).readUInt32BE(18 + 10 + 4)).toBe(1)
    expect((await disk.read(0, disk.bytes)).equals(image)).toBe(true)
    rude.destroy()
  })

  test('a client that asks for no structured replies and no block status reads the same', async () => {
    const { disk, image } = await patchyDisk()
    server.export('', disk, { readOnly: true })
    const simple = net.connect(socket)
    const received: Buffer[] = []
    simple.on('data', (data) => received.push(data))
    const option = Buffer.concat([Buffer.from('IHAVEOPT'), Buffer.from([0, 0, 0, 1, 0, 0, 0, 0])])
    const read = Buffer.alloc(28)
    read.writeUInt32BE(0x25609513, 0)
    read.writeUInt32BE(4096, 24)
    simple.write(Buffer.concat([Buffer.from([0, 0, 0, 1]), option, read]))
    await expect.poll(() => Buffer.concat(received).length, { timeout: 5000 }).toBe(18 + 10 + 124 + 16 + 4096)
    expect(Buffer.concat(received).subarray(-4096).equals(image.subarray(0, 4096))).toBe(true)
    simple.destroy()
  })
})

describe('a writable export', () => {
  test('qemu-io writes, zeroes, discards and flushes, and reads back what it wrote', async () => {
    const { disk, image } = await patchyDisk()
    server.export('w', disk)
    const commands = [
      'write -P 0xab 1M 1M',
      'write -z 0 64k',
      'discard 4k 8k',
      'write -f -P 7 512 512',
      'flush',
    ]
    const checks = ['read -P 0xab 1M 1M', 'read -P 7 512 512', 'read -P 0 4k 60k']
    const args = [...commands, ...checks].flatMap((command) => ['-c', command])
    const output = await mustRun('qemu-io', ['-f', 'raw', ...args, uri('w')])
    expect(output).not.toMatch(/fail/i)
    image
      .fill(0xab, MiB, 2 * MiB)
      .fill(0, 0, 64 * KiB)
      .fill(7, 512, 1024)
    expect((await disk.read(0, disk.bytes)).equals(image)).toBe(true)
  })

  test('nbdcopy fills it, over four connections', async () => {
    const { disk, image } = await patchyDisk()
    const target = memoryDevice(disk.bytes)
    await target.write(8 * MiB, randomBytes(MiB))
    server.export('target', target)
    await writeFile(file('source.raw'), image)
    await mustRun('nbdcopy', ['--connections=4', file('source.raw'), uri('target')])
    expect((await target.read(0, target.bytes)).equals(image)).toBe(true)
  })

  test('a failing disk fails the request with the right number, not the connection', async () => {
    const disk = memoryDevice(MiB)
    const full = new Outage({ code: 'block/no-space', message: 'full', remedy: 'Free space.' })
    server.export('bad', {
      ...disk,
      read: () => Promise.reject(new Error('broken platter')),
      write: () => Promise.reject(full),
    })
    const client = await connectNbd({ address: server.address, exportName: 'bad' })
    await expect(client.read(0, 4096)).rejects.toMatchObject({
      code: 'nbd/request-failed',
      facts: { errno: 5 },
    })
    await expect(client.write(0, Buffer.alloc(4096))).rejects.toMatchObject({ code: 'nbd/no-space' })
    await expect(client.zero(0, 4096)).resolves.toBeUndefined()
    expect(client.failure).toBeNull()
    expect(failures).toHaveLength(2)
    await client.close()
  })
})

describe('the server', () => {
  test('with TLS serves those with a certificate and nobody else', async () => {
    await makeCertificates(directory)
    const pem = (name: string): Promise<Buffer> => readFile(file(name))
    const tls = {
      ca: await pem('ca-cert.pem'),
      cert: await pem('server-cert.pem'),
      key: await pem('server-key.pem'),
    }
    const secure = await startNbdServer({ address: { kind: 'tcp', host: '127.0.0.1', port: 0 }, tls })
    const { disk, image } = await patchyDisk()
    secure.export('d', disk)
    const { address } = secure
    const port = address.kind === 'tcp' ? address.port : 0
    await mustRun('nbdcopy', [`nbds://localhost:${port}/d?tls-certificates=${directory}`, file('copy.raw')])
    expect((await readFile(file('copy.raw'))).equals(image)).toBe(true)

    const options = { address, exportName: 'd' }
    await expect(connectNbd(options)).rejects.toMatchObject({ code: 'nbd/tls-required' })
    await expect(connectNbd({ ...options, tls: { ca: tls.ca } })).rejects.toMatchObject({
      code: 'nbd/tls-refused',
    })
    const own = { ca: tls.ca, cert: await pem('client-cert.pem'), key: await pem('client-key.pem') }
    const client = await connectNbd({ ...options, tls: own })
    expect((await client.read(0, disk.bytes)).equals(image)).toBe(true)
    await client.close()
    await secure.close()
  })

  test('survives random bytes at any stage, and goes on serving', async () => {
    const { disk, image } = await patchyDisk()
    server.export('d', disk)
    const greeting = Buffer.concat([Buffer.from([0, 0, 0, 3]), Buffer.from('IHAVEOPT')])
    const go = Buffer.from([0, 0, 0, 7, 0, 0, 0, 7, 0, 0, 0, 1, 0x64, 0, 0])
    const request = Buffer.from([0x25, 0x60, 0x95, 0x13, 0, 0])
    const openings = [Buffer.alloc(0), greeting, Buffer.concat([greeting, go, request])]
    for (let round = 0; round < 150; round += 1) {
      const client = net.connect(socket)
      client.on('error', () => undefined)
      client.resume()
      const opening = openings[round % openings.length] ?? Buffer.alloc(0)
      client.end(Buffer.concat([opening, randomBytes(1 + ((round * 37) % 700))]))
      await once(client, 'close')
    }
    const client = await connectNbd({ address: server.address, exportName: 'd' })
    // Half of the random commands may have been writes: what matters is that it answers.
    expect((await client.read(0, disk.bytes)).length).toBe(image.length)
    await client.close()
  })

  test('holds a client that asks without reading to a bounded amount of memory', async () => {
    let reads = 0
    const disk = memoryDevice(64 * MiB)
    const counting: BlockReader = {
      ...disk,
      read: (offset, bytes) => {
        reads += 1
        return disk.read(offset, bytes)
      },
    }
    await disk.write(0, randomBytes(64 * MiB))
    server.export('d', counting, { readOnly: true })
    const greedy = net.connect(socket)
    await once(greedy, 'connect')
    const go = Buffer.from([0, 0, 0, 7, 0, 0, 0, 7, 0, 0, 0, 1, 0x64, 0, 0])
    const read = Buffer.alloc(28)
    read.writeUInt32BE(0x25609513, 0)
    read.writeUInt32BE(8 * MiB, 24)
    greedy.pause()
    greedy.write(Buffer.concat([Buffer.from([0, 0, 0, 3]), Buffer.from('IHAVEOPT'), go]))
    for (let count = 0; count < 1000; count += 1) greedy.write(read)
    await expect.poll(() => reads, { timeout: 5000 }).toBe(8)
    await mustRun('nbdinfo', ['--size', uri('d')])
    expect(reads).toBe(8)
    // Once it has gone, the rest of what it had asked for is not read any more.
    greedy.destroy()
    await server.close()
    expect(reads).toBeLessThan(20)
  })

  test('withdraws an export only when nothing touches the disk any more', async () => {
    const disk = memoryDevice(MiB)
    let release = (): void => undefined
    let reading = false
    const slow = {
      ...disk,
      read: async (offset: number, bytes: number) => {
        reading = true
        await new Promise<void>((resolve) => {
          release = resolve
        })
        reading = false
        return disk.read(offset, bytes)
      },
    }
    server.export('slow', slow, { readOnly: true })
    const client = await connectNbd({ address: server.address, exportName: 'slow' })
    const lost = expect(client.read(0, 4096)).rejects.toMatchObject({ code: 'nbd/connection-lost' })
    await expect.poll(() => reading).toBe(true)
    let withdrawn = false
    const withdrawing = server.unexport('slow').then(() => {
      withdrawn = true
    })
    await lost
    // A whole round of another client: long enough for a withdrawal that does not wait.
    expect(await listNbdExports({ address: server.address })).toEqual([])
    expect({ withdrawn, reading }).toEqual({ withdrawn: false, reading: true })
    release()
    await withdrawing
    expect(reading).toBe(false)
    expect(await listNbdExports({ address: server.address })).toEqual([])
    await client.close()
  })

  test('replaces the socket of a dead predecessor and never that of a living one', async () => {
    await expect(startNbdServer({ address: server.address })).rejects.toMatchObject({
      code: 'nbd/address-in-use',
    })
    const stale = file('stale.sock')
    const script = `require('net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 'SIGKILL'))`
    await runProgram(process.execPath, ['-e', script])
    expect((await stat(stale)).isSocket()).toBe(true)
    const successor = await startNbdServer({ address: { kind: 'unix', path: stale } })
    expect(await listNbdExports({ address: successor.address })).toEqual([])
    expect((await stat(stale)).mode & 0o777).toBe(0o600)
    await successor.close()
  })
})
