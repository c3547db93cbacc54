// One virsh that stays for several commands: `virsh -c URI` reads them from its input.
//
//     we write     <command>\n echo "us"-<nonce>-<n>.\n         for every command
//     virsh says   virsh # <echo of what we wrote>\n <output or "error: ..."> us-<nonce>-<n>. virsh # ...
//
// virsh repeats its input, so the quotes in what we write keep that from being taken for the mark. It is one process and one
// connection to libvirt instead of one for every command (some 50 ms each), and what was written is carried out in order even
// when we die: virsh reads its input to the end. Output is flushed before each prompt.
import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { Outage } from '@understudy/base/errors'
import type { Host } from '../host.ts'
import { toVirshFailure, virshBusy } from './virsh-failure.ts'

export interface VirshSession {
  /**
   * The command's output without the lines that begin with `error:`. Outage or Refusal as toVirshFailure says when there is
   * such a line.
   */
  ask(commandLine: string, milliseconds?: number): Promise<string>
  readonly closed: Promise<void>
  close(): void
}

export type VirshOptions = {
  /** A file on the host. While the session lasts nobody else has a session with this lock, from whatever computer. */
  readonly lockPath?: string
  readonly signal?: AbortSignal | undefined
}

const ASK_MILLISECONDS = 20_000
const LOCK_SECONDS = 15
const LOCK_BUSY = 75
const LONGEST_OUTPUT_CHARACTERS = 64 * 1024 * 1024

/** `uri` is as seen on that host. Outage `kvm/qemu-busy` from the first `ask` when the lock is held by somebody else. */
export async function openVirsh(host: Host, uri: string, options: VirshOptions = {}): Promise<VirshSession> {
  options.signal?.throwIfAborted()
  // A plain terminal and no history file: else virsh would write what we say among what the operator has typed.
  const words = [
    'TERM=dumb',
    'INPUTRC=/dev/null',
    'XDG_CACHE_HOME=/dev/null',
    ...(options.lockPath === undefined
      ? []
      : ['flock', '-w', String(LOCK_SECONDS), '-E', String(LOCK_BUSY), options.lockPath]),
    ...['virsh', '-q', '-c', uri],
  ]
  // Errors come in the same stream, because only then it is clear which command they belong to.
  const stream = await host.spawn('sh', ['-c', `env "$@" 2>&1 || echo "us-exit-$?"`, 'sh', ...words])
  const session = converse(stream, host.name, uri)
  const abort = (): void => session.close()
  options.signal?.addEventListener('abort', abort, { once: true })
  void session.closed.then(() => options.signal?.removeEventListener('abort', abort))
  return session
}

/** A word of a virsh command line. Control characters would be taken by virsh's line editor. */
export function word(text: string): string {
  const plain = [...text].every((character) => character >= ' ' && character !== '\x7f' && character !== "'")
  if (!plain) throw new TypeError(`not a word: ${text}`)
  return `'${text}'`
}

/** JSON as one word: quotes and whatever is not plain ASCII are escaped, which in JSON is the same text. */
export const jsonWord = (value: unknown): string =>
  word(
    JSON.stringify(value).replace(
      /['\u007f-\uffff]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  )

type Waiting = {
  readonly commandLine: string
  readonly mark: string
  readonly timer: NodeJS.Timeout
  resolve(output: string): void
  reject(error: Error): void
}

function converse(stream: Duplex, hostName: string, uri: string): VirshSession {
  const nonce = randomBytes(4).toString('hex')
  const decoder = new StringDecoder('utf8')
  const waiting: Waiting[] = []
  const closed = Promise.withResolvers<void>()
  let nextMark = 1
  let heard = ''
  let ended: Error | null = null

  const end = (cause: Error): void => {
    if (ended !== null) return
    ended = cause
    for (const { reject, timer } of waiting.splice(0)) {
      clearTimeout(timer)
      reject(cause)
    }
    stream.destroy()
    closed.resolve()
  }
  const listen = (): void => {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const at = heard.indexOf(first.mark)
      if (at < 0) return
      const output = heard.slice(0, at)
      heard = heard.slice(at + first.mark.length)
      waiting.shift()
      clearTimeout(first.timer)
      settle(first, output, { hostName, uri })
    }
  }
  stream.on('data', (chunk: Buffer) => {
    heard += decoder.write(chunk)
    if (heard.length > LONGEST_OUTPUT_CHARACTERS) return end(new Error('an answer without end'))
    listen()
  })
  const over = (): void => end(endOf(heard, { hostName, uri }))
  stream.on('error', over)
  stream.once('end', over)
  stream.once('close', over)

  return {
    closed: closed.promise,
    ask: (commandLine, milliseconds = ASK_MILLISECONDS) =>
      new Promise((resolve, reject) => {
        if (ended !== null) return reject(ended)
        const id = `${nonce}-${nextMark++}.`
        const timer = setTimeout(() => end(silent(hostName, commandLine, milliseconds)), milliseconds)
        waiting.push({ commandLine, mark: `us-${id}`, timer, resolve, reject })
        stream.write(`${commandLine}\necho "us"-${id}\n`)
      }),
    close: () => end(gone(hostName, new Error('closed by us'))),
  }
}

type Place = { readonly hostName: string; readonly uri: string }

function settle({ commandLine, resolve, reject }: Waiting, output: string, place: Place): void {
  // What virsh repeats of its input begins with its prompt.
  const lines = output.split('\n').filter((line) => !line.startsWith('virsh # '))
  const errors = lines.filter((line) => line.startsWith('error: '))
  if (errors.length === 0) resolve(lines.join('\n').trim())
  else reject(toVirshFailure({ ...place, commandLine, text: errors.join('; ').replaceAll('error: ', '') }))
}

/** virsh went away: what it said last tells why. */
function endOf(heard: string, place: Place): Error {
  const code = Number(/us-exit-(\d+)/.exec(heard)?.[1] ?? 'NaN')
  if (code === LOCK_BUSY) return virshBusy(place.hostName, LOCK_SECONDS)
  const said = heard
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('virsh # ') && !line.startsWith('us-exit-'))
    .join('; ')
  if (!Number.isFinite(code)) return gone(place.hostName, new Error(said || 'connection closed'))
  return toVirshFailure({ ...place, commandLine: 'connect', text: said.replaceAll('error: ', ''), code })
}

const silent = (host: string, commandLine: string, milliseconds: number): Outage =>
  new Outage({
    code: 'kvm/qemu-silent',
    message: `libvirt on ${host} did not answer "${commandLine.slice(0, 60)}" within ${milliseconds} ms`,
    remedy: 'See whether the host is overloaded or another job of libvirt holds this machine.',
  })

const gone = (host: string, cause: Error): Outage =>
  new Outage({
    code: 'kvm/qemu-gone',
    message: `virsh on ${host} ended: ${cause.message}`,
    remedy: 'See whether the host can be reached and libvirtd runs there.',
    cause,
  })
