// Replaces the records of one name and type in a zone, by a signed update, and reads them back (RFC 2136, RFC 8945). May be repeated.
import { randomInt } from 'node:crypto'
import net from 'node:net'
import { domainToASCII } from 'node:url'
import type { Clock } from '@understudy/base/instant'
import type { DnsAction } from '@understudy/domain/recovery-plans/step-action'
import type { StepFailure, StepOutcome, StepWork } from '@understudy/engine/ports/step-runner'
import { limitTo } from './bounded-wait.ts'
import {
  CLASS,
  DnsFormatError,
  type DnsMessage,
  type DnsRecord,
  encodeMessage,
  encodeName,
  nameText,
  OPCODE,
  parseMessage,
  readName,
  TYPE,
} from './dns-message.ts'
import { placesOf, toPlace, wordsOfPlace } from './endpoints.ts'
import { notInTime, reasonOf, stepFailed } from './step-failures.ts'
import { BADKEY, BADSIG, BADTIME, type Check, check, sign, type TsigSecret } from './tsig.ts'

type Means = { readonly clock: Clock; readonly report: (line: string) => void; readonly signal: AbortSignal }

/** What is to stand in the zone afterwards. */
type Wanted = {
  readonly zone: Buffer
  readonly name: Buffer
  readonly type: number
  readonly ttl: number
  readonly data: Buffer
  /** For people: `www.example.com. A 192.0.2.7`. */
  readonly words: string
}

type Server = {
  readonly host: string
  readonly port: number
  readonly words: string
  readonly secret: TsigSecret | null
  readonly clock: Clock
  readonly signal: AbortSignal
}

export async function updateDns(
  action: DnsAction,
  work: Pick<StepWork, 'addressOf' | 'tsigSecret' | 'deadline'>,
  { clock, report, signal }: Means,
): Promise<StepOutcome> {
  const wanted = toWanted(action, work)
  const limit = limitTo(work.deadline - clock.now(), signal)
  const { host, port } = toPlace(action.server)
  const words = wordsOfPlace(host, port ?? 53)
  const secret = toSecret(action, work.tsigSecret)
  const server: Server = { host, port: port ?? 53, words, secret, clock, signal: limit.signal }
  try {
    report(`asks ${words} for ${wanted.words}`)
    await sendUpdate(server, action, wanted)
    return { note: `${wanted.words} at ${words}${await readBack(server, wanted)}`, output: null }
  } catch (error) {
    signal.throwIfAborted()
    if (limit.isUp()) throw notInTime(action.timeoutSeconds, `no answer from the name server ${words}`)
    throw error
  } finally {
    limit.end()
  }
}

function toWanted(action: DnsAction, work: Pick<StepWork, 'addressOf'>): Wanted {
  const { recordType, ttlSeconds } = action
  try {
    const value = valueText(action, work)
    const [name, zone] = [encodeName(toAscii(action.recordName)), encodeName(toAscii(action.zone))]
    return {
      zone,
      name,
      type: TYPE[recordType],
      ttl: ttlSeconds,
      data: encodeData(recordType, value),
      words: `${nameText(name)} ${recordType} ${value}`,
    }
  } catch (error) {
    if (!(error instanceof DnsFormatError)) throw error
    throw stepFailed(
      'bad-dns-record',
      `The record cannot be written: ${error.message}`,
      'Correct the name or the value of the record.',
    )
  }
}

/** Names of other scripts stand in DNS in ASCII (RFC 5891). */
const toAscii = (name: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII begins with them
  /^[\x00-\x7f]*$/.test(name) ? name : domainToASCII(name.trim()) || name

function valueText({ recordType, value }: DnsAction, work: Pick<StepWork, 'addressOf'>): string {
  if (value.kind === 'address') return value.address
  const family = recordType === 'AAAA' ? 6 : 4
  const fitting = placesOf(value, work).filter(({ host }) => net.isIP(host) === family)
  // One with a port is a forwarder's, not the machine's own.
  const place = fitting.find(({ port }) => port === null) ?? fitting[0]
  if (place !== undefined) return place.host
  throw stepFailed(
    'no-address',
    `The machine has no IPv${family} address that is known`,
    'Let its guest agent report one, or give the address in the step.',
  )
}

function encodeData(type: DnsAction['recordType'], value: string): Buffer {
  const text = value.trim()
  switch (type) {
    case 'A':
      if (!net.isIPv4(text)) throw new DnsFormatError(`"${text}" is no IPv4 address`)
      return Buffer.from(text.split('.').map(Number))
    case 'AAAA':
      return encodeIpv6(text)
    case 'CNAME':
      return encodeName(toAscii(text))
    case 'TXT':
      return encodeStrings(Buffer.from(value, 'utf8'))
  }
}

function encodeIpv6(text: string): Buffer {
  if (!net.isIPv6(text) || text.includes('%')) throw new DnsFormatError(`"${text}" is no IPv6 address`)
  // The last four bytes may be written as an IPv4 address (RFC 4291, section 2.2).
  const hex = text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_whole, ...parts: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number)
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  })
  const [before = '', after] = hex.split('::')
  const left = before === '' ? [] : before.split(':')
  const right = after === undefined || after === '' ? [] : after.split(':')
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
  const bytes = Buffer.alloc(16)
  groups.forEach((group, index) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2)
  })
  return bytes
}

