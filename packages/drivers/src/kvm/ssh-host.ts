// A KVM host at the far end of one ssh connection. Its key is pinned: a host that shows another one is refused, always.
import { createHash, timingSafeEqual } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { Outage, Refusal } from '@understudy/base/errors'
import { Client, type ClientChannel, type SFTPWrapper } from 'ssh2'
import type { CommandOptions, CommandResult, FileStatus, Host } from './host.ts'
import { hostFailed, listenerHangs, socketClosed } from './local-host.ts'
import type { KvmHostAddress } from './settings.ts'
import { sshFiles } from './ssh-files.ts'
import { offerSocket } from './ssh-offer.ts'

export type SshHostOptions = {
  readonly name: string
  readonly machinesFolder: string
  readonly address: Extract<KvmHostAddress, { kind: 'ssh' }>
  /** PEM, without passphrase. */
  readonly privateKey: string
}

const CONNECT_MILLISECONDS = 15_000
const COMMAND_MILLISECONDS = 60_000
const KEEP_ALIVE_MILLISECONDS = 5000
const LONGEST_OUTPUT_BYTES = 64 * 1024 * 1024

/** Connects when it is first needed, and again after the connection was lost. */
export function sshHost(options: SshHostOptions): Host {
  const { name, machinesFolder } = options
  let connection: Promise<Client> | null = null
  let closed = false

  const client = (): Promise<Client> => {
    if (closed) return Promise.reject(unreachable(options, new Error('closed by us')))
    connection ??= connectClient(options, () => {
      connection = null
    })
    return connection
  }
  const runBytes = async (
    command: string,
    args: readonly string[],
    run: RunOptions = {},
  ): Promise<BytesResult> => runRemote(options, await client(), command, args, run)
  /** Runs a command that has to succeed. */
  const must = async (
    what: string,
    command: string,
    args: readonly string[],
    input?: Buffer,
  ): Promise<BytesResult> => {
    const result = await runBytes(command, args, input === undefined ? {} : { input })
    if (result.code !== 0) throw hostFailed(name, what, new Error(result.stderr.trim().slice(-500)))
    return result
  }
  let session: Promise<SFTPWrapper> | null = null
  const files = sshFiles(() => {
    session ??= client().then((open) => openFiles(options, open, () => (session = null)))
    // The next call tries again.
    session.catch(() => (session = null))
    return session
  })
  const attempt = async <Result>(what: string, work: Promise<Result>): Promise<Result> => {
    try {
      return await work
    } catch (cause) {
      if (cause instanceof Outage || cause instanceof Refusal) throw cause
      throw hostFailed(name, what, cause)
    }
  }

  const host: Host = {
    name,
    machinesFolder,
    place: `${withoutPadding(options.address.hostKeySha256)}, ${machinesFolder}`,
    isLocal: false,
    async run(command, args, runOptions): Promise<CommandResult> {
      const { code, stdout, stderr } = await runBytes(command, args, toRunOptions(runOptions ?? {}))
      return { code, stdout: stdout.toString('utf8'), stderr }
    },
    spawn: async (command, args) => converse(options, await client(), command, args),
    readFile: (path) => attempt(`read ${path}`, files.readFile(path)),
    async writeFile(path, data) {
      const script =
        'umask 077; cat > "$1.new" && sync -d "$1.new" && mv -f -- "$1.new" "$1" && sync "$(dirname -- "$1")"'
      await must(`write ${path}`, 'sh', ['-c', script, 'sh', path], Buffer.from(data))
    },
    createSparseFile: (path, bytes, pieces) =>
      attempt(`create ${path}`, files.createSparseFile(path, bytes, pieces ?? [])),
    copyFile: async (from, to) => {
      await must(`copy ${from} to ${to}`, 'cp', ['--', from, to])
    },
    removeFile: (path) => attempt(`remove ${path}`, files.removeFile(path)),
    makeFolder: async (path) => {
      await must(`make ${path}`, 'mkdir', ['-p', '--', path])
    },
    removeFolder: async (path) => {
      await must(`remove ${path}`, 'rm', ['-rf', '--', path])
    },
    list: (path) => attempt(`list ${path}`, files.list(path)),
    async status(path) {
      const script = 'test -e "$1" || exit 44; exec stat -L -c "%s %b %B %i %.9Y" -- "$1"'
      const result = await runBytes('sh', ['-c', script, 'sh', path])
      if (result.code === MISSING) return null
      if (result.code !== 0) throw hostFailed(name, `look at ${path}`, new Error(result.stderr.trim()))
      return toStatus(result.stdout.toString('utf8'))
    },
    freeBytes: (path) => attempt(`ask the free space of ${path}`, files.freeBytes(path)),
    async connect(socketPath, signal) {
      signal?.throwIfAborted()
      try {
        return await openChannel(await client(), socketPath)
      } catch (cause) {
        if (cause instanceof Outage || cause instanceof Refusal) throw cause
        // sshd does not say why. That nobody listens is part of proving a machine off, so the kernel is asked.
        const listening = await runBytes('grep', ['-qF', '--', socketPath, '/proc/net/unix'])
        if (listening.code === 1) throw socketClosed(name, socketPath, cause)
        if (listening.code === 0) throw listenerHangs(name, socketPath, cause)
        throw hostFailed(name, `connect to ${socketPath}`, cause)
      }
    },
    forward: (socketPath) => forwardSocket(() => host.connect(socketPath)),
    offer: (localPath, hostPath, onListening) =>
      attempt(
        `listen on ${hostPath}`,
        offerSocket(
          {
            client,
            removeFile: (path) => host.removeFile(path),
            isThere: async (path) => (await host.status(path)) !== null,
            onListening,
          },
          localPath,
          hostPath,
        ),
      ),
    async commandLineOf(pid) {
      const bytes = await host.readFile(`/proc/${pid}/cmdline`)
      const text = bytes?.toString('utf8') ?? ''
      return text === '' ? null : text.replaceAll('\0', ' ').trim()
    },
    async kill(pid, signal) {
      // Not being there any more is what was wanted.
      await runBytes('kill', ['-s', signal.slice('SIG'.length), String(pid)])
    },
    async close() {
      closed = true
      const open = await connection?.catch(() => null)
      open?.end()
    },
  }
  return host
}

