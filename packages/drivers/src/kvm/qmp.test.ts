import { Duplex, PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { connectGuestAgent } from './guest-agent.ts'
import { connectQmp } from './qmp.ts'

type Command = { execute: string; id?: number; arguments?: Record<string, unknown> }

/** The other end of a line protocol: `answer` gets each line and writes what it wants. */
function otherEnd(answer: (command: Command, write: (text: string | Buffer) => void) => void): {
  stream: Duplex
  write: (text: string | Buffer) => void
} {
  const toUs = new PassThrough()
  const fromUs = new PassThrough()
  let rest = ''
  fromUs.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('latin1').replaceAll('\xff', '')).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') answer(JSON.parse(line), (text) => toUs.write(text))
  })
  return { stream: Duplex.from({ readable: toUs, writable: fromUs }), write: (text) => toUs.write(text) }
}

const greeting =
  '{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}}, "capabilities": []}}\r\n'
const reply = (id: number | undefined, value: unknown): string =>
  `${JSON.stringify({ id, return: value })}\r\n`

describe('the monitor client', () => {
  test('matches replies to commands although events and pieces of lines come in between', async () => {
    const { stream, write } = otherEnd(({ execute, id }, send) => {
      const text = reply(id, execute)
      send('{"timestamp": {"seconds": 5, "microseconds": 500}, "event": "STOP", "data": {}}\r\n')
      send(text.slice(0, 7))
      send(text.slice(7))
    })
    write(greeting)
    const qmp = await connectQmp(async () => stream, { name: 'alpha' })
    const stopped = qmp.event(({ event }) => event === 'STOP', { milliseconds: 1000 })
    expect(qmp.version).toBe('7.2.22')
    expect(await Promise.all(['a', 'b', 'c'].map((name) => qmp.execute(name)))).toEqual(['a', 'b', 'c'])
    expect(await stopped).toMatchObject({ at: 5000.5 })
    qmp.close()
    await expect(qmp.execute('late')).rejects.toMatchObject({ code: 'kvm/qemu-gone' })
  })

  test('of a batch runs every command past one that fails, and says which', async () => {
    const { stream, write } = otherEnd(({ execute, id }, send) => {
      if (execute === 'bad') send(`${JSON.stringify({ id, error: { class: 'GenericError', desc: 'no' } })}\n`)
      else send(reply(id, {}))
    })
    write(greeting)
    const qmp = await connectQmp(async () => stream, { name: 'alpha' })
    const settled = await qmp.batch(['stop', 'bad', 'cont'].map((execute) => ({ execute })))
    expect(settled.map(({ failure }) => failure?.code)).toEqual([undefined, 'kvm/qemu-refused', undefined])
    qmp.close()
  })

  test('waits neither for a greeting nor for a reply longer than its deadline', async () => {
    const silent = otherEnd(() => undefined)
    await expect(
      connectQmp(async () => silent.stream, { name: 'alpha', connectMilliseconds: 30 }),
    ).rejects.toMatchObject({ code: 'kvm/qemu-busy' })
    const deaf = otherEnd(({ execute, id }, send) => {
      if (execute === 'qmp_capabilities') send(reply(id, {}))
    })
    deaf.write(greeting)
    const qmp = await connectQmp(async () => deaf.stream, { name: 'alpha', commandMilliseconds: 30 })
    await expect(qmp.execute('anything')).rejects.toMatchObject({ code: 'kvm/qemu-silent' })
    await qmp.closed
  })
})

describe('the guest agent client', () => {
  test('passes over what an earlier client left behind', async () => {
    const { stream, write } = otherEnd(({ execute, arguments: args }, send) => {
      if (execute === 'guest-sync-delimited') send(Buffer.from(`\xff{"return": ${args?.id}}\n`, 'latin1'))
      else send('{"return": "thawed"}\n')
    })
    write('": half a reply}\n{"return": 17}\n')
    const agent = await connectGuestAgent(async () => stream, { name: 'alpha' })
    expect(await agent.call('guest-fsfreeze-status')).toBe('thawed')
    agent.close()
  })

  test('never takes a late reply for the answer to the next question', async () => {
    const { stream, write } = otherEnd(({ execute, arguments: args }, send) => {
      if (execute === 'guest-sync-delimited') send(Buffer.from(`\xff{"return": ${args?.id}}\n`, 'latin1'))
    })
    const agent = await connectGuestAgent(async () => stream, { name: 'alpha' })
    await expect(agent.call('guest-fsfreeze-freeze', {}, 20)).rejects.toMatchObject({
      code: 'kvm/agent-silent',
    })
    write('{"return": 3}\n')
    await expect(agent.call('guest-fsfreeze-status', {}, 20)).rejects.toMatchObject({
      code: 'kvm/agent-silent',
    })
  })
})
