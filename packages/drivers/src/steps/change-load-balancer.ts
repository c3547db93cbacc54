// Changes a server of HAProxy through its runtime API, and reads it back. May be repeated.
// https://docs.haproxy.org/2.6/management.html#9.3
import net from 'node:net'
import type { Clock } from '@understudy/base/instant'
import { isLoadBalancerName, type LoadBalancerAction } from '@understudy/domain/recovery-plans/step-action'
import type { StepFailure, StepOutcome, StepWork } from '@understudy/engine/ports/step-runner'
import { limitTo } from './bounded-wait.ts'
import { placesOf, toPlace, wordsOfPlace } from './endpoints.ts'
import { notInTime, reasonOf, stepFailed } from './step-failures.ts'

type Means = { readonly clock: Clock; readonly report: (line: string) => void; readonly signal: AbortSignal }
type Api = { readonly socket: string; readonly signal: AbortSignal }

/** The change with its address known. */
type Change =
  | { readonly kind: 'state'; readonly state: 'ready' | 'drain' | 'maint' }
  | { readonly kind: 'address'; readonly host: string; readonly port: number }

export async function changeLoadBalancer(
  action: LoadBalancerAction,
  work: Pick<StepWork, 'addressOf' | 'deadline'>,
  { clock, report, signal }: Means,
): Promise<StepOutcome> {
  refuseOtherNames(action)
  const change = toChange(action, work)
  const limit = limitTo(work.deadline - clock.now(), signal)
  const api: Api = { socket: action.socket.trim(), signal: limit.signal }
  try {
    report(`tells HAProxy at ${api.socket}`)
    const said = await command(api, commandOf(action, change))
    refuseComplaint(action, change, said)
    return { note: await readBack(api, action, change), output: null }
  } catch (error) {
    signal.throwIfAborted()
    if (limit.isUp()) throw notInTime(action.timeoutSeconds, `no whole answer from HAProxy at ${api.socket}`)
    throw error
  } finally {
    limit.end()
  }
}

/** HAProxy reads several commands from one line: a name with a separator in it could be anything. */
function refuseOtherNames({ backend, server }: LoadBalancerAction): void {
  if (isLoadBalancerName(backend) && isLoadBalancerName(server)) return
  throw stepFailed(
    'bad-server-name',
    'The backend or the server has a name that HAProxy cannot have',
    'Use letters, digits, "_", ".", ":" and "-" only; see the values of the parameters.',
  )
}

function toChange({ change }: LoadBalancerAction, work: Pick<StepWork, 'addressOf'>): Change {
  if (change.kind === 'state') return change
  const place = placesOf(change.to, work).find(({ host }) => net.isIP(host) !== 0)
  if (place === undefined)
    throw stepFailed(
      'no-address',
      change.to.kind === 'machine'
        ? 'The machine has no address that is known'
        : 'What the server is to be sent to is no IP address, and HAProxy takes no names here',
      'Give an IP address, or let the guest agent of the machine report one.',
    )
  return { kind: 'address', host: place.host, port: place.port ?? change.port }
}

const commandOf = ({ backend, server }: LoadBalancerAction, change: Change): string =>
  change.kind === 'state'
    ? `set server ${backend}/${server} state ${change.state}`
    : `set server ${backend}/${server} addr ${change.host} port ${change.port}`

/** HAProxy answers a change with nothing, or tells what it has changed; anything else is why it has not. */
function refuseComplaint(action: LoadBalancerAction, change: Change, said: string): void {
  const text = said.trim()
  const told = change.kind === 'address' && /changed from|no need to change/i.test(text)
  if (text === '' || told) return
  throw complaint(action, text)
}

