import { randomBytes } from 'node:crypto'
import type { Resolver } from 'node:dns/promises'
import net from 'node:net'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import type { DnsAction } from '@understudy/domain/recovery-plans/step-action'
import type { StepOutcome, StepWork } from '@understudy/engine/ports/step-runner'
import { freePort } from '@understudy/simulator/free-port'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DnsFormatError, parseMessage } from './dns-message.ts'
import { startNameServer, type TestNameServer } from './test-name-server.ts'
import { listen } from './test-servers.ts'
import { updateDns } from './update-dns.ts'

const keys = {
  'failover-key': { algorithm: 'hmac-sha256', secret: randomBytes(32).toString('base64') },
  'long-key': { algorithm: 'hmac-sha512', secret: randomBytes(64).toString('base64') },
  'weak-key': { algorithm: 'hmac-sha384', secret: randomBytes(48).toString('base64') },
} as const

let nameServer: TestNameServer
let server: string
let resolver: Resolver

beforeAll(async () => {
  nameServer = await startNameServer(
    await freePort(),
    {
      'example.test':
        'update-policy { grant failover-key zonesub ANY; grant long-key zonesub ANY; grant weak-key name only.example.test. A; };',
      'open.test': 'allow-update { any; };',
      'closed.test': 'allow-update { none; };',
    },
    keys,
  )
  server = nameServer.address
  resolver = nameServer.resolver
})
afterAll(() => nameServer?.stop())

const action = (more: Partial<DnsAction> = {}): DnsAction => ({
  kind: 'dns',
  server,
  zone: 'example.test',
  recordName: 'www.example.test',
  recordType: 'A',
  ttlSeconds: 60,
  value: { kind: 'address', address: '192.0.2.77' },
  tsig: tsig('failover-key'),
  timeoutSeconds: 5,
  ...more,
})
const tsig = (name: keyof typeof keys): NonNullable<DnsAction['tsig']> => ({
  name,
  algorithm: keys[name].algorithm,
  secretParameter: 'key',
})

type Change = Partial<Pick<StepWork, 'addressOf' | 'tsigSecret' | 'deadline'>> & {
  readonly aheadSeconds?: number
}
function update(dns: DnsAction, { aheadSeconds = 0, ...more }: Change = {}): Promise<StepOutcome> {
  const own = dns.tsig === null ? null : (keys[dns.tsig.name as keyof typeof keys]?.secret ?? null)
  const clock = { now: () => Date.now() + aheadSeconds * 1000 }
  const work = { addressOf: () => [], tsigSecret: own, deadline: clock.now() + 5000, ...more }
  return updateDns(dns, work, { clock, report: () => undefined, signal: new AbortController().signal })
}
const at = (address: string): DnsAction['value'] => ({ kind: 'address', address })

