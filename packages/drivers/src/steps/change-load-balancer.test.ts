import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import type { LoadBalancerAction } from '@understudy/domain/recovery-plans/step-action'
import type { StepOutcome, StepWork } from '@understudy/engine/ports/step-runner'
import { freePort } from '@understudy/simulator/free-port'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { changeLoadBalancer, parseServers } from './change-load-balancer.ts'
import { listen, ownProgram } from './test-servers.ts'

let folder: string
let haproxy: ChildProcess
let socket: string
let tcp: string
let readOnly: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'us-haproxy-'))
  socket = join(folder, 'admin.sock')
  readOnly = join(folder, 'user.sock')
  tcp = `127.0.0.1:${await freePort()}`
  const config = [
    'global',
    `  stats socket ${socket} mode 600 level admin`,
    `  stats socket ${readOnly} mode 600 level user`,
    `  stats socket ipv4@${tcp} level admin`,
    'defaults',
    '  mode tcp',
    '  timeout connect 1s',
    '  timeout client 1s',
    '  timeout server 1s',
    'backend web',
    '  server web-1 192.0.2.1:80',
    '  server web-2 192.0.2.2:80',
    '  server follower 192.0.2.3:80 track web-2',
    '',
  ]
  // It needs something to check before a server can be followed.
  const text = config.join('\n').replace('192.0.2.2:80', '192.0.2.2:80 check')
  await writeFile(join(folder, 'haproxy.cfg'), text)
  haproxy = spawn(await ownProgram('haproxy', folder), ['-db', '-f', join(folder, 'haproxy.cfg')], {
    stdio: 'ignore',
  })
  await vi.waitFor(() => ask('show info'), { timeout: 30_000, interval: 50 })
})
afterAll(async () => {
  haproxy?.kill('SIGKILL')
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

const action = (more: Partial<LoadBalancerAction> = {}): LoadBalancerAction => ({
  kind: 'load-balancer',
  socket,
  backend: 'web',
  server: 'web-1',
  change: { kind: 'state', state: 'maint' },
  timeoutSeconds: 5,
  ...more,
})
const state = (to: 'ready' | 'drain' | 'maint'): LoadBalancerAction['change'] => ({
  kind: 'state',
  state: to,
})
const address = (text: string, port = 8080): LoadBalancerAction['change'] => ({
  kind: 'address',
  to: { kind: 'address', address: text },
  port,
})

function change(
  what: LoadBalancerAction,
  more: Partial<Pick<StepWork, 'addressOf' | 'deadline'>> = {},
): Promise<StepOutcome> {
  const clock = { now: () => Date.now() }
  const work = { addressOf: () => [], deadline: Date.now() + 5000, ...more }
  return changeLoadBalancer(what, work, {
    clock,
    report: () => undefined,
    signal: new AbortController().signal,
  })
}

/** Past the code under test. */
const ask = (line: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const client = net.connect(socket)
    let text = ''
    client.on('data', (data) => {
      text += data
    })
    client.once('error', reject)
    client.once('end', () => resolve(text))
    client.write(`${line}\n`)
  })
const rowOf = async (server: string) =>
  parseServers(await ask('show servers state web')).find(({ srv_name }) => srv_name === server)

describe('a change of HAProxy', () => {
  test('sets the state of a server, over its socket and over TCP, and may be repeated', async () => {
    for (const [to, bits] of [
      ['maint', '1'],
      ['maint', '1'],
      ['drain', '8'],
      ['ready', '0'],
    ] as const)
      for (const where of [socket, tcp]) {
        const { note } = await change(action({ socket: where, change: state(to) }))
        expect(note).toBe(`web/web-1 is in state ${to}`)
        expect((await rowOf('web-1'))?.srv_admin_state).toBe(bits)
      }
  })

  test('sends a server somewhere else, and may be repeated', async () => {
    for (let times = 0; times < 2; times += 1) {
      const { note } = await change(action({ change: address('198.51.100.7') }))
      expect(note).toBe('web/web-1 leads to 198.51.100.7:8080')
      expect(await rowOf('web-1')).toMatchObject({ srv_addr: '198.51.100.7', srv_port: '8080' })
    }
    expect((await change(action({ change: address('2001:db8::7') }))).note).toContain('[2001:db8::7]:8080')
  })

  test('sends a server to a machine, at the port of its forwarder if it has one', async () => {
    const to = { kind: 'machine', machine: 'm1' as ItemId } as const
    const toMachine = action({ change: { kind: 'address', to, port: 80 } })
    await change(toMachine, { addressOf: () => ['http://127.0.0.1:18080'] })
    expect(await rowOf('web-1')).toMatchObject({ srv_addr: '127.0.0.1', srv_port: '18080' })
    await expect(change(toMachine)).rejects.toMatchObject({ code: 'step/no-address' })
  })

  test('tells when a server that is made ready stays in maintenance all the same', async () => {
    await change(action({ server: 'web-2' }))
    const { note } = await change(action({ server: 'follower', change: state('ready') }))
    expect(note).toContain('but something else keeps it in maintenance')
  })

  test('that is refused tells why, and what to do', async () => {
    const told: [Partial<LoadBalancerAction>, string][] = [
      [{ backend: 'shop' }, 'step/no-backend'],
      [{ server: 'web-9' }, 'step/no-server'],
      [{ socket: readOnly }, 'step/load-balancer-permission'],
      [{ socket: join(folder, 'none.sock') }, 'step/load-balancer-not-reached'],
      [{ socket: `127.0.0.1:${await freePort()}` }, 'step/load-balancer-not-reached'],
      [{ socket: 'lb.example' }, 'step/bad-socket'],
      [{ change: address('web.example') }, 'step/no-address'],
    ]
    for (const [more, code] of told)
      await expect(change(action(more)), code).rejects.toMatchObject({
        code,
        remedy: expect.stringMatching(/\.$/),
      })
  })

  test('never sends a name that HAProxy would read as more than a name', async () => {
    await change(action({ change: state('ready') }))
    for (const name of [
      'web-1 state maint;shutdown sessions server web/web-1',
      'a\nb',
      'web/web-1',
      '',
      '{{name}}',
    ])
      for (const more of [{ backend: name }, { server: name }])
        await expect(change(action(more))).rejects.toMatchObject({ code: 'step/bad-server-name' })
    expect((await rowOf('web-1'))?.srv_admin_state).toBe('0')
  })
})

describe('what is not HAProxy', () => {
  const codeOf = (port: number, deadline = Date.now() + 5000): Promise<string> =>
    change(action({ socket: `127.0.0.1:${port}` }), { deadline }).then(
      () => 'succeeded',
      (error) => error.code,
    )

  test('is never taken for a success', async () => {
    expect(await codeOf(await listen(() => undefined), Date.now() + 300)).toBe('step/timeout')
    expect(await codeOf(await listen((one) => one.end('HTTP/1.1 400 Bad Request\r\n\r\n')))).toBe(
      'step/load-balancer-refused',
    )
    expect(await codeOf(await listen((one) => one.end('No such back')))).toBe('step/load-balancer-bad-answer')
    expect(await codeOf(await listen((one) => one.end()))).toBe('step/load-balancer-bad-answer')
    expect(await codeOf(await listen((one) => one.end('\n')))).toBe('step/load-balancer-refused')
    const flood = await listen((one) => {
      const more = (): void => {
        while (!one.destroyed && one.write('x'.repeat(65_536)));
      }
      one.on('drain', more)
      more()
    })
    expect(await codeOf(flood)).toBe('step/load-balancer-bad-answer')
  })

  test('that took the command and has another state now is told', async () => {
    const columns = '1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_port\n'
    const other = await listen((one) =>
      one.once('data', (line) =>
        one.end(line.toString().startsWith('show') ? `${columns}4 web 1 web-1 192.0.2.1 2 0 80\n\n` : '\n'),
      ),
    )
    expect(await codeOf(other)).toBe('step/load-balancer-not-changed')
  })
})
