import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import { join } from 'node:path'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import type { HttpAction, ProbeAction, ProbeCheck } from '@understudy/domain/recovery-plans/step-action'
import type { StepWork } from '@understudy/engine/ports/step-runner'
import { freePort } from '@understudy/simulator/free-port'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listen } from './test-servers.ts'
import { appears, never, testSteps, workFor } from './test-work.ts'

type Received = {
  readonly method: string
  readonly url: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

let port: number
let server: http.Server
const received: Received[] = []
let answer: (request: http.IncomingMessage, response: http.ServerResponse) => void

beforeAll(async () => {
  server = http.createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    received.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body })
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as net.AddressInfo).port
})
afterAll(() => {
  server?.closeAllConnections()
  server?.close()
})

const { folders, run, fails } = testSteps()
const soon = (milliseconds = 700): Partial<StepWork> => ({ deadline: Date.now() + milliseconds })

const call = (more: Partial<HttpAction> = {}): HttpAction => ({
  kind: 'http',
  method: 'POST',
  url: `http://127.0.0.1:${port}/hook?token=geheim`,
  headers: {},
  body: '',
  expectedStatuses: [200, 202],
  timeoutSeconds: 5,
  ...more,
})

describe('an HTTP call', () => {
  test('sends what the step says, and tells the answer', async () => {
    answer = (_request, response) => response.writeHead(202).end('taken ü\n')
    const headers = { 'X-Reason': 'failover', 'content-length': '9999' }
    const { note, output } = await run(workFor(call({ method: 'PUT', headers, body: '{"ü":1}' })))
    expect(received.at(-1)).toMatchObject({ method: 'PUT', url: '/hook?token=geheim', body: '{"ü":1}' })
    expect(received.at(-1)?.headers).toMatchObject({ 'x-reason': 'failover', 'content-length': '8' })
    expect(note).toBe(`PUT http://127.0.0.1:${port}/hook answered 202`)
    expect(output).toBe('taken ü\n')
  })

  test('with another answer than expected has failed; a redirect is not followed', async () => {
    answer = (_request, response) => response.writeHead(500).end('database is down')
    expect(await fails(workFor(call()))).toMatchObject({
      code: 'step/http-status',
      message: `POST http://127.0.0.1:${port}/hook answered 500; expected: 200, 202`,
      output: 'database is down',
    })
    const before = received.length
    answer = (_request, response) => response.writeHead(302, { location: '/elsewhere' }).end()
    expect((await fails(workFor(call()))).message).toContain(
      'a redirect to /elsewhere, which is not followed',
    )
    expect(received.length).toBe(before + 1)
  })

  test('reads a bounded piece of an answer without end, as a valid text', async () => {
    answer = (_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536, 0xff)));
      }
      response.writeHead(200).on('drain', more)
      more()
    }
    const { output } = await run(workFor(call()))
    expect(output?.length).toBeLessThan(70_000)
    expect(output).toContain('the rest of the answer is left out')
    expect(output?.isWellFormed()).toBe(true)
  })

  test('keeps of a long answer only whole lines: half a secret could not be masked', async () => {
    answer = (_request, response) => response.end(`first\n${'x'.repeat(65_530 - 3)}hunter2`)
    const kept = /^first\n\[\.\.\. the rest of the answer is left out[^\n]*\]\n$/
    expect((await run(workFor(call()))).output).toMatch(kept)
    answer = (_request, response) => response.end(`${'x'.repeat(65_536 - 3)}hunter2`)
    expect((await run(workFor(call()))).output).toMatch(/^\[\.\.\. the rest[^\n]*\]\n$/)
  })

  test('that gets no answer, half of one or something else has failed, each with its cause', async () => {
    const raw = async (onSocket: (socket: net.Socket) => void): Promise<string> =>
      `http://127.0.0.1:${await listen(onSocket)}/`
    answer = () => undefined
    expect(await fails(workFor(call(), soon()))).toMatchObject({ code: 'step/timeout' })
    answer = (_request, response) => void response.writeHead(200).write('drip')
    expect(await fails(workFor(call(), soon()))).toMatchObject({ code: 'step/timeout' })
    const cut = await raw((one) => one.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'))
    expect(await fails(workFor(call({ url: cut })))).toMatchObject({
      code: 'step/http-cut',
      message: expect.stringContaining('in the middle of the answer, after status 200'),
    })
    const closed = await raw((one) => one.destroy())
    expect((await fails(workFor(call({ url: closed })))).message).toContain('closed by the other side')
    const strange = await raw((one) => one.end('SSH-2.0-OpenSSH_9.2\r\n'))
    expect((await fails(workFor(call({ url: strange })))).message).toContain('is not HTTP')
    const refused = `http://127.0.0.1:${await freePort()}/`
    expect((await fails(workFor(call({ url: refused })))).message).toContain('connection refused')
    expect((await fails(workFor(call({ url: 'http://no-such-name.invalid/' })))).code).toBe(
      'step/http-failed',
    )
    expect(await fails(workFor(call({ url: 'ftp://x/' })))).toMatchObject({ code: 'step/bad-url' })
    expect(await fails(workFor(call({ url: `https://127.0.0.1:${port}/` })))).toMatchObject({
      code: 'step/http-failed',
    })
  })

  test('with a line break in a header is not made, and the value is not told', async () => {
    const before = received.length
    const failure = await fails(workFor(call({ headers: { 'X-A': 'geheim\r\nX-B: 1' } })))
    expect(failure).toMatchObject({ code: 'step/bad-header' })
    expect(failure.message).not.toContain('geheim')
    expect(received.length).toBe(before)
  })

  test('that may have had its effect is not made again; a GET is', async () => {
    answer = (_request, response) => response.end('first')
    const made = workFor(call())
    const before = received.length
    const { note } = await run(made)
    expect(await run(made)).toEqual({ note, output: null })
    expect(received.length).toBe(before + 1)

    // The server of Understudy ended in the middle.
    answer = () => undefined
    const cancel = new AbortController()
    const lost = workFor(call())
    const running = run(lost, cancel.signal)
    await expect.poll(() => received.length).toBe(before + 2)
    cancel.abort(new DOMException('Gone', 'AbortError'))
    await expect(running).rejects.toMatchObject({ name: 'AbortError' })
    answer = (_request, response) => response.end('second')
    expect(await fails(lost)).toMatchObject({ code: 'step/interrupted' })
    expect(received.length).toBe(before + 2)

    const harmless = workFor(call({ method: 'GET' }))
    await run(harmless)
    await run(harmless)
    expect(received.length).toBe(before + 4)
  })
})

