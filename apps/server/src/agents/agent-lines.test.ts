import { badFrame, type FrameHeader } from '@understudy/agent-protocol/frames'
import type { FromServer, WantedRead } from '@understudy/agent-protocol/messages'
import { present } from '@understudy/base/invariant'
import type { AgentId } from '@understudy/domain/agents/agent'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type AgentLines, createAgentLines } from './agent-lines.ts'

const agent = 'agent-1' as AgentId
const MiB = 2 ** 20

let lines: AgentLines
let sessions = 0
beforeEach(() => {
  vi.useFakeTimers()
  lines = createAgentLines(() => Date.now())
})
afterEach(() => {
  lines.stop()
  vi.useRealTimers()
})

/** A connection of the agent, and what was said over it. */
function connect(protocol = 2) {
  const said: FromServer[] = []
  sessions += 1
  const id = `session-${sessions}`
  const end = vi.fn()
  const session = lines.opened(agent, { id, protocol, say: (message) => said.push(message), end })
  return {
    ...session,
    id,
    said,
    end,
    asks: () => said.filter(({ type }) => type === 'ask'),
    reads: () => readsIn(said),
  }
}
const readsIn = (said: readonly FromServer[]) => said.filter((message) => message.type === 'read')

const wanted = (offset: number, bytes = MiB): WantedRead => ({
  opening: 'o',
  round: 0,
  disk: 'disk0' as DiskKey,
  offset,
  bytes,
})
const headerOf = (read: number, { offset, bytes }: WantedRead): FrameHeader => ({
  read,
  offset,
  contentBytes: bytes,
  codec: 0,
  payloadBytes: bytes,
  checksum: 0,
})

/** As a stream does that carries this read. */
function bring(
  session: string,
  { id, wanted: what }: Extract<FromServer, { type: 'read' }>,
  byte = 1,
  number = 1,
): void {
  const sink = present(lines.sinkOf(agent, session, number), 'the session is there')
  sink.expect(headerOf(id, what))
  sink.take({ read: id, offset: what.offset, content: Buffer.alloc(what.bytes, byte) })
}

const stop = (): Promise<unknown> => lines.ask(agent, 'stop-tracking', { trackingId: 't' })

test('what is asked goes out again on every connection until it is answered, under the same name', async () => {
  const answer = stop()
  const first = connect()
  first.closed()
  const second = connect()
  const [ask] = second.asks()
  expect(ask).toEqual(first.asks()[0])
  if (ask?.type !== 'ask') throw new Error('it was asked')
  second.replied({ type: 'reply', id: ask.id, outcome: { kind: 'answer', body: {} } })
  expect(await answer).toEqual({})
  second.closed()
  expect(connect().asks()).toEqual([])
})

test('a failure comes through as what it was, and an answer that does not fit is refused', async () => {
  const { asks, replied } = connect()
  const [refused, spoiled] = [stop(), lines.ask(agent, 'check-eligibility', {})]
  const [one, two] = asks()
  if (one?.type !== 'ask' || two?.type !== 'ask') throw new Error('both were asked')
  const failure = { kind: 'refusal', code: 'machine/locked', message: 'No', remedy: 'Unlock it.' } as const
  replied({ type: 'reply', id: one.id, outcome: { kind: 'failed', failure } })
  replied({ type: 'reply', id: two.id, outcome: { kind: 'answer', body: { findings: 3 } } })
  await expect(refused).rejects.toMatchObject({
    name: 'Refusal',
    code: 'machine/locked',
    remedy: 'Unlock it.',
  })
  await expect(spoiled).rejects.toMatchObject({ code: 'agent/bad-message' })
})

test('an agent that does not come back fails what waits for it after two minutes, and one that never was there sooner', async () => {
  const never = stop()
  never.catch(() => {})
  await vi.advanceTimersByTimeAsync(11_000)
  await expect(never).rejects.toMatchObject({ name: 'Outage', code: 'agent/away' })
  const { closed } = connect()
  closed()
  let ended = false
  const gone = stop()
  gone.catch(() => {
    ended = true
  })
  await vi.advanceTimersByTimeAsync(110_000)
  expect(ended).toBe(false)
  await vi.advanceTimersByTimeAsync(12_000)
  await expect(gone).rejects.toMatchObject({ code: 'agent/away' })
})

test('an agent of a version before is not asked what it does not know', async () => {
  const { asks } = connect(1)
  await expect(stop()).rejects.toMatchObject({ name: 'Refusal', code: 'agent/too-old' })
  expect(asks()).toEqual([])
})

