import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { KiB, MiB } from '@understudy/base/bytes'
import {
  makeCertificates,
  mustRun,
  type RunningProgram,
  startProgram,
} from '@understudy/simulator/foreign-programs'
import { freePort } from '@understudy/simulator/free-port'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connectNbd, listNbdExports, type NbdOptions } from './client.ts'
import { GREETING_MAGIC, toOptionReply } from './protocol.ts'

let directory = ''
let socket = ''
const running: RunningProgram[] = []
const fakes: net.Server[] = []
const file = (name: string): string => path.join(directory, name)
const options = (more: Partial<NbdOptions> = {}): NbdOptions => ({
  address: { kind: 'unix', path: socket },
  exportName: '',
  ...more,
})

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'nbd-client-'))
  socket = file('nbd.sock')
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((program) => program.stop()))
  for (const fake of fakes.splice(0)) fake.close()
  await rm(directory, { recursive: true })
})

const serve = async (command: string, args: readonly string[], at = socket): Promise<RunningProgram> => {
  const program = await startProgram(command, args, at)
  running.push(program)
  return program
}
const qemuNbd = (...args: string[]): Promise<RunningProgram> =>
  serve('qemu-nbd', ['--persistent', '--shared=8', '--socket', socket, ...args])

/** A raw file with data only where `pieces` says. Returns what it holds. */
async function makeImage(
  name: string,
  bytes: number,
  pieces: readonly (readonly [number, number])[],
): Promise<Buffer> {
  const image = Buffer.alloc(bytes)
  const handle = await open(file(name), 'w')
  await handle.truncate(bytes)
  for (const [offset, length] of pieces) {
    const data = randomBytes(length)
    data.copy(image, offset)
    await handle.write(data, 0, length, offset)
  }
  await handle.close()
  return image
}

describe('reading from qemu-nbd', () => {
  test('returns exactly the bytes of the disk, at any offset and length', async () => {
    const image = await makeImage('d.raw', 8 * MiB, [
      [0, 70_000],
      [3 * MiB, MiB],
    ])
    await qemuNbd('--read-only', '--format=raw', file('d.raw'))
    for (const unfragmentedReads of [false, true]) {
      const client = await connectNbd(options({ unfragmentedReads }))
      expect(client.bytes).toBe(image.length)
      expect(client.readOnly).toBe(true)
      expect((await client.read(0, image.length)).equals(image)).toBe(true)
      const ranges = Array.from(
        { length: 60 },
        (_, index) => [(index * 131_071) % (7 * MiB), 1 + index * 4001] as const,
      )
      await Promise.all(
        ranges.map(async ([offset, bytes]) => {
          const data = await client.read(offset, bytes)
          expect(data.equals(image.subarray(offset, offset + bytes))).toBe(true)
        }),
      )
      await client.close()
    }
  })

  test('reads more than the server allows at once', async () => {
    const image = await makeImage('d.raw', 80 * MiB, [[79 * MiB, MiB]])
    await qemuNbd('--read-only', '--format=raw', file('d.raw'))
    const client = await connectNbd(options({ connections: 3 }))
    expect((await client.read(0, image.length)).equals(image)).toBe(true)
    await client.close()
  })

  test('maps what is allocated, over many pages of block status, up to the very end', async () => {
    // Over 2,000 extents, which is more than QEMU puts in one reply.
    const pieces = Array.from({ length: 2500 }, (_, index) => [index * 32 * KiB, 4 * KiB] as const)
    const image = await makeImage('d.raw', 128 * MiB, pieces)
    await qemuNbd('--read-only', '--format=raw', file('d.raw'))
    const client = await connectNbd(options())
    let end = 0
    let dataBytes = 0
    for await (const extent of client.map?.({ offset: 0, bytes: client.bytes }) ?? []) {
      expect(extent.offset).toBe(end)
      end += extent.bytes
      if (extent.kind === 'data') dataBytes += extent.bytes
      else expect(image.subarray(extent.offset, end).every((byte) => byte === 0)).toBe(true)
    }
    expect(end).toBe(128 * MiB)
    expect(dataBytes).toBe(2500 * 4 * KiB)
    await client.close()
  })
})