function complaint({ backend, server, socket }: LoadBalancerAction, said: string): StepFailure {
  const line =
    said
      .split('\n')
      .find((each) => each.trim() !== '')
      ?.trim() ?? said
  if (/no such backend|can't find backend/i.test(line))
    return stepFailed(
      'no-backend',
      `HAProxy at ${socket} has no backend ${backend}`,
      'Correct the name: it stands after "backend" or "listen" in haproxy.cfg.',
    )
  if (/no such server|require 'backend\/server'/i.test(line))
    return stepFailed(
      'no-server',
      `The backend ${backend} of HAProxy at ${socket} has no server ${server}`,
      'Correct the name: it stands after "server" in haproxy.cfg.',
    )
  if (/permission denied/i.test(line))
    return stepFailed(
      'load-balancer-permission',
      `HAProxy at ${socket} does not let us change anything there`,
      'Give its stats socket "level admin" in haproxy.cfg.',
    )
  return stepFailed(
    'load-balancer-refused',
    `HAProxy at ${socket} said: ${line.slice(0, 300)}`,
    'Look at what it says, and at its configuration.',
  )
}

/** Bits of srv_admin_state: what we or others have set by hand. */
const FORCED_MAINT = 0x01
const FORCED_DRAIN = 0x08

async function readBack(api: Api, action: LoadBalancerAction, change: Change): Promise<string> {
  const { backend, server } = action
  const said = await command(api, `show servers state ${backend}`)
  const row = parseServers(said).find((each) => each.srv_name === server)
  if (row === undefined) throw complaint(action, said.trim() === '' ? 'nothing' : said)
  const name = `${backend}/${server}`
  if (change.kind === 'address') {
    if (row.srv_addr === change.host && Number(row.srv_port) === change.port)
      return `${name} leads to ${wordsOfPlace(change.host, change.port)}`
    throw notChanged(action, `${row.srv_addr}:${row.srv_port}`)
  }
  const admin = Number(row.srv_admin_state)
  const state = (admin & FORCED_MAINT) !== 0 ? 'maint' : (admin & FORCED_DRAIN) !== 0 ? 'drain' : 'ready'
  if (state !== change.state) throw notChanged(action, state)
  const held = state === 'ready' && admin !== 0 ? ', but something else keeps it in maintenance' : ''
  return `${name} is in state ${state}${held}`
}

const notChanged = ({ backend, server, socket }: LoadBalancerAction, is: string): StepFailure =>
  stepFailed(
    'load-balancer-not-changed',
    `HAProxy at ${socket} took the command, but ${backend}/${server} is ${is}`,
    'See who else changes this server, and what its configuration says.',
  )

/** A line of column names after `#`, then one line for each server. Pure; exported for its test. */
export function parseServers(text: string): readonly Readonly<Record<string, string>>[] {
  const lines = text.split('\n').map((line) => line.trim())
  const header = lines.find((line) => line.startsWith('# '))
  if (header === undefined) return []
  const columns = header.slice(2).split(' ')
  return lines
    .slice(lines.indexOf(header) + 1)
    .filter((line) => line !== '')
    .map((line) => {
      const fields = line.split(' ')
      return Object.fromEntries(columns.map((column, index) => [column, fields[index] ?? '']))
    })
}

const MOST_BYTES = 4 * 1024 * 1024

/** One command, one connection: HAProxy closes it after its answer. An empty line ends an answer that is whole. */
function command({ socket: where, signal }: Api, line: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const place = toPlace(where)
  if (!where.startsWith('/') && place.port === null)
    throw stepFailed(
      'bad-socket',
      'The address of HAProxy has no port',
      'Give host:port, or the path of its UNIX socket.',
    )
  const socket = net.connect(
    where.startsWith('/') ? { path: where, signal } : { host: place.host, port: place.port ?? 0, signal },
  )
  const chunks: Buffer[] = []
  let bytes = 0
  socket.once('connect', () => socket.write(`${line}\n`))
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > MOST_BYTES) reject(badAnswer(where, 'it does not end'))
  })
  socket.once('end', () => {
    const text = Buffer.concat(chunks).toString('utf8')
    if (text.endsWith('\n')) resolve(text)
    else reject(badAnswer(where, 'the connection was closed before it was whole'))
  })
  socket.once('error', (error) => reject(signal.aborted ? error : notReached(where, error)))
  return promise.finally(() => socket.destroy())
}

const notReached = (where: string, error: unknown): StepFailure =>
  stepFailed(
    'load-balancer-not-reached',
    `HAProxy at ${where} cannot be reached: ${reasonOf(error)}`,
    'See that it runs, and that "stats socket" in haproxy.cfg names this address.',
    { cause: error },
  )

const badAnswer = (where: string, why: string): StepFailure =>
  stepFailed(
    'load-balancer-bad-answer',
    `The answer of HAProxy at ${where} cannot be used: ${why}`,
    'See what listens at this address.',
  )
