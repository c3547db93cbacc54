// The guest agent, carried by `virsh qemu-agent-command`: a stream that answers as the agent's own channel does (see
// connectGuestAgent), because libvirt holds that channel itself.
import { Duplex } from 'node:stream'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { jsonWord, type VirshSession, word } from './virsh-session.ts'

// Longer than the deadlines of those who ask: they give up first, and the session ends with them.
const AGENT_SECONDS = 15

type Request = { readonly execute: string; readonly arguments?: Readonly<Record<string, unknown>> }

/** The session is the stream's from now on. `onAnswer` hears of each request that the agent has granted. */
export function agentStream(
  session: VirshSession,
  ref: MachineRef,
  onAnswer: (command: string) => void = () => undefined,
): Duplex {
  let rest = ''
  const stream = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      const lines = (rest + chunk.toString('latin1')).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) void answer(toRequest(line))
      done()
    },
    destroy(error, done) {
      session.close()
      done(error)
    },
  })
  void session.closed.then(() => stream.destroy())
  const answer = async (request: Request): Promise<void> => {
    // libvirt sends its own delimiter; asked for a delimited sync it would keep the mark for itself.
    const delimited = request.execute === 'guest-sync-delimited'
    const sent = delimited ? { ...request, execute: 'guest-sync' } : request
    try {
      const output = await session.ask(
        `qemu-agent-command ${word(ref)} ${jsonWord(sent)} --timeout ${AGENT_SECONDS}`,
        (AGENT_SECONDS + 5) * 1000,
      )
      const line = output.split('\n').find((candidate) => candidate.startsWith('{')) ?? '{}'
      if ('return' in (JSON.parse(line) as object)) onAnswer(request.execute)
      if (!stream.destroyed) stream.push(`${line}\n`)
    } catch (cause) {
      stream.destroy(cause instanceof Error ? cause : new Error(String(cause)))
    }
  }
  return stream
}

/** Before the first request stands the byte 0xFF, which clears the agent's ear; libvirt does that itself. */
const toRequest = (line: string): Request =>
  JSON.parse(Buffer.from(line.replace(/^\xff+/, ''), 'latin1').toString('utf8')) as Request