test('no more is under way than may be, the oldest first', async () => {
  const session = connect()
  const contents = Array.from({ length: 40 }, (_, index) => lines.read(agent, wanted(index * MiB)))
  expect(session.reads()).toHaveLength(16)
  for (let index = 0; index < 40; index += 1) {
    bring(session.id, present(session.reads()[index], 'it was sent'), index, index + 1)
    expect(session.reads()).toHaveLength(Math.min(40, 17 + index))
  }
  for (const [index, content] of (await Promise.all(contents)).entries()) expect(content[0]).toBe(index)
})

test('after a cut only what is not here yet is read again', async () => {
  const first = connect()
  const contents = [0, 1, 2].map((index) => lines.read(agent, wanted(index * MiB)))
  bring(first.id, present(first.reads()[1], 'it was sent'), 7)
  first.closed()
  // A stream of the connection before has come to its end meanwhile.
  expect(lines.sinkOf(agent, first.id, 2)).toBeNull()
  const second = connect()
  expect(second.reads().map(({ wanted: { offset } }) => offset)).toEqual([0, 2 * MiB])
  for (const [index, read] of second.reads().entries()) bring(second.id, read, 8, index + 1)
  expect((await Promise.all(contents)).map((content) => content[0])).toEqual([8, 7, 8])
})

test('what went down with a stream is asked for again, three times, and then fails with why', async () => {
  const { reads, lost } = connect()
  const content = lines.read(agent, wanted(0))
  content.catch(() => {})
  for (const tries of [1, 2, 3]) {
    expect(reads()).toHaveLength(tries)
    lines.spoiled(agent, badFrame('its checksum is wrong'))
    lost([present(reads().at(-1), 'it was sent').id])
  }
  await expect(content).rejects.toMatchObject({ name: 'Outage', code: 'agent/bad-frame' })
  expect(reads()).toHaveLength(3)
})

test('a frame that answers nothing spoils its stream, and one that was answered before does not', async () => {
  const session = connect()
  const content = lines.read(agent, wanted(0))
  const read = present(session.reads()[0], 'it was sent')
  const sink = present(lines.sinkOf(agent, session.id, 1), 'it is there')
  for (const header of [
    headerOf(read.id + 1, read.wanted),
    headerOf(0, read.wanted),
    headerOf(read.id, wanted(MiB)),
    headerOf(read.id, wanted(0, MiB - 1)),
  ])
    expect(() => sink.expect(header)).toThrow(expect.objectContaining({ code: 'agent/bad-frame' }))
  bring(session.id, read, 3, 2)
  bring(session.id, read, 4, 3)
  expect((await content)[0]).toBe(3)
  // Each stream is taken once.
  expect(lines.sinkOf(agent, session.id, 3)).toBeNull()
  expect(lines.sinkOf(agent, 'another', 4)).toBeNull()
})

test('an agent that is there and brings nothing is not waited for for ever', async () => {
  const session = connect()
  const content = lines.read(agent, wanted(0))
  content.catch(() => {})
  await vi.advanceTimersByTimeAsync(122_000)
  await expect(content).rejects.toMatchObject({ code: 'agent/stalled' })
  expect(session.reads()).toHaveLength(1)
})

test('who gives up is not waited for, makes room, and is told to the agent', async () => {
  const { said, reads } = connect()
  const stopping = new AbortController()
  const reading = Array.from({ length: 17 }, (_, index) =>
    lines.read(agent, wanted(index * MiB), index === 0 ? stopping.signal : undefined),
  )
  const asking = lines.ask(agent, 'stop-tracking', { trackingId: 't' }, stopping.signal)
  for (const each of reading) each.catch(() => {})
  expect(reads()).toHaveLength(16)
  stopping.abort(new Error('enough'))
  await expect(reading[0]).rejects.toThrow('enough')
  await expect(asking).rejects.toThrow('enough')
  expect(reads()).toHaveLength(17)
  expect(said.filter(({ type }) => type === 'withdraw')).toHaveLength(1)
})

test('a way is as long as the shortest of the last times says, whatever a busy line made of the others', () => {
  expect(lines.roundTripMilliseconds(agent)).toBeNull()
  const first = connect()
  first.roundTrip(48)
  for (const milliseconds of [51, 300, 900]) first.roundTrip(milliseconds)
  expect(lines.roundTripMilliseconds(agent)).toBe(48)
  first.closed()
  const second = connect()
  // An answer that comes too late is of another line.
  first.roundTrip(1)
  for (let count = 0; count < 20; count += 1) second.roundTrip(70)
  expect(lines.roundTripMilliseconds(agent)).toBe(70)
})
