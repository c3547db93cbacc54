// The QEMU guest agent: JSON lines to a program inside the guest. It may be absent, slow, or gone in mid-sentence, so
// every call has a deadline. https://www.qemu.org/docs/master/interop/qemu-ga-ref.html
import { randomInt } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { Outage } from '@understudy/base/errors'

export interface GuestAgent {
  /** The call's return value. Outage `kvm/agent-silent` after the deadline, `kvm/agent-refused` when the agent says no. */
  call<Result>(
    command: string,
    args?: Readonly<Record<string, unknown>>,
    milliseconds?: number,
  ): Promise<Result>
  /** For commands that are answered by nothing when they succeed, such as `guest-shutdown`. */
  tell(command: string, args: Readonly<Record<string, unknown>>): void
  close(): void
}

const SYNC_MILLISECONDS = 3000
const CALL_MILLISECONDS = 10_000
/** The agent keeps 16 MiB of each stream of a program, and tells both in one line, as base64. */
const LONGEST_LINE_CHARACTERS = 48 * 1024 * 1024

type Reply = { readonly return?: unknown; readonly error?: { readonly desc: string } }

/**
 * Connects and makes sure that what comes next answers what we ask next: an earlier client may have left a reply behind.
 * Outage `kvm/agent-silent` when no agent answers in time.
 */
export async function connectGuestAgent(
  open: () => Promise<Duplex>,
  options: { name: string; syncMilliseconds?: number; signal?: AbortSignal | undefined },
): Promise<GuestAgent> {
  options.signal?.throwIfAborted()
  const stream = await open()
  const agent = toAgent(stream, options.name)
  try {
    await agent.synchronise(options.syncMilliseconds ?? SYNC_MILLISECONDS)
    return agent
  } catch (error) {
    agent.close()
    throw error
  }
}

function toAgent(
  stream: Duplex,
  name: string,
): GuestAgent & { synchronise(milliseconds: number): Promise<void> } {
  let onReply: ((reply: Reply) => void) | null = null
  let onGone: ((cause: unknown) => void) | null = null
  /** Of a line that is not whole yet. Joined once: a long line comes in a thousand pieces. */
  let pieces: string[] = []
  let piecesLength = 0
  let gone: unknown = null

  const end = (cause: unknown): void => {
    gone ??= cause
    onGone?.(cause)
    stream.destroy()
  }
  stream.on('data', (chunk: Buffer) => {
    const [first = '', ...more] = chunk.toString('latin1').split('\n')
    const lines = more.length === 0 ? [] : [pieces.join('') + first, ...more.slice(0, -1)]
    const rest = more.at(-1) ?? first
    if (more.length > 0) pieces = []
    pieces.push(rest)
    piecesLength = more.length === 0 ? piecesLength + rest.length : rest.length
    if (piecesLength > LONGEST_LINE_CHARACTERS) return end(new Error('a line without end'))
    for (const line of lines) {
      const reply = parseReply(line)
      if (reply !== null) onReply?.(reply)
    }
  })
  stream.on('error', end)
  const over = (): void => end(new Error('connection closed'))
  // A command that carries the connection ends its output first.
  stream.once('end', over)
  stream.once('close', over)

  /** Waits for the first reply that `accepts` wants. */
  const exchange = (
    request: Buffer,
    what: string,
    milliseconds: number,
    accepts: (reply: Reply) => boolean,
  ) =>
    new Promise<Reply>((resolve, reject) => {
      if (gone !== null) return reject(silent(name, what, gone))
      const finish = (act: () => void): void => {
        clearTimeout(timer)
        onReply = null
        onGone = null
        act()
      }
      // A late reply would be taken for the answer to the next question, so this connection ends here.
      const timer = setTimeout(() => end(new Error(`no reply within ${milliseconds} ms`)), milliseconds)
      onGone = (cause) => finish(() => reject(silent(name, what, cause)))
      onReply = (reply) => {
        if (accepts(reply)) finish(() => resolve(reply))
      }
      stream.write(request)
    })

  return {
    async synchronise(milliseconds) {
      const id = randomInt(1, 2 ** 31)
      // The byte 0xFF ends whatever half a sentence the agent may still be reading.
      const request = Buffer.concat([Buffer.from([0xff]), line('guest-sync-delimited', { id })])
      await exchange(request, 'guest-sync-delimited', milliseconds, (reply) => reply.return === id)
    },
    async call<Result>(
      command: string,
      args: Readonly<Record<string, unknown>> = {},
      milliseconds = CALL_MILLISECONDS,
    ): Promise<Result> {
      const reply = await exchange(line(command, args), command, milliseconds, () => true)
      if (reply.error !== undefined) throw agentRefused(name, command, reply.error.desc)
      return reply.return as Result
    },
    tell(command, args) {
      stream.write(line(command, args))
    },
    close(): void {
      end(new Error('closed by us'))
    },
  }
}

const line = (execute: string, args: Readonly<Record<string, unknown>>): Buffer =>
  Buffer.from(`${JSON.stringify({ execute, arguments: args })}\n`, 'utf8')

/** The reply to a delimited sync begins with 0xFF. Half a line of an earlier conversation is no reply. */
function parseReply(text: string): Reply | null {
  const start = text.lastIndexOf('\xff') + 1
  try {
    return JSON.parse(Buffer.from(text.slice(start), 'latin1').toString('utf8')) as Reply
  } catch {
    return null
  }
}

const silent = (name: string, command: string, cause: unknown): Outage =>
  new Outage({
    code: 'kvm/agent-silent',
    message: `The guest agent of ${name} did not answer ${command}: ${cause instanceof Error ? cause.message : String(cause)}`,
    remedy: 'Install and start qemu-guest-agent inside the guest.',
    cause,
  })

const agentRefused = (name: string, command: string, description: string): Outage =>
  new Outage({
    code: 'kvm/agent-refused',
    message: `The guest agent of ${name} refused ${command}: ${description}`,
    remedy: 'Look at the message and at the agent inside the guest.',
    facts: { command, description },
  })