describe('writing to qemu-nbd', () => {
  test('writes, zeroes, trims and flushes', async () => {
    const image = await makeImage('d.raw', 4 * MiB, [[0, 4 * MiB]])
    await qemuNbd('--format=raw', '--discard=unmap', file('d.raw'))
    const client = await connectNbd(options())
    const data = randomBytes(100 * KiB)
    await Promise.all([client.write(MiB, data), client.zero(2 * MiB, 64 * KiB), client.trim(3 * MiB, MiB)])
    await client.flush()
    data.copy(image, MiB)
    image.fill(0, 2 * MiB, 2 * MiB + 64 * KiB).fill(0, 3 * MiB)
    expect((await readFile(file('d.raw'))).equals(image)).toBe(true)
    expect((await client.read(0, image.length)).equals(image)).toBe(true)
    await client.close()
  })
})

describe('dirty bitmaps', () => {
  const makeBitmapDisk = async (): Promise<void> => {
    await mustRun('qemu-img', ['create', '-q', '-f', 'qcow2', file('d.qcow2'), '64M'])
    await mustRun('qemu-io', ['-c', 'write -P 9 0 1M', file('d.qcow2')])
    await mustRun('qemu-img', ['bitmap', '--add', '-g', '64k', file('d.qcow2'), 'since-monday'])
    await mustRun('qemu-img', ['bitmap', '--add', '-g', '64k', file('d.qcow2'), 'since-tuesday'])
    await mustRun('qemu-img', ['bitmap', '--disable', file('d.qcow2'), 'since-tuesday'])
    await mustRun('qemu-io', ['-c', 'write -P 1 10M 4k', '-c', 'write -z 63M 1M', file('d.qcow2')])
  }
  test('of qemu-storage-daemon are read together with the allocation, in one connection', async () => {
    await makeBitmapDisk()
    const node = `driver=qcow2,node-name=n,read-only=on,file.driver=file,file.filename=${file('d.qcow2')}`
    const bitmaps = 'bitmaps.0=since-monday,bitmaps.1=since-tuesday'
    const listen = `addr.type=unix,addr.path=${socket}`
    const share = `type=nbd,id=e,node-name=n,name=disk,${bitmaps}`
    await serve('qemu-storage-daemon', ['--blockdev', node, '--nbd-server', listen, '--export', share])
    expect(await listNbdExports(options())).toEqual(['disk'])

    const [monday, tuesday] = ['qemu:dirty-bitmap:since-monday', 'qemu:dirty-bitmap:since-tuesday'] as const
    const metaContexts = ['base:allocation', monday, tuesday]
    const client = await connectNbd(options({ exportName: 'disk', metaContexts }))
    expect(new Set(client.metaContexts)).toEqual(new Set(metaContexts))
    const whole = { offset: 0, bytes: client.bytes }
    expect(await collect(client.blockStatus(monday, whole))).toEqual([
      { offset: 0, bytes: 10 * MiB, flags: 0 },
      { offset: 10 * MiB, bytes: 64 * KiB, flags: 1 },
      { offset: 10 * MiB + 64 * KiB, bytes: 53 * MiB - 64 * KiB, flags: 0 },
      { offset: 63 * MiB, bytes: MiB, flags: 1 },
    ])
    expect(await collect(client.blockStatus(tuesday, whole))).toEqual([{ ...whole, flags: 0 }])
    expect(await collect(client.map?.({ offset: MiB - 512, bytes: 1024 }) ?? [])).toEqual([
      { offset: MiB - 512, bytes: 512, kind: 'data' },
      { offset: MiB, bytes: 512, kind: 'zero' },
    ])
    await client.close()
  })

  test('that are not there refuse the connection: an empty answer would pass for "nothing changed"', async () => {
    await makeBitmapDisk()
    await qemuNbd('--read-only', '--format=qcow2', '--bitmap=since-monday', file('d.qcow2'))
    const refused = connectNbd(options({ metaContexts: ['qemu:dirty-bitmap:since-friday'] }))
    await expect(refused).rejects.toMatchObject({ name: 'Refusal', code: 'nbd/unknown-context' })
  })
})