const MISSING = 44

type BytesResult = { readonly code: number; readonly stdout: Buffer; readonly stderr: string }
type RunOptions = {
  readonly input?: Buffer
  readonly timeoutMilliseconds?: number
  readonly signal?: AbortSignal | undefined
}

const toRunOptions = ({ input, ...rest }: CommandOptions): RunOptions =>
  input === undefined ? rest : { ...rest, input: Buffer.from(input) }

function connectClient(options: SshHostOptions, onLost: () => void): Promise<Client> {
  const { address, privateKey } = options
  return new Promise((resolve, reject) => {
    const client = new Client()
    let shownKey = ''
    client.once('ready', () => resolve(client))
    client.on('error', (cause) => {
      onLost()
      reject(toConnectFailure(options, shownKey, cause))
    })
    client.once('close', () => {
      onLost()
      reject(unreachable(options, new Error('connection closed')))
    })
    try {
      client.connect({
        host: address.host,
        port: address.port,
        username: address.user,
        privateKey,
        readyTimeout: CONNECT_MILLISECONDS,
        keepaliveInterval: KEEP_ALIVE_MILLISECONDS,
        hostVerifier: (key: Buffer) => {
          shownKey = fingerprintOf(key)
          return isSame(shownKey, address.hostKeySha256)
        },
      })
    } catch (cause) {
      onLost()
      // ssh2 throws at once for a key that it cannot read.
      reject(badKey(options, cause))
    }
  })
}

/** As `ssh-keygen -lf` prints it: SHA256 of the key, base64 without padding. */
const fingerprintOf = (key: Buffer): string =>
  withoutPadding(`SHA256:${createHash('sha256').update(key).digest('base64')}`)

const withoutPadding = (fingerprint: string): string => fingerprint.replace(/=+$/, '')

function isSame(shown: string, pinned: string): boolean {
  const a = Buffer.from(shown)
  const b = Buffer.from(withoutPadding(pinned))
  return a.length === b.length && timingSafeEqual(a, b)
}

function toConnectFailure(options: SshHostOptions, shownKey: string, cause: Error): Outage | Refusal {
  const { name, address } = options
  if (shownKey !== '' && !isSame(shownKey, address.hostKeySha256))
    return new Refusal({
      code: 'kvm/host-key-changed',
      message: `Host ${name} showed the key ${shownKey} instead of ${address.hostKeySha256}`,
      remedy: 'If the host was set up anew, enter its new key. Else somebody may be listening in.',
      cause,
    })
  if ((cause as { level?: string }).level === 'client-authentication')
    return new Refusal({
      code: 'kvm/ssh-login-refused',
      message: `Host ${name} refuses the user ${address.user} with this private key`,
      remedy: 'Add the public key to the authorized keys of that user.',
      cause,
    })
  return unreachable(options, cause)
}

const unreachable = ({ name, address }: SshHostOptions, cause: unknown): Outage =>
  new Outage({
    code: 'kvm/host-unreachable',
    message: `Host ${name} (${address.host}:${address.port}) cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}`,
    remedy: 'Check the network, the address, and that sshd runs there.',
    cause,
  })