describe('an update of a name server', () => {
  test('replaces all records of the name and type, and may be repeated', async () => {
    for (let times = 0; times < 2; times += 1) {
      const { note } = await update(action())
      expect(note).toBe(`www.example.test. A 192.0.2.77 at ${server}`)
      expect(await resolver.resolve4('www.example.test', { ttl: true })).toEqual([
        { address: '192.0.2.77', ttl: 60 },
      ])
    }
  })

  test('writes every type of record, with every algorithm of a key', async () => {
    const long = `${'ä"\\'.repeat(200)}`
    await update(
      action({ recordName: 'six.example.test.', recordType: 'AAAA', value: at('2001:db8::192.0.2.1') }),
    )
    await update(
      action({ recordName: 'Name.EXAMPLE.test', recordType: 'CNAME', value: at('Www.Example.Test') }),
    )
    await update(
      action({ recordName: '_x.example.test', recordType: 'TXT', value: at(long), tsig: tsig('long-key') }),
    )
    await update(action({ recordName: 'only.example.test', tsig: tsig('weak-key') }))
    await update(action({ recordName: 'bücher.example.test' }))
    expect(await resolver.resolve6('six.example.test')).toEqual(['2001:db8::c000:201'])
    expect(await resolver.resolveCname('name.example.test')).toEqual(['www.example.test'])
    const texts = await resolver.resolveTxt('_x.example.test')
    expect(texts.flat().map((part) => Buffer.from(part, 'latin1').length)).not.toHaveLength(1)
    expect(await resolver.resolve4('only.example.test')).toEqual(['192.0.2.77'])
    expect(await resolver.resolve4('xn--bcher-kva.example.test')).toEqual(['192.0.2.77'])
  })

  test('sends the address of a machine, of the family of the record, its own before a forwarder', async () => {
    const value = { kind: 'machine', machine: 'm1' as ItemId } as const
    const addressOf = () => ['http://127.0.0.1:18080', '2001:db8::7', '192.0.2.9']
    await update(action({ value }), { addressOf })
    expect(await resolver.resolve4('www.example.test')).toEqual(['192.0.2.9'])
    await update(action({ value, recordType: 'AAAA' }), { addressOf })
    expect(await resolver.resolve6('www.example.test')).toEqual(['2001:db8::7'])
    await expect(update(action({ value }), { addressOf: () => ['2001:db8::7'] })).rejects.toMatchObject({
      code: 'step/no-address',
    })
  })

  test('without a key changes a zone that takes it from anybody', async () => {
    await update(action({ zone: 'open.test', recordName: 'www.open.test', tsig: null }))
    expect(await resolver.resolve4('www.open.test')).toEqual(['192.0.2.77'])
  })

  test('that the server takes and does not do has failed', async () => {
    await expect(update(action({ recordName: 'alias.example.test' }))).rejects.toMatchObject({
      code: 'step/dns-not-changed',
      message: expect.stringContaining('no such record'),
    })
  })

  test('that is refused tells why, and what to do', async () => {
    const other = { tsigSecret: randomBytes(32).toString('base64') }
    const strange = { name: 'nobody', algorithm: 'hmac-sha256', secretParameter: 'key' } as const
    const told: [DnsAction, Change, string, RegExp][] = [
      [action({ tsig: null }), {}, 'step/dns-refused', /refuses to change www\.example\.test/],
      [action({ tsig: tsig('weak-key') }), {}, 'step/dns-refused', /refuses/],
      [action({ zone: 'closed.test', recordName: 'www.closed.test' }), {}, 'step/dns-refused', /refuses/],
      [
        action({ zone: 'nowhere.test', recordName: 'www.nowhere.test' }),
        {},
        'step/dns-not-authoritative',
        /not responsible/,
      ],
      [action({ recordName: 'www.open.test' }), {}, 'step/dns-outside-zone', /not in the zone/],
      [action(), other, 'step/dns-key', /another value for the key failover-key/],
      [action({ tsig: strange }), other, 'step/dns-key', /does not know the key nobody/],
      [action(), { tsigSecret: 'no base64!' }, 'step/bad-tsig-key', /not in base64/],
      [action(), { tsigSecret: null }, 'step/bad-tsig-key', /not in base64/],
      [action(), { aheadSeconds: 4000 }, 'step/dns-time', /it is (4000|3999|4001) s behind/],
      [action(), { aheadSeconds: -4000 }, 'step/dns-time', /it is (4000|3999|4001) s ahead/],
      [action({ value: at('300.1.1.1') }), {}, 'step/bad-dns-record', /no IPv4/],
      [action({ recordName: 'a..example.test' }), {}, 'step/bad-dns-record', /no name/],
      [action({ recordType: 'AAAA', value: at('1.2.3.4') }), {}, 'step/bad-dns-record', /no IPv6/],
    ]
    for (const [dns, change, code, message] of told)
      await expect(update(dns, change), message.source).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message),
        remedy: expect.stringMatching(/\.$/),
      })
  })
})

