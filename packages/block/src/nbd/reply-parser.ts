// The receiving half of a connection: a state machine that is fed whatever arrives and puts the data of reads straight
// into the buffers that wait for it. Everything the server says is checked before it is believed.
import { MiB } from '@understudy/base/bytes'
import {
  CHUNK_DONE,
  CHUNK_HEADER_BYTES,
  CHUNK_IS_ERROR,
  CHUNK_MAGIC,
  chunk,
  command,
  readOffset,
  SIMPLE_REPLY_BYTES,
  SIMPLE_REPLY_MAGIC,
} from './protocol.ts'

/** A stretch of one block status: so many bytes with these flags. */
export type StatusRun = { readonly bytes: number; readonly flags: number }

/** A request that waits for its reply, which gathers here. */
export type Pending = {
  readonly command: number
  readonly offset: number
  /** Where the data of a read goes; empty for everything else. */
  readonly data: Buffer
  /** How many bytes of a read have come, as data or as holes. */
  received: number
  readonly status: Map<number, StatusRun[]>
  failure: { readonly errno: number; readonly message: string } | null
  readonly sentAt: number
  settle(reply: Pending): void
  reject(error: Error): void
}

/** QEMU sends at most 1 MiB of extents; nobody needs more than this. */
const LARGEST_PAYLOAD_BYTES = 16 * MiB
const MAGIC_BYTES = 4
const OFFSET_BYTES = 8

type State = 'magic' | 'simple' | 'chunk' | 'offset' | 'data' | 'payload' | 'broken'

export class ReplyParser {
  private readonly pending: Map<number, Pending>
  private readonly onViolation: (what: string) => void
  private readonly header = Buffer.alloc(CHUNK_HEADER_BYTES + OFFSET_BYTES)
  private state: State = 'magic'
  private filled = 0
  private needed = MAGIC_BYTES
  private cookie = 0
  private current: Pending | null = null
  private done = false
  private type = 0
  private payload = Buffer.alloc(0)
  /** Where the next data byte goes, and how many are still to come. */
  private target = 0
  private left = 0

  constructor(pending: Map<number, Pending>, onViolation: (what: string) => void) {
    this.pending = pending
    this.onViolation = onViolation
  }

  /** Takes the first `end` bytes of `data`, which the caller may overwrite afterwards. */
  feed(data: Buffer, end: number): void {
    let at = 0
    while (at < end && this.state !== 'broken') {
      if (this.state === 'data') at = this.copy(data, at, end, this.current?.data ?? null)
      else if (this.state === 'payload') at = this.copy(data, at, end, this.payload)
      else at = this.fillHeader(data, at, end)
    }
  }

  private copy(data: Buffer, at: number, end: number, into: Buffer | null): number {
    const bytes = Math.min(end - at, this.left)
    if (into === null) {
      this.violate('data without a request')
      return end
    }
    data.copy(into, this.target, at, at + bytes)
    this.target += bytes
    this.left -= bytes
    if (this.left === 0) {
      if (this.state === 'payload') this.takePayload()
      this.endOfChunk()
    }
    return at + bytes
  }

  private fillHeader(data: Buffer, at: number, end: number): number {
    const bytes = Math.min(end - at, this.needed - this.filled)
    data.copy(this.header, this.filled, at, at + bytes)
    this.filled += bytes
    if (this.filled === this.needed) this.takeHeader()
    return at + bytes
  }

  private takeHeader(): void {
    if (this.state === 'magic') this.takeMagic()
    else if (this.state === 'simple') this.takeSimpleReply()
    else if (this.state === 'chunk') this.takeChunk()
    else this.takeOffset()
  }

  private takeMagic(): void {
    const magic = this.header.readUInt32BE(0)
    if (magic === CHUNK_MAGIC) this.expect('chunk', CHUNK_HEADER_BYTES)
    else if (magic === SIMPLE_REPLY_MAGIC) this.expect('simple', SIMPLE_REPLY_BYTES)
    else this.violate('a reply has a wrong magic number')
  }

  private takeSimpleReply(): void {
    const request = this.find(8)
    if (request === null) return
    this.done = true
    const errno = this.header.readUInt32BE(4)
    if (errno !== 0) request.failure = { errno, message: '' }
    else if (request.command === command.read && request.data.length > 0) {
      request.received = request.data.length
      this.startData(0, request.data.length)
      return
    }
    this.endOfChunk()
  }

