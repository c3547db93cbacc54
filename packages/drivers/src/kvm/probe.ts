// Does the guest itself answer? A forwarder accepts connections before its guest listens, so a connection proves nothing:
// only bytes that come back do.
import net from 'node:net'
import { isAbort, Outage } from '@understudy/base/errors'
import type { ProbeResult } from '@understudy/engine/ports/target-platform'
import { connectGuestAgent } from './guest-agent.ts'
import type { MachineLocation } from './monitor.ts'

const ANSWER_MILLISECONDS = 3000
const AGENT_MILLISECONDS = 2000

type Interface = {
  readonly name: string
  readonly 'ip-addresses'?: readonly { readonly 'ip-address': string; readonly 'ip-address-type': string }[]
}

/**
 * The services behind forwarded ports are what the machine is there for, so where one can be reached, only its answer
 * counts: an agent is up long before them. The agent counts where no port is known or none can be reached from here. Never
 * throws because the guest is silent; bounded by a few seconds.
 */
export async function probeMachine(machine: MachineLocation, signal?: AbortSignal): Promise<ProbeResult> {
  const forwards = machine.definition?.adapters.flatMap((adapter) => adapter.forwards) ?? []
  // Elsewhere the forwards lead to that host's loopback, which we cannot reach.
  const reachable = machine.host.isLocal ? forwards : []
  const found = await Promise.all(reachable.map(({ hostPort }) => askPort(hostPort, signal)))
  const addresses = found.filter((address) => address !== null)
  signal?.throwIfAborted()
  if (addresses.length > 0)
    return { addresses, answered: true, note: `its service answers at ${addresses.join(' and ')}` }
  const agent = await askAgent(machine, signal)
  if (reachable.length === 0) return agent
  const ports = reachable.map(({ guestPort }) => guestPort).join(', ')
  return { addresses: [], answered: false, note: `nothing answers on port ${ports}; ${agent.note}` }
}

const addressOf = (hostPort: number, isWeb: boolean): string =>
  `${isWeb ? 'http://' : ''}127.0.0.1:${hostPort}`

/** The address when bytes come back from behind it: of a web server to our request, of others their greeting. */
function askPort(port: number, signal: AbortSignal | undefined): Promise<string | null> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve(null)
    const socket = net.connect({ host: '127.0.0.1', port })
    const finish = (address: string | null): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', giveUp)
      socket.destroy()
      resolve(address)
    }
    const giveUp = (): void => finish(null)
    const timer = setTimeout(giveUp, ANSWER_MILLISECONDS)
    signal?.addEventListener('abort', giveUp, { once: true })
    socket.once('error', giveUp)
    socket.once('close', giveUp)
    socket.once('data', (answer: Buffer) => {
      const isWeb = answer.toString('latin1', 0, 5) === 'HTTP/'
      finish(addressOf(port, isWeb))
    })
    socket.write('GET / HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n')
  })
}

async function askAgent(machine: MachineLocation, signal: AbortSignal | undefined): Promise<ProbeResult> {
  const { agentPath, host, name } = machine
  if (agentPath === null) return { addresses: [], answered: false, note: 'there is no guest agent' }
  try {
    const agent = await connectGuestAgent(() => host.connect(agentPath, signal), {
      name,
      syncMilliseconds: AGENT_MILLISECONDS,
      signal,
    })
    try {
      const interfaces = await agent.call<readonly Interface[]>(
        'guest-network-get-interfaces',
        {},
        AGENT_MILLISECONDS,
      )
      const addresses = isBridged(machine) ? interfaces.flatMap(publicAddresses) : []
      return { addresses, answered: true, note: 'the guest agent answers' }
    } finally {
      agent.close()
    }
  } catch (error) {
    if (isAbort(error)) throw error
    if (!(error instanceof Outage)) throw error
    return { addresses: [], answered: false, note: 'no answer from the guest agent' }
  }
}

/** Addresses inside a user network lead nowhere from outside. */
const isBridged = ({ definition }: MachineLocation): boolean =>
  definition?.adapters.some(({ kind, networkId }) => kind === 'bridge' && networkId !== null) ?? false

const publicAddresses = (one: Interface): string[] =>
  (one['ip-addresses'] ?? [])
    .map((address) => address['ip-address'])
    .filter((address) => !/^(127\.|::1$|fe80:|169\.254\.)/i.test(address))
