// See dead-mans-thaw.ts. libvirt holds the agent's socket and serves anybody, so beside the connection that freezes there is a
// program on the host that thaws through libvirt, unless it is told in time that the guest is thawed.
import type { Duplex } from 'node:stream'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { Host } from '../host.ts'
import { agentStream } from './agent-stream.ts'
import type { VirshSession } from './virsh-session.ts'

const THAWED = 'thawed'

/** Its input ends when we do. `head` inherits what is ignored here, so only SIGKILL ends it when the time is over. */
const SCRIPT = `
trap "" HUP INT TERM PIPE
word=$(timeout -s KILL "$3" head -n 1)
[ "$word" = ${THAWED} ] ||
  exec virsh -q -c "$1" qemu-agent-command "$2" '{"execute": "guest-fsfreeze-thaw"}' --timeout 5 >/dev/null 2>&1
`

export const openThawTimer = (
  host: Host,
  { uri, ref, seconds }: { readonly uri: string; readonly ref: MachineRef; readonly seconds: number },
): Promise<Duplex> => host.spawn('sh', ['-c', SCRIPT, 'sh', uri, ref, String(seconds)])

/** The agent's stream, with the timer called off as soon as the agent has thawed, or when nothing was frozen at its end. */
export function freezingStream(session: VirshSession, ref: MachineRef, timer: Duplex): Duplex {
  timer.on('error', () => undefined)
  timer.resume()
  let frozen = false
  const callOff = (): void => void timer.end(`${THAWED}\n`)
  const stream = agentStream(session, ref, (command) => {
    if (command === 'guest-fsfreeze-thaw') callOff()
  })
  const write = stream.write.bind(stream)
  stream.write = (chunk: unknown, ...rest: unknown[]) => {
    if (String(chunk).includes('guest-fsfreeze-freeze')) frozen = true
    return write(chunk, ...(rest as []))
  }
  stream.once('close', () => {
    if (frozen) timer.end()
    else callOff()
  })
  return stream
}