describe('what goes wrong', () => {
  test('an unknown export, an absent server and a silent one are told apart, and all end', async () => {
    await makeImage('d.raw', MiB, [])
    await expect(connectNbd(options())).rejects.toMatchObject({ name: 'Outage', code: 'nbd/unreachable' })
    const program = await qemuNbd('--format=raw', '--export-name=a', file('d.raw'))
    const wrongName = connectNbd(options({ exportName: 'b' }))
    await expect(wrongName).rejects.toMatchObject({ name: 'Refusal', code: 'nbd/unknown-export' })
    await program.stop()
    running.pop()
    await fakeServer(() => undefined)
    const silent = connectNbd(options({ connectTimeoutMs: 100 }))
    await expect(silent).rejects.toMatchObject({ name: 'Outage', code: 'nbd/timeout' })
    const aborted = connectNbd(options({ signal: AbortSignal.timeout(100) }))
    await expect(aborted).rejects.toMatchObject({ name: 'TimeoutError' })
  })

  test('a close after any number of bytes of the negotiation ends it at once', async () => {
    const ack = toOptionReply(8, 1, Buffer.alloc(0))
    const script = Buffer.concat([GREETING_MAGIC, Buffer.from([0, 3]), ack])
    for (let bytes = 0; bytes <= script.length; bytes += 1) {
      const fake = await fakeServer((client) => client.resume().end(script.subarray(0, bytes)))
      await expect(connectNbd(options())).rejects.toMatchObject({ name: 'Outage' })
      await new Promise((resolve) => fake.close(resolve))
    }
  })

  test.each([
    ['data that belongs to no request', chunkOf(99, 0, Buffer.alloc(0))],
    [
      'data outside the request',
      chunkOf(1, 1, Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 0, 16, 0]), Buffer.alloc(512)])),
    ],
    ['a read that ends early', chunkOf(1, 0, Buffer.alloc(0))],
    ['a hole outside the request', chunkOf(1, 2, Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]))],
    ['a wrong magic number', Buffer.from('GET / HTTP/1.1')],
  ])('a server that sends %s is not believed', async (_, reply) => {
    await fakeExport((client) => client.write(reply))
    const client = await connectNbd(options())
    await expect(client.read(0, 4096)).rejects.toMatchObject({ code: 'nbd/protocol-violation' })
    await expect(client.read(0, 4096)).rejects.toMatchObject({ code: 'nbd/protocol-violation' })
    await client.close()
  })

  test('a reply in several chunks, holes and data out of order, is put together', async () => {
    const data = Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 0, 8, 0]), Buffer.alloc(2048, 7)])
    const hole = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0])
    const reply = Buffer.concat([
      chunkOf(1, 1, data, 0),
      chunkOf(1, 2, hole, 0),
      chunkOf(1, 0, Buffer.alloc(0)),
    ])
    await fakeExport((client) => {
      for (let at = 0; at < reply.length; at += 11) client.write(reply.subarray(at, at + 11))
    })
    const client = await connectNbd(options())
    expect(
      (await client.read(0, 4096)).equals(Buffer.concat([Buffer.alloc(2048), Buffer.alloc(2048, 7)])),
    ).toBe(true)
    await client.close()
  })

  test('an error in a later chunk fails the read, with what the server said', async () => {
    const data = Buffer.concat([Buffer.alloc(8), Buffer.alloc(2048, 7)])
    const error = Buffer.concat([Buffer.from([0, 0, 0, 5, 0, 9]), Buffer.from('bad block'), Buffer.alloc(8)])
    await fakeExport((client) =>
      client.write(Buffer.concat([chunkOf(1, 1, data, 0), chunkOf(1, 0x8002, error)])),
    )
    const client = await connectNbd(options())
    await expect(client.read(0, 4096)).rejects.toThrow('bad block')
    expect(client.failure).toBeNull()
    await client.close()
  })

  test('a block status that covers nothing is an error, never an end', async () => {
    await fakeExport((client) => client.write(chunkOf(1, 0, Buffer.alloc(0))))
    const client = await connectNbd(options())
    const mapped = collect(client.map?.({ offset: 0, bytes: MiB }) ?? [])
    await expect(mapped).rejects.toMatchObject({ code: 'nbd/protocol-violation' })
    await client.close()
  })

  test('a block status that reaches beyond the question is cut to it', async () => {
    await fakeExport((client) =>
      client.write(chunkOf(1, 5, Buffer.from([0, 0, 0, 1, 0, 16, 0, 0, 0, 0, 0, 3]))),
    )
    const client = await connectNbd(options())
    const range = { offset: 4096, bytes: 8192 }
    expect(await collect(client.map?.(range) ?? [])).toEqual([{ ...range, kind: 'zero' }])
    await client.close()
  })

  test('a request that is never answered ends with its deadline, an aborted one at once', async () => {
    await fakeExport(() => undefined)
    const client = await connectNbd(options({ requestTimeoutMs: 300 }))
    await expect(client.read(0, 512, AbortSignal.timeout(20))).rejects.toMatchObject({ name: 'TimeoutError' })
    expect(client.failure).toBeNull()
    await expect(client.read(0, 512)).rejects.toMatchObject({ code: 'nbd/timeout' })
    await client.close()
  })

  test('killing the server fails everything under way', async () => {
    await makeImage('d.raw', 64 * MiB, [[0, 64 * MiB]])
    const program = await qemuNbd('--format=raw', file('d.raw'))
    const client = await connectNbd(options())
    const reads = Array.from({ length: 16 }, (_, index) => client.read(index * MiB, MiB))
    const settled = Promise.allSettled(reads)
    await program.stop('SIGKILL')
    running.pop()
    for (const result of await settled)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'nbd/connection-lost' })
    await expect(client.read(0, 512)).rejects.toMatchObject({ code: 'nbd/connection-lost' })
    await client.close()
  })
})

