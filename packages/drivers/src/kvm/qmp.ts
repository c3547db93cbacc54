// The QEMU Machine Protocol: JSON lines over a socket, one command answered by one reply, events in between.
// https://www.qemu.org/docs/master/interop/qmp-spec.html
//
// A monitor socket serves one client at a time; the next one waits for its greeting. We rely on that: whoever is
// connected has the machine's block graph for himself, over all our processes. So connections are short, and `connectQmp`
// has a deadline for the greeting.
import type { Duplex } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { Outage } from '@understudy/base/errors'

export type QmpCommand = { readonly execute: string; readonly arguments?: Readonly<Record<string, unknown>> }
/** `at`: milliseconds since 1970 by the clock of QEMU's host, with a fraction. */
export type QmpEvent = {
  readonly event: string
  readonly at: number
  readonly data: Readonly<Record<string, unknown>>
}
/** `at`: when the reply came, as `performance.now()`. */
export type QmpSettled = {
  readonly command: QmpCommand
  readonly at: number
  readonly value?: unknown
  readonly failure?: Outage
}

export interface Qmp {
  /** QEMU's version, e.g. `7.2.22`. */
  readonly version: string
  /**
   * The command's return value. Outage `kvm/qemu-refused` (facts: command, description) when QEMU says no, `kvm/qemu-gone`
   * when the connection ends, `kvm/qemu-silent` when there is no reply within the deadline.
   */
  execute<Result>(
    command: string,
    args?: Readonly<Record<string, unknown>>,
    signal?: AbortSignal,
  ): Promise<Result>
  /**
   * Sends all of them in one write; QEMU runs them one after the other, also past one that fails. Never throws: each comes
   * back with its value or its failure. What is between two commands then costs no round trip.
   */
  batch(commands: readonly QmpCommand[]): Promise<readonly QmpSettled[]>
  /** All or nothing, at one instant. Each action is `[type, data]`. */
  transaction(actions: readonly (readonly [string, Readonly<Record<string, unknown>>])[]): Promise<void>
  /** HMP's own words come back; used for `qemu-io` in tests and for what QMP lacks. */
  human(commandLine: string): Promise<string>
  /** Calls back for every event from now on. Returns the way to stop it. */
  onEvent(listener: (event: QmpEvent) => void): () => void
  /** The first event from now on for which `matches` says yes. Outage `kvm/qemu-silent` after the deadline. */
  event(
    matches: (event: QmpEvent) => boolean,
    options: { milliseconds: number; signal?: AbortSignal },
  ): Promise<QmpEvent>
  /** Settles when the other side has gone. Never rejects. */
  readonly closed: Promise<void>
  close(): void
}

export type QmpOptions = {
  /** For messages: the machine's name. */
  readonly name: string
  /** For the greeting: somebody else may be connected. */
  readonly connectMilliseconds?: number
  readonly commandMilliseconds?: number
  readonly signal?: AbortSignal | undefined
}

const CONNECT_MILLISECONDS = 15_000
const COMMAND_MILLISECONDS = 20_000
// The longest honest line is a block-node listing of a few hundred kilobytes.
const LONGEST_LINE_CHARACTERS = 64 * 1024 * 1024

type Waiting = {
  readonly command: string
  resolve(value: unknown): void
  reject(failure: Error): void
  readonly timer: NodeJS.Timeout
}

/** `open` makes the connection to the monitor socket. The stream is ours from then on. */
export async function connectQmp(open: () => Promise<Duplex>, options: QmpOptions): Promise<Qmp> {
  options.signal?.throwIfAborted()
  const stream = await open()
  try {
    return await greet(stream, options)
  } catch (error) {
    stream.destroy()
    throw error
  }
}

/** Whether it is QEMU's own "no", as opposed to a broken connection. */
export const isQemuRefusal = (error: unknown): error is Outage =>
  error instanceof Outage && error.code === 'kvm/qemu-refused'