  private takeChunk(): void {
    const request = this.find(8)
    if (request === null) return
    this.done = (this.header.readUInt16BE(4) & CHUNK_DONE) !== 0
    this.type = this.header.readUInt16BE(6)
    const bytes = this.header.readUInt32BE(16)
    if (this.type === chunk.offsetData) {
      if (request.command !== command.read || bytes <= OFFSET_BYTES)
        this.violate('a chunk of data without data')
      else {
        this.left = bytes - OFFSET_BYTES
        this.expect('offset', CHUNK_HEADER_BYTES + OFFSET_BYTES)
      }
    } else if (bytes > LARGEST_PAYLOAD_BYTES) this.violate('a reply is too long')
    else if (bytes === 0) {
      this.payload = Buffer.alloc(0)
      this.takePayload()
      this.endOfChunk()
    } else {
      this.payload = Buffer.allocUnsafe(bytes)
      this.startData(0, bytes, 'payload')
    }
  }

  private takeOffset(): void {
    const request = this.current
    if (request === null) return
    const start = readOffset(this.header, CHUNK_HEADER_BYTES) - request.offset
    if (start < 0 || start + this.left > request.data.length) {
      this.violate('data lies outside the request')
      return
    }
    request.received += this.left
    this.startData(start, this.left)
  }

  private takePayload(): void {
    const request = this.current
    if (request === null) return
    const { type, payload } = this
    if (type === chunk.offsetHole) this.takeHole(request, payload)
    else if (type === chunk.blockStatus) this.takeStatus(request, payload)
    else if ((type & CHUNK_IS_ERROR) !== 0) this.takeError(request, payload)
    else if (type !== chunk.none) this.violate(`a reply has the unknown type ${type}`)
  }

  private takeHole(request: Pending, payload: Buffer): void {
    if (payload.length !== 12) {
      this.violate('a hole has a wrong length')
      return
    }
    const start = readOffset(payload, 0) - request.offset
    const bytes = payload.readUInt32BE(8)
    if (start < 0 || start + bytes > request.data.length) {
      this.violate('a hole lies outside the request')
      return
    }
    request.data.fill(0, start, start + bytes)
    request.received += bytes
  }

  private takeStatus(request: Pending, payload: Buffer): void {
    if (request.command !== command.blockStatus || payload.length < 12 || payload.length % 8 !== 4) {
      this.violate('a block status has a wrong length')
      return
    }
    const runs: StatusRun[] = []
    for (let at = 4; at < payload.length; at += 8)
      runs.push({ bytes: payload.readUInt32BE(at), flags: payload.readUInt32BE(at + 4) })
    request.status.set(payload.readUInt32BE(0), runs)
  }

  private takeError(request: Pending, payload: Buffer): void {
    if (payload.length < 6) {
      this.violate('an error has a wrong length')
      return
    }
    const messageBytes = payload.readUInt16BE(4)
    const message = payload.toString('utf8', 6, Math.min(payload.length, 6 + messageBytes))
    // An error of zero would be a success that is none.
    request.failure = { errno: payload.readUInt32BE(0) || 5, message }
  }

  private endOfChunk(): void {
    const request = this.current
    if (this.state === 'broken') return
    if (this.done && request !== null) {
      // A reply that ends early would leave bytes of somebody else's memory in the buffer.
      if (request.failure === null && request.received !== request.data.length) {
        this.violate('a read came back short')
        return
      }
      this.pending.delete(this.cookie)
      request.settle(request)
    }
    this.current = null
    this.filled = 0
    this.expect('magic', MAGIC_BYTES)
  }

  private find(at: number): Pending | null {
    this.cookie = readOffset(this.header, at)
    this.current = this.pending.get(this.cookie) ?? null
    if (this.current === null) this.violate('a reply belongs to no request')
    return this.current
  }

  private startData(target: number, bytes: number, state: 'data' | 'payload' = 'data'): void {
    this.state = state
    this.target = target
    this.left = bytes
  }

  private expect(state: State, needed: number): void {
    this.state = state
    this.needed = needed
  }

  private violate(what: string): void {
    this.state = 'broken'
    this.onViolation(what)
  }
}