const local = { kind: 'address', address: '127.0.0.1' } as const
const probe = (check: ProbeCheck, more: Partial<ProbeAction> = {}): ProbeAction => ({
  kind: 'probe',
  check,
  until: 'green',
  intervalSeconds: 0.1,
  timeoutSeconds: 60,
  ...more,
})
const page = (more: Partial<Extract<ProbeCheck, { kind: 'http' }>> = {}): ProbeCheck => ({
  kind: 'http',
  target: local,
  scheme: 'http',
  port,
  path: '/health?deep=1',
  expectedStatus: 200,
  expectedText: 'all well',
  ...more,
})
const program = (line: string): ProbeCheck => ({
  kind: 'script',
  where: { kind: 'server' },
  command: 'sh',
  arguments: ['-c', line],
  environment: {},
})

describe('a probe', () => {
  test('of a port waits until somebody listens, and says what it waits for', async () => {
    const later = await freePort()
    const lines: string[] = []
    const running = run(workFor(probe({ kind: 'tcp', target: local, port: later })), never, (line) =>
      lines.push(line),
    )
    await expect.poll(() => lines).toEqual([`connection refused (127.0.0.1:${later})`])
    const late = net.createServer().listen(later, '127.0.0.1')
    expect((await running).note).toBe(`127.0.0.1:${later} answers`)
    late.close()
  })

  test('that is not as wished in time has failed with the last reason', async () => {
    const closed = await freePort()
    expect(await fails(workFor(probe({ kind: 'tcp', target: local, port: closed }), soon()))).toMatchObject({
      code: 'step/timeout',
      message: `Not within 60 s: connection refused (127.0.0.1:${closed})`,
    })
    const slams = await listen((socket) => socket.end())
    expect(
      (await fails(workFor(probe({ kind: 'tcp', target: local, port: slams }), soon(1500)))).message,
    ).toContain('accepts connections and closes them at once')
  })

  test('of a page wants its status and its text, and follows no redirect', async () => {
    answer = (_request, response) => response.end('so far all well here')
    expect((await run(workFor(probe(page())))).note).toBe(`127.0.0.1:${port} answered 200`)
    expect(received.at(-1)).toMatchObject({ method: 'GET', url: '/health?deep=1' })
    answer = (_request, response) => response.end('starting')
    expect((await fails(workFor(probe(page()), soon()))).message).toContain('without the expected text')
    answer = (_request, response) => response.writeHead(302, { location: '/' }).end()
    expect((await fails(workFor(probe(page()), soon()))).message).toContain('answered 302 instead of 200')
    answer = () => undefined
    expect((await fails(workFor(probe(page()), soon()))).message).toContain(
      `no answer from 127.0.0.1:${port}`,
    )
  })

  test('until red takes silence for one, but not when its time ends before an answer could come', async () => {
    answer = (_request, response) => setTimeout(() => response.end('all well'), 300)
    const red = probe(page(), { until: 'red' })
    expect(await fails(workFor(red, soon(1300)))).toMatchObject({
      code: 'step/timeout',
      message: `Not within 60 s: 127.0.0.1:${port} answered 200`,
    })
    answer = () => undefined
    expect((await run(workFor(red, soon(2500)))).note).toBe(`no answer from 127.0.0.1:${port}`)
  })

  test('until red waits for the end of the answers, and takes no unknown name for one', async () => {
    const leaving = net.createServer((socket) => socket.on('error', () => undefined))
    const where = await new Promise<number>((resolve) => {
      leaving.listen(0, '127.0.0.1', () => resolve((leaving.address() as net.AddressInfo).port))
    })
    const running = run(workFor(probe({ kind: 'tcp', target: local, port: where }, { until: 'red' })))
    setTimeout(() => leaving.close(), 900)
    expect((await running).note).toBe(`connection refused (127.0.0.1:${where})`)
    const unknown = { kind: 'address', address: 'no-such-name.invalid' } as const
    const name = probe({ kind: 'tcp', target: unknown, port: 80 }, { until: 'red' })
    expect((await fails(workFor(name, soon(1500)))).code).toBe('step/timeout')
  })

  test('of a machine takes any of its addresses, at the port of its forwarder', async () => {
    answer = (_request, response) => response.end('all well')
    const target = { kind: 'machine', machine: 'm1' as ItemId } as const
    const addressOf = () => [`127.0.0.1:${1}`, `http://127.0.0.1:${port}`]
    expect((await run(workFor(probe(page({ target, port: 80 })), { addressOf }))).note).toContain(`:${port}`)
    expect((await fails(workFor(probe(page({ target })), soon()))).message).toContain('no address yet')
  })

  test('by a program goes by its exit code, run anew each time', async () => {
    const counter = join(folders.traces, 'looks')
    await writeFile(counter, '')
    const line = `echo x >> ${counter}; test $(wc -l < ${counter}) -ge 3 && echo up || { echo down; exit 1; }`
    expect(await run(workFor(probe(program(line))))).toMatchObject({ output: 'up\n' })
    expect(await fails(workFor(probe(program('echo still down; exit 7')), soon(3000)))).toMatchObject({
      code: 'step/timeout',
      output: 'still down\n',
    })
    expect((await run(workFor(probe(program('exit 7'), { until: 'red' })))).note).toContain('exit code 7')
  })

  test('by a program that was interrupted looks again; what it saw before our restart does not count', async () => {
    const work = workFor(probe(program('echo looked')))
    const old = join(folders.own, work.attemptId, 'look')
    await mkdir(old, { recursive: true })
    await writeFile(
      join(old, 'claim.json'),
      JSON.stringify({ keeper: { pid: 1, startTicks: '1', boot: 'b' } }),
    )
    expect((await run(work)).output).toBe('looked\n')

    const stale = workFor(probe(program('echo down; exit 1')), soon(3000))
    const before = join(folders.own, stale.attemptId, 'look')
    await mkdir(before, { recursive: true })
    await writeFile(
      join(before, 'claim.json'),
      JSON.stringify({ keeper: { pid: 1, startTicks: '1', boot: 'b' } }),
    )
    const end = { exitCode: 0, signal: null, endedBy: 'itself', notStarted: null, bytes: 0 }
    await writeFile(join(before, 'end.json'), JSON.stringify(end))
    expect(await fails(stale)).toMatchObject({ code: 'step/timeout', output: 'down\n' })
  })

  test('by a program that runs when the server stops is waited for by the next one', async () => {
    const file = join(folders.traces, 'two-looks')
    const looks = probe(program(`echo run >> ${file}; test $(wc -l < ${file}) -gt 1 || sleep 1`))
    const work = workFor(looks)
    const stop = new AbortController()
    const running = run(work, stop.signal)
    await appears(file)
    stop.abort(new DOMException('The server is stopping', 'AbortError'))
    await expect(running).rejects.toMatchObject({ name: 'AbortError' })
    expect(existsSync(join(folders.own, work.attemptId, 'look', 'claim.json'))).toBe(true)
    await run(work)
    expect(await readFile(file, 'utf8')).toBe('run\nrun\n')
  })

  test('by a program that is not there fails at once, also until red', async () => {
    const missing = { ...program(''), command: '/no/such/program' } as ProbeCheck
    for (const until of ['green', 'red'] as const)
      expect(await fails(workFor(probe(missing, { until })))).toMatchObject({ code: 'step/no-program' })
  })

  test('that is cancelled ends at once', async () => {
    const cancel = new AbortController()
    const closed = await freePort()
    const running = run(
      workFor(probe({ kind: 'tcp', target: local, port: closed }, { intervalSeconds: 50 })),
      cancel.signal,
    )
    setTimeout(() => cancel.abort(new DOMException('Cancelled', 'AbortError')), 200)
    await expect(running).rejects.toMatchObject({ name: 'AbortError' })
  })
})