describe('who answers badly', () => {
  const answering = async (onData: (socket: net.Socket, request: Buffer) => void): Promise<string> =>
    `127.0.0.1:${await listen((socket) => socket.on('data', (data) => onData(socket, data)))}`
  const outcome = async (where: string, more: Change = {}): Promise<{ code: string; message: string }> =>
    update(action({ server: where }), more).then(
      ({ note }) => ({ code: 'succeeded', message: note }),
      (error) => error,
    )
  /** The request as its own answer, without the signature. */
  const echo = (request: Buffer, rcode = 0): Buffer => {
    const answer = Buffer.from(request.subarray(0, 14))
    answer.writeUInt16BE(12, 0)
    answer.writeUInt16BE(answer.readUInt16BE(4) | 0x8000 | rcode, 4)
    answer.fill(0, 6, 14)
    return answer
  }

  test('is told apart from a server that says no', async () => {
    expect(await outcome(`127.0.0.1:${await freePort()}`)).toMatchObject({
      code: 'step/dns-not-reached',
      message: expect.stringContaining('connection refused'),
    })
    expect(await outcome('no-such-name.invalid')).toMatchObject({ code: 'step/dns-not-reached' })
    const silent = await answering(() => undefined)
    expect(await outcome(silent, { deadline: Date.now() + 300 })).toMatchObject({
      code: 'step/timeout',
      message: `Not within 5 s: no answer from the name server ${silent}`,
    })
    const cut = await answering((socket, request) => socket.end(echo(request).subarray(0, 9)))
    expect(await outcome(cut)).toMatchObject({ code: 'step/dns-bad-answer' })
    const noise = await answering((socket) =>
      socket.end(Buffer.from('\x00\x20HTTP/1.1 400 Bad Request\r\n\r\nxxxxxx')),
    )
    expect(await outcome(noise)).toMatchObject({ code: 'step/dns-bad-answer' })
    const empty = await answering((socket) => socket.end(Buffer.from([0, 0])))
    expect(await outcome(empty)).toMatchObject({ code: 'step/dns-bad-answer' })
    const mute = await answering((socket) => socket.destroy())
    expect((await outcome(mute)).code).toMatch(/^step\/dns-(bad-answer|not-reached)$/)
  })

  test('without a signature is not believed when it says yes', async () => {
    const unsigned = await answering((socket, request) => socket.end(echo(request)))
    expect(await outcome(unsigned)).toMatchObject({ code: 'step/dns-unsigned' })
    const no = await answering((socket, request) => socket.end(echo(request, 5)))
    expect(await outcome(no)).toMatchObject({ code: 'step/dns-refused' })
  })

  test('but lets nobody read has done it all the same, and that is told', async () => {
    const blind = await answering((socket, request) => {
      const isUpdate = (request.readUInt8(4) & 0x78) !== 0
      socket.end(echo(request, isUpdate ? 0 : 5))
    })
    expect((await update(action({ server: blind, tsig: null }))).note).toContain(
      'does not let us read it back',
    )
  })

  test('and changes an answer on its way is not believed', async () => {
    const [, port] = server.split(':')
    const between = await listen((socket) => {
      const onward = net.connect(Number(port), '127.0.0.1')
      socket.pipe(onward)
      onward.on('data', (data) => {
        // RCODE 5 becomes 0: a refusal becomes a success.
        data.writeUInt8(data.readUInt8(5) & 0xf0, 5)
        socket.write(data)
      })
    })
    const refused = action({ server: `127.0.0.1:${between}`, tsig: tsig('weak-key') })
    await expect(update(refused)).rejects.toMatchObject({ code: 'step/dns-forged' })
  })

  test('with anything at all makes no other error than that it cannot be read', () => {
    for (let round = 0; round < 2000; round += 1) {
      const bytes = randomBytes(round % 90)
      if (bytes.length > 12) bytes.fill(0, 4, 12).writeUInt8(3, 7)
      try {
        parseMessage(bytes)
      } catch (error) {
        expect(error).toBeInstanceOf(DnsFormatError)
      }
    }
    const circle = Buffer.from('0001800000010000000000000161c00c00010001', 'hex')
    expect(() => parseMessage(circle)).toThrow(DnsFormatError)
  })
})