/** Strings of at most 255 bytes (RFC 1035, section 3.3.14). */
function encodeStrings(text: Buffer): Buffer {
  if (text.length > 60_000) throw new DnsFormatError('the text is too long')
  const parts: Buffer[] = []
  for (let at = 0; at === 0 || at < text.length; at += 255) {
    const part = text.subarray(at, at + 255)
    parts.push(Buffer.of(part.length), part)
  }
  return Buffer.concat(parts)
}

function toSecret({ tsig }: DnsAction, secret: string | null): TsigSecret | null {
  if (tsig === null) return null
  const text = (secret ?? '').trim()
  const key = Buffer.from(text, 'base64')
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(text) && text.length % 4 === 0
  if (key.length > 0 && isBase64) return { name: toAscii(tsig.name), algorithm: tsig.algorithm, key }
  throw stepFailed(
    'bad-tsig-key',
    `The key ${tsig.name} is not in base64`,
    'Set the secret parameter to the key as the configuration of the name server has it.',
  )
}

async function sendUpdate(server: Server, action: DnsAction, wanted: Wanted): Promise<void> {
  const { zone, name, type, ttl, data } = wanted
  const answer = await ask(server, OPCODE.UPDATE, { name: zone, type: TYPE.SOA }, [
    // RFC 2136, section 2.5.2: all records of this name and type.
    { name, type, class: CLASS.ANY, ttl: 0, data: Buffer.alloc(0) },
    { name, type, class: CLASS.IN, ttl, data },
  ])
  if (answer.rcode !== 0) throw updateRefused(server, action, answer.rcode)
}

/** What a name server has been told and does not do, such as an address beside a CNAME (RFC 2136, section 3.4.2.2), shows here only. */
async function readBack(server: Server, wanted: Wanted): Promise<string> {
  const { name, type, data } = wanted
  const answer = await ask(server, OPCODE.QUERY, { name, type }, [])
  if (answer.rcode === RCODE.REFUSED) return '; the server takes it but does not let us read it back'
  const there = answer.answers.filter((record) => record.type === type && record.name.equals(name))
  const [only, ...others] = there
  const isWanted = (record: DnsRecord): boolean => dataOf(answer, record).equals(data)
  if (only !== undefined && others.length === 0 && checkedBy(server, () => isWanted(only))) return ''
  throw stepFailed(
    'dns-not-changed',
    `${server.words} took the update, but ${there.length === 0 ? 'has no such record' : 'still has another one'}: expected ${wanted.words}`,
    'See whether the name has a CNAME, and whether this server is the primary one of the zone.',
  )
}

const dataOf = (message: DnsMessage, record: DnsRecord): Buffer =>
  record.type === TYPE.CNAME ? readName(message.bytes, record.dataAt).name : record.data

/** The answer, which is from who has the key if there is one. */
async function ask(
  server: Server,
  opcode: number,
  question: Parameters<typeof encodeMessage>[2],
  updates: Parameters<typeof encodeMessage>[3],
): Promise<DnsMessage> {
  const id = randomInt(0x1_0000)
  const message = encodeMessage(id, opcode, question, updates)
  const now = (): number => Math.floor(server.clock.now() / 1000)
  const signed = server.secret && sign(message, server.secret, now())
  const answer = await exchange(server, signed?.bytes ?? message)
  if (answer.id !== id || !answer.isAnswer || answer.opcode !== opcode)
    throw badAnswer(server, 'it answers something else')
  if (server.secret && signed) {
    const verdict = checkedBy(server, () => check(answer, server.secret as TsigSecret, signed.mac, now()))
    refuseUnproven(server, answer, verdict, now())
  }
  return answer
}

function checkedBy<Result>(server: Server, read: () => Result): Result {
  try {
    return read()
  } catch (error) {
    if (error instanceof DnsFormatError || error instanceof RangeError) throw badAnswer(server, error.message)
    throw error
  }
}