describe('TLS', () => {
  const credentials = (verify: string): string[] => [
    '--object',
    `tls-creds-x509,id=t,dir=${directory},endpoint=server,verify-peer=${verify}`,
    '--tls-creds=t',
  ]
  const pem = (name: string): Promise<Buffer> => readFile(file(name))

  test('to qemu-nbd: with our certificate we read; without, with a wrong authority or a wrong name we are told', async () => {
    const image = await makeImage('d.raw', 4 * MiB, [[MiB, 2 * MiB]])
    await makeCertificates(directory)
    const port = await freePort()
    await startTcp(port, ['--read-only', '--format=raw', ...credentials('yes'), file('d.raw')])
    const address = { kind: 'tcp', host: '127.0.0.1', port } as const
    const ca = await pem('ca-cert.pem')
    const own = { ca, cert: await pem('client-cert.pem'), key: await pem('client-key.pem') }
    const client = await connectNbd(options({ address, tls: own }))
    expect((await client.read(0, image.length)).equals(image)).toBe(true)
    await client.close()

    const refused = (tls: NbdOptions['tls']) =>
      expect(connectNbd(options({ address, ...(tls === undefined ? {} : { tls }) }))).rejects
    await refused(undefined).toMatchObject({ code: 'nbd/tls-required' })
    await refused({ ca }).toMatchObject({ name: 'Refusal', code: 'nbd/tls-refused' })
    await refused({ ...own, ca: await pem('client-cert.pem') }).toMatchObject({ code: 'nbd/tls-refused' })
    await refused({ ...own, servername: 'elsewhere' }).toMatchObject({ code: 'nbd/tls-refused' })
  })

  test('with a pre-shared key works, and with another key is refused', async () => {
    const image = await makeImage('d.raw', 4 * MiB, [[MiB, 2 * MiB]])
    const key = randomBytes(32)
    await writeFile(file('keys.psk'), `understudy:${key.toString('hex')}\n`)
    const port = await freePort()
    const psk = ['--object', `tls-creds-psk,id=t,dir=${directory},endpoint=server`, '--tls-creds=t']
    await startTcp(port, ['--read-only', '--format=raw', ...psk, file('d.raw')])
    const address = { kind: 'tcp', host: '127.0.0.1', port } as const
    const client = await connectNbd(options({ address, tls: { psk: { identity: 'understudy', key } } }))
    expect((await client.read(0, image.length)).equals(image)).toBe(true)
    await client.close()
    const wrong = connectNbd(
      options({ address, tls: { psk: { identity: 'understudy', key: randomBytes(32) } } }),
    )
    await expect(wrong).rejects.toMatchObject({ name: 'Refusal', code: 'nbd/tls-refused' })
  })

  test('is not silently left out when the server has none', async () => {
    await makeImage('d.raw', MiB, [])
    await qemuNbd('--format=raw', file('d.raw'))
    await expect(connectNbd(options({ tls: {} }))).rejects.toMatchObject({ code: 'nbd/tls-unavailable' })
  })
})

