// Host ports for the forwards of user networks.

import { randomInt } from 'node:crypto'
import net from 'node:net'
import { Refusal } from '@understudy/base/errors'
import type { Host } from './host.ts'
import type { MachineLocation } from './monitor.ts'

/** Below the range from which Linux takes ports for outgoing connections (ip_local_port_range begins at 32768). */
const LOWEST_PORT = 20_000
const HIGHEST_PORT = 32_000
const MOST_CANDIDATES = 64

/**
 * A way to take ports one after the other: free now as far as we can see, and in no other definition of the host. On
 * this computer each is tried; elsewhere QEMU will say when one is taken.
 */
export async function chooseFreePorts(
  host: Host,
  machines: readonly Pick<MachineLocation, 'definition'>[],
): Promise<() => number> {
  const defined = machines.flatMap(
    ({ definition }) => definition?.adapters.flatMap(({ forwards }) => forwards) ?? [],
  )
  const taken = new Set(defined.map(({ hostPort }) => hostPort))
  const free: number[] = []
  const start = randomInt(LOWEST_PORT, HIGHEST_PORT - 2000)
  for (let port = start; port < start + 2000 && free.length < MOST_CANDIDATES; port += 1) {
    if (!taken.has(port) && (!host.isLocal || (await canListen(port)))) free.push(port)
  }
  return () => {
    const port = free.shift()
    if (port !== undefined) return port
    throw new Refusal({
      code: 'target/no-free-port',
      message: `Host ${host.name} has no free port between ${LOWEST_PORT} and ${HIGHEST_PORT}`,
      remedy: 'Give the networks fewer probe ports, or remove machines that are not needed.',
    })
  }
}

const canListen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = net.createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