function refuseUnproven(server: Server, { rcode }: DnsMessage, verdict: Check, nowSeconds: number): void {
  const key = server.secret?.name
  switch (verdict.kind) {
    case 'good':
      if (verdict.error === BADTIME) throw wrongTime(server, verdict.serverSeconds, nowSeconds)
      return
    case 'told':
      if (verdict.error === BADKEY)
        throw keyRefused(`${server.words} does not know the key ${key}, or not with this algorithm`)
      if (verdict.error === BADSIG) throw keyRefused(`${server.words} has another value for the key ${key}`)
      if (verdict.error === BADTIME) throw wrongTime(server, null, nowSeconds)
      throw keyRefused(`${server.words} did not take the signature (error ${verdict.error})`)
    case 'unsigned':
      // A refusal does no harm, whoever it is from.
      if (rcode !== 0) return
      throw stepFailed(
        'dns-unsigned',
        `${server.words} did not sign its answer, so it may be from anybody`,
        'Use a name server that signs its answers (RFC 8945), and reach it without a forwarder in between.',
      )
    case 'forged':
      throw stepFailed(
        'dns-forged',
        `The answer of ${server.words} does not stand up: ${verdict.why}`,
        'See who answers at this address, and that nothing in between changes the answers.',
      )
  }
}

const keyRefused = (message: string): StepFailure =>
  stepFailed(
    'dns-key',
    message,
    'Compare name, algorithm and value of the key with the configuration of the name server.',
  )

function wrongTime(server: Server, serverSeconds: number | null, nowSeconds: number): StepFailure {
  const skew = serverSeconds === null ? null : serverSeconds - nowSeconds
  const told =
    skew === null
      ? 'differ by more than 5 min'
      : `differ: it is ${Math.abs(skew)} s ${skew > 0 ? 'ahead' : 'behind'}`
  return stepFailed(
    'dns-time',
    `The clocks of ${server.words} and of Understudy ${told}`,
    'Let both computers take their time from the same NTP servers.',
  )
}

/** RFC 2136, section 2.2. */
const RCODE = {
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  NOTAUTH: 9,
  NOTZONE: 10,
} as const

function updateRefused({ words, secret }: Server, action: DnsAction, rcode: number): StepFailure {
  const { zone, recordName } = action
  switch (rcode) {
    case RCODE.REFUSED:
      return stepFailed(
        'dns-refused',
        `${words} refuses to change ${recordName}`,
        secret === null
          ? 'Name a key that may change the zone, or let the name server take updates from this address.'
          : `Let the key ${secret.name} change this record: update-policy or allow-update in BIND.`,
      )
    case RCODE.NOTAUTH:
      return stepFailed(
        'dns-not-authoritative',
        `${words} is not responsible for the zone ${zone}`,
        'Name its primary server, and the zone as it is configured there.',
      )
    case RCODE.NOTZONE:
      return stepFailed(
        'dns-outside-zone',
        `${recordName} is not in the zone ${zone}`,
        'Correct the zone or the name of the record.',
      )
    case RCODE.SERVFAIL:
      return stepFailed(
        'dns-server-failed',
        `${words} could not change ${recordName} (SERVFAIL)`,
        'Look at its log: often it may not write the file of the zone.',
      )
    case RCODE.NOTIMP:
      return stepFailed(
        'dns-no-updates',
        `${words} does not take updates`,
        'Name a server that does (RFC 2136), such as the primary one of the zone.',
      )
    default:
      return stepFailed(
        'dns-failed',
        `${words} did not change ${recordName}: ${nameOfRcode(rcode)}`,
        'Look at the log of the name server.',
      )
  }
}

const nameOfRcode = (rcode: number): string =>
  Object.entries(RCODE).find(([, value]) => value === rcode)?.[0] ?? `response code ${rcode}`

/** Over TCP: an answer of any length, and from nobody who merely guesses. Two bytes of length before each message (RFC 1035, 4.2.2). */
function exchange(server: Server, message: Buffer): Promise<DnsMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<DnsMessage>()
  const { host, port, signal } = server
  const socket = net.connect({ host, port, signal })
  let received = Buffer.alloc(0)
  socket.once('connect', () => {
    const length = Buffer.alloc(2)
    length.writeUInt16BE(message.length)
    socket.write(Buffer.concat([length, message]))
  })
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return
    const whole = received.subarray(2, 2 + received.readUInt16BE(0))
    try {
      resolve(checkedBy(server, () => parseMessage(whole)))
    } catch (error) {
      reject(error)
    }
  })
  socket.once('end', () => reject(badAnswer(server, 'it closed the connection before its answer was whole')))
  socket.once('error', (error) => reject(signal.aborted ? error : notReached(server, error)))
  return promise.finally(() => socket.destroy())
}

const notReached = ({ words }: Server, error: unknown): StepFailure =>
  stepFailed(
    'dns-not-reached',
    `The name server ${words} cannot be reached: ${reasonOf(error)}`,
    'See that it runs and that TCP to its port is let through.',
    { cause: error },
  )

const badAnswer = ({ words }: Server, why: string): StepFailure =>
  stepFailed(
    'dns-bad-answer',
    `The answer of ${words} cannot be used: ${why}`,
    'See what listens at this address, and the log of the name server.',
  )