async function greet(stream: Duplex, options: QmpOptions): Promise<Qmp> {
  const commandMilliseconds = options.commandMilliseconds ?? COMMAND_MILLISECONDS
  const waiting = new Map<number, Waiting>()
  const listeners = new Set<(event: QmpEvent) => void>()
  const closed = Promise.withResolvers<void>()
  const greeting = Promise.withResolvers<string>()
  // Not awaited yet when the connection fails early.
  greeting.promise.catch(() => undefined)
  let nextId = 1
  let ended: Outage | null = null

  const end = (cause: unknown): void => {
    if (ended !== null) return
    ended = gone(options.name, cause)
    greeting.reject(ended)
    for (const [id, { reject, timer }] of waiting) {
      clearTimeout(timer)
      waiting.delete(id)
      reject(ended)
    }
    stream.destroy()
    closed.resolve()
  }

  const receive = (message: Message): void => {
    if (message.QMP !== undefined) {
      greeting.resolve(versionOf(message.QMP))
      return
    }
    if (message.event !== undefined) {
      const { seconds = 0, microseconds = 0 } = message.timestamp ?? {}
      const at = seconds * 1000 + microseconds / 1000
      const event = { event: message.event, at, data: message.data ?? {} }
      for (const listener of [...listeners]) listener(event)
      return
    }
    const reply = message.id === undefined ? undefined : waiting.get(message.id)
    if (reply === undefined || message.id === undefined) return
    waiting.delete(message.id)
    clearTimeout(reply.timer)
    if (message.error === undefined) reply.resolve(message.return)
    else reply.reject(refused(options.name, reply.command, message.error))
  }

  readLines(stream, (line) => receive(JSON.parse(line) as Message), end)

  /** Puts the commands into one write; the replies arrive one by one. */
  const send = (commands: readonly QmpCommand[]): Promise<unknown>[] => {
    const lines: string[] = []
    const replies = commands.map((command) => {
      const id = nextId++
      lines.push(JSON.stringify({ ...command, id }))
      return new Promise<unknown>((resolve, reject) => {
        if (ended !== null) return reject(ended)
        const timer = setTimeout(() => {
          waiting.delete(id)
          reject(silent(options.name, command.execute, commandMilliseconds))
          // Whatever comes later would be taken for an answer to something else's deadline. Start afresh.
          end(new Error(`no reply to ${command.execute}`))
        }, commandMilliseconds)
        waiting.set(id, { command: command.execute, resolve, reject, timer })
      })
    })
    if (ended === null) stream.write(`${lines.join('\n')}\n`)
    return replies
  }

  const qmp = {
    closed: closed.promise,
    execute: <Result>(
      execute: string,
      args?: Readonly<Record<string, unknown>>,
      signal?: AbortSignal,
    ): Promise<Result> => {
      if (signal?.aborted) return Promise.reject(signal.reason)
      const [reply] = send([args === undefined ? { execute } : { execute, arguments: args }])
      // The one place where QEMU's JSON gets a type; callers name the part of the schema that they read.
      return reply as Promise<Result>
    },
    batch: (commands: readonly QmpCommand[]): Promise<readonly QmpSettled[]> =>
      Promise.all(
        send(commands).map(async (reply, index): Promise<QmpSettled> => {
          const command = commands[index] ?? { execute: 'unknown' }
          try {
            const value = await reply
            return { command, at: performance.now(), value }
          } catch (error) {
            const failure = error instanceof Outage ? error : gone(options.name, error)
            return { command, at: performance.now(), failure }
          }
        }),
      ),
    async transaction(
      actions: readonly (readonly [string, Readonly<Record<string, unknown>>])[],
    ): Promise<void> {
      if (actions.length === 0) return
      await qmp.execute('transaction', { actions: actions.map(([type, data]) => ({ type, data })) })
    },
    human: (commandLine: string): Promise<string> =>
      qmp.execute<string>('human-monitor-command', { 'command-line': commandLine }),
    onEvent(listener: (event: QmpEvent) => void): () => void {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    event: (matches: (event: QmpEvent) => boolean, wait: { milliseconds: number; signal?: AbortSignal }) =>
      firstEvent(qmp, matches, wait, options.name),
    close(): void {
      end(new Error('closed by us'))
    },
  }

  const version = await withDeadline(greeting.promise, options)
  await qmp.execute('qmp_capabilities')
  return { ...qmp, version }
}

type Message = {
  readonly QMP?: { readonly version?: { readonly qemu?: { major: number; minor: number; micro: number } } }
  readonly event?: string
  readonly data?: Readonly<Record<string, unknown>>
  readonly timestamp?: { readonly seconds: number; readonly microseconds: number }
  readonly id?: number
  readonly return?: unknown
  readonly error?: { readonly class: string; readonly desc: string }
}

function readLines(stream: Duplex, onLine: (line: string) => void, onEnd: (cause: unknown) => void): void {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  stream.on('data', (chunk: Buffer) => {
    const lines = (rest + decoder.write(chunk)).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > LONGEST_LINE_CHARACTERS) return onEnd(new Error('a line without end'))
    try {
      for (const line of lines) if (line.trim() !== '') onLine(line)
    } catch (error) {
      onEnd(error)
    }
  })
  stream.once('error', onEnd)
  stream.once('close', () => onEnd(new Error('connection closed')))
  stream.once('end', () => onEnd(new Error('connection ended')))
}