async function startTcp(port: number, args: readonly string[]): Promise<void> {
  const program = await startProgram(
    'qemu-nbd',
    ['--persistent', '--shared=8', '--bind=127.0.0.1', `--port=${port}`, ...args],
    port,
  )
  running.push(program)
}

async function collect<T>(values: AsyncIterable<T> | Iterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const value of values) all.push(value)
  return all
}

/** A server that does whatever `serveClient` does, at the usual socket. */
async function fakeServer(serveClient: (client: net.Socket) => void): Promise<net.Server> {
  const fake = net.createServer((client) => {
    client.on('error', () => undefined)
    serveClient(client)
  })
  fakes.push(fake)
  await new Promise<void>((resolve) => fake.listen(socket, resolve))
  return fake
}

/** A server that negotiates an export of 1 MiB properly, then calls `onRequest` for the first request. */
async function fakeExport(onRequest: (client: net.Socket) => void): Promise<void> {
  await fakeServer((client) => {
    let stage = 0
    client.write(Buffer.concat([GREETING_MAGIC, Buffer.from([0, 3])]))
    client.on('data', (data) => {
      const at = data.indexOf('IHAVEOPT')
      const code = at < 0 ? 0 : data.readUInt32BE(at + 8)
      const ack = toOptionReply(code, 1, Buffer.alloc(0))
      if (code === 8) client.write(ack)
      else if (code === 10) {
        const context = Buffer.concat([Buffer.from([0, 0, 0, 1]), Buffer.from('base:allocation')])
        client.write(Buffer.concat([toOptionReply(code, 4, context), ack]))
      } else if (code === 7) {
        const facts = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 1])
        client.write(Buffer.concat([toOptionReply(code, 3, facts), ack]))
      } else if (at < 0 && data.length >= 28 && stage === 0) {
        stage = 1
        onRequest(client)
      }
    })
  })
}

/** One structured reply chunk for the request with this cookie. */
function chunkOf(cookie: number, type: number, payload: Buffer, flags = 1): Buffer {
  const header = Buffer.alloc(20)
  header.writeUInt32BE(0x668e33ef, 0)
  header.writeUInt16BE(flags, 4)
  header.writeUInt16BE(type, 6)
  header.writeUInt32BE(cookie, 12)
  header.writeUInt32BE(payload.length, 16)
  return Buffer.concat([header, payload])
}