const badKey = ({ name }: SshHostOptions, cause: unknown): Refusal =>
  new Refusal({
    code: 'kvm/ssh-key-unreadable',
    message: `The private key for host ${name} cannot be read`,
    remedy: 'Give a key in OpenSSH or PEM form without passphrase.',
    cause,
  })

/** sshd hands the line to the user's shell, so every word is quoted. */
const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`

const commandLine = (command: string, args: readonly string[]): string =>
  ['exec', 'env', 'LC_ALL=C', ...[command, ...args].map(quoted)].join(' ')

const converse = (
  options: SshHostOptions,
  client: Client,
  command: string,
  args: readonly string[],
): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    client.exec(commandLine(command, args), (failure, channel) => {
      if (failure !== undefined && failure !== null) return reject(unreachable(options, failure))
      // Unread errors would fill the channel's window.
      channel.stderr.resume()
      resolve(channel)
    })
  })

async function runRemote(
  options: SshHostOptions,
  client: Client,
  command: string,
  args: readonly string[],
  run: RunOptions,
): Promise<BytesResult> {
  run.signal?.throwIfAborted()
  const text = commandLine(command, args)
  return new Promise((resolve, reject) => {
    client.exec(text, (failure, channel) => {
      if (failure !== undefined && failure !== null) return reject(unreachable(options, failure))
      collect(options, channel, command, run).then(resolve, reject)
    })
  })
}

function collect(
  options: SshHostOptions,
  channel: ClientChannel,
  command: string,
  run: RunOptions,
): Promise<BytesResult> {
  return new Promise((resolve, reject) => {
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    let bytes = 0
    let code: number | null = null
    const fail = (error: unknown): void => {
      clearTimeout(timer)
      channel.destroy()
      reject(error)
    }
    const timer = setTimeout(
      () => fail(hostFailed(options.name, `run ${command} in time`, new Error('deadline passed'))),
      run.timeoutMilliseconds ?? COMMAND_MILLISECONDS,
    )
    const abort = (): void => fail(run.signal?.reason)
    run.signal?.addEventListener('abort', abort, { once: true })
    const keep = (into: Buffer[]) => (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > LONGEST_OUTPUT_BYTES)
        fail(hostFailed(options.name, `run ${command}`, new Error('too much output')))
      else into.push(chunk)
    }
    channel.on('data', keep(stdout))
    channel.stderr.on('data', keep(stderr))
    channel.on('error', fail)
    channel.on('exit', (exitCode: number | null) => {
      code = exitCode
    })
    channel.on('close', () => {
      clearTimeout(timer)
      run.signal?.removeEventListener('abort', abort)
      if (code === null)
        return reject(unreachable(options, new Error(`${command} ended without an exit code`)))
      resolve({ code, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString('utf8') })
    })
    channel.end(run.input ?? Buffer.alloc(0))
  })
}

function openFiles(options: SshHostOptions, client: Client, onEnd: () => void): Promise<SFTPWrapper> {
  return new Promise((resolve, reject) => {
    client.sftp((cause, sftp) => {
      if (cause !== undefined && cause !== null) return reject(noFiles(options, cause))
      sftp.once('close', onEnd)
      sftp.on('error', onEnd)
      resolve(sftp)
    })
  })
}

const noFiles = ({ name }: SshHostOptions, cause: unknown): Refusal =>
  new Refusal({
    code: 'kvm/no-sftp',
    message: `Host ${name} offers no SFTP`,
    remedy: 'Enable "Subsystem sftp internal-sftp" in its sshd_config.',
    cause,
  })

function toStatus(text: string): FileStatus {
  const [bytes = '', blocks = '', blockBytes = '', inode = '', modified = ''] = text.trim().split(' ')
  return {
    bytes: Number(bytes),
    allocatedBytes: Number(blocks) * Number(blockBytes),
    mtimeNanoseconds: modified.replace('.', ''),
    inode,
  }
}

/** OpenSSH's direct-streamlocal channel: https://github.com/openssh/openssh-portable/blob/master/PROTOCOL section 2.4 */
const openChannel = (client: Client, socketPath: string): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    client.openssh_forwardOutStreamLocal(socketPath, (failure, channel) => {
      if (failure !== undefined && failure !== null) return reject(failure)
      channel.on('error', () => undefined)
      resolve(channel)
    })
  })

/** A local socket in a folder that only we can enter; each connection to it becomes a channel. */
async function forwardSocket(open: () => Promise<Duplex>): Promise<{ path: string; close(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-'))
  const path = join(folder, 'forward.sock')
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    open().then(
      (channel) => {
        channel.on('error', () => socket.destroy())
        channel.once('close', () => socket.destroy())
        socket.once('close', () => channel.destroy())
        socket.pipe(channel).pipe(socket)
      },
      () => socket.destroy(),
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  return {
    path,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
      await rm(folder, { recursive: true, force: true })
    },
  }
}