function firstEvent(
  qmp: Pick<Qmp, 'onEvent' | 'closed'>,
  matches: (event: QmpEvent) => boolean,
  wait: { milliseconds: number; signal?: AbortSignal },
  name: string,
): Promise<QmpEvent> {
  return new Promise((resolve, reject) => {
    const finish = (act: () => void): void => {
      clearTimeout(timer)
      stop()
      wait.signal?.removeEventListener('abort', abort)
      act()
    }
    const abort = (): void => finish(() => reject(wait.signal?.reason))
    const timer = setTimeout(
      () => finish(() => reject(silent(name, 'an event', wait.milliseconds))),
      wait.milliseconds,
    )
    const stop = qmp.onEvent((event) => {
      if (matches(event)) finish(() => resolve(event))
    })
    void qmp.closed.then(() => finish(() => reject(gone(name, new Error('connection closed')))))
    wait.signal?.addEventListener('abort', abort, { once: true })
    if (wait.signal?.aborted) abort()
  })
}

async function withDeadline(greeting: Promise<string>, options: QmpOptions): Promise<string> {
  const milliseconds = options.connectMilliseconds ?? CONNECT_MILLISECONDS
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(busy(options.name, milliseconds)), milliseconds)
  const abort = (): void => reject(options.signal?.reason)
  options.signal?.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([greeting, promise])
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', abort)
  }
}

const versionOf = (greeting: NonNullable<Message['QMP']>): string => {
  const qemu = greeting.version?.qemu
  return qemu === undefined ? 'unknown' : `${qemu.major}.${qemu.minor}.${qemu.micro}`
}

const refused = (name: string, command: string, error: { class: string; desc: string }): Outage =>
  new Outage({
    code: 'kvm/qemu-refused',
    message: `QEMU of ${name} refused ${command}: ${error.desc}`,
    remedy: 'Look at the message; the next attempt may work.',
    facts: { command, class: error.class, description: error.desc },
  })

const gone = (name: string, cause: unknown): Outage =>
  new Outage({
    code: 'kvm/qemu-gone',
    message: `The connection to QEMU of ${name} ended: ${cause instanceof Error ? cause.message : String(cause)}`,
    remedy: 'See whether the machine still runs and its host can be reached.',
    cause,
  })

const silent = (name: string, command: string, milliseconds: number): Outage =>
  new Outage({
    code: 'kvm/qemu-silent',
    message: `QEMU of ${name} did not answer ${command} within ${milliseconds} ms`,
    remedy: 'See whether its host is overloaded or its storage hangs.',
  })

const busy = (name: string, milliseconds: number): Outage =>
  new Outage({
    code: 'kvm/qemu-busy',
    message: `QEMU of ${name} gave no greeting within ${milliseconds} ms: somebody else holds its monitor`,
    remedy: 'End the other program that is connected to this monitor socket.',
  })
