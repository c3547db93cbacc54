// The computer that we run on, as a KVM host.
import { execFile, spawn } from 'node:child_process'
import { copyFile, mkdir, open, readdir, readFile, rm, stat, statfs } from 'node:fs/promises'
import net from 'node:net'
import { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { Outage } from '@understudy/base/errors'
import { replaceFile } from '../wires/replace-file.ts'
import type { CommandOptions, CommandResult, FilePiece, FileStatus, FolderEntry, Host } from './host.ts'

const COMMAND_MILLISECONDS = 60_000
const SOCKET_MILLISECONDS = 15_000
const SOCKET_POLL_MILLISECONDS = 25
const LONGEST_OUTPUT_BYTES = 64 * 1024 * 1024
const LEAVE_MILLISECONDS = 5000

export function localHost(options: { name: string; machinesFolder: string }): Host {
  const { name, machinesFolder } = options
  const attempt = async <Result>(what: string, work: () => Promise<Result>): Promise<Result> => {
    try {
      return await work()
    } catch (cause) {
      throw hostFailed(name, what, cause)
    }
  }
  return {
    name,
    machinesFolder,
    place: `this computer, ${machinesFolder}`,
    isLocal: true,
    run: (command, args, runOptions) => run(name, command, args, runOptions ?? {}),
    spawn: (command, args) => converse(name, command, args),
    readFile: (path) => attempt(`read ${path}`, () => orWhenMissing(readFile(path), null)),
    writeFile: (path, data) => attempt(`write ${path}`, () => replaceFile(path, data)),
    createSparseFile: (path, bytes, pieces) =>
      attempt(`create ${path}`, () => createSparseFile(path, bytes, pieces ?? [])),
    copyFile: (from, to) => attempt(`copy ${from} to ${to}`, () => copyFile(from, to)),
    removeFile: (path) => attempt(`remove ${path}`, () => rm(path, { force: true })),
    makeFolder: (path) =>
      attempt(`make ${path}`, async () => {
        await mkdir(path, { recursive: true })
      }),
    removeFolder: (path) => attempt(`remove ${path}`, () => rm(path, { force: true, recursive: true })),
    list: (path) => attempt(`list ${path}`, () => orWhenMissing(list(path), [])),
    status: (path) => attempt(`look at ${path}`, () => orWhenMissing(status(path), null)),
    freeBytes: (path) =>
      attempt(`ask the free space of ${path}`, async () => {
        const system = await statfs(path)
        return system.bavail * system.bsize
      }),
    connect: (socketPath, signal) => connect(name, socketPath, signal),
    forward: async (path) => ({ path, close: async () => undefined }),
    commandLineOf,
    kill: async (pid, signal) => kill(name, pid, signal),
    close: async () => undefined,
  }
}

export const hostFailed = (name: string, what: string, cause: unknown): Outage =>
  new Outage({
    code: 'kvm/host-failed',
    message: `Host ${name} could not ${what}: ${cause instanceof Error ? cause.message : String(cause)}`,
    remedy: 'Look at the free space, the rights and the paths on that host.',
    cause,
  })

export const socketClosed = (name: string, socketPath: string, cause: unknown): Outage =>
  new Outage({
    code: 'kvm/socket-closed',
    message: `Nobody listens on ${socketPath} on host ${name}`,
    remedy: 'See whether the machine still runs.',
    cause,
  })

/** Somebody listens and takes no connection: a QEMU that hangs, or whose socket file is gone. It may still be ended by its pid. */
export const listenerHangs = (name: string, socketPath: string, cause: unknown): Outage =>
  new Outage({
    code: 'kvm/qemu-silent',
    message: `Whoever listens on ${socketPath} on host ${name} takes no connection`,
    remedy: 'See whether the machine hangs; power it off if it does.',
    cause,
  })

function run(
  name: string,
  command: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      [...args],
      {
        timeout: options.timeoutMilliseconds ?? COMMAND_MILLISECONDS,
        killSignal: 'SIGKILL',
        maxBuffer: LONGEST_OUTPUT_BYTES,
        env: { ...process.env, LC_ALL: 'C' },
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
      (error, stdout, stderr) => {
        if (error === null) return resolve({ code: 0, stdout, stderr })
        if (options.signal?.aborted) return reject(options.signal.reason)
        if (typeof error.code === 'number') return resolve({ code: error.code, stdout, stderr })
        reject(hostFailed(name, `run ${command}${error.killed ? ' in time' : ''}`, error))
      },
    )
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(options.input ?? '')
  })
}

function converse(name: string, command: string, args: readonly string[]): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, LC_ALL: 'C' },
    })
    child.once('error', (cause) => reject(hostFailed(name, `run ${command}`, cause)))
    child.once('spawn', () => {
      const stream = new Duplex({
        read: () => child.stdout.resume(),
        // One that has stopped listening still says why: its own end is the end, not what we could not write.
        write: (chunk, _encoding, done) => child.stdin.write(chunk, () => done()),
        final: (done) => child.stdin.end(() => done()),
        destroy: (error, done) => {
          child.stdin.end()
          const timer = setTimeout(() => child.kill('SIGKILL'), LEAVE_MILLISECONDS)
          child.once('exit', () => clearTimeout(timer))
          done(error)
        },
      })
      child.stdout.on('data', (chunk) => {
        if (!stream.push(chunk)) child.stdout.pause()
      })
      child.stdout.once('end', () => stream.push(null))
      child.stdin.on('error', () => {})
      resolve(stream)
    })
  })
}

async function createSparseFile(path: string, bytes: number, pieces: readonly FilePiece[]): Promise<void> {
  await rm(path, { force: true })
  const file = await open(path, 'wx', 0o600)
  try {
    await file.truncate(bytes)
    for (const { offset, data } of pieces) await file.write(data, 0, data.length, offset)
  } finally {
    await file.close()
  }
}

async function list(path: string): Promise<readonly FolderEntry[]> {
  const entries = await readdir(path, { withFileTypes: true })
  return entries
    .map((entry): FolderEntry => {
      const kind = entry.isFile()
        ? 'file'
        : entry.isDirectory()
          ? 'folder'
          : entry.isSocket()
            ? 'socket'
            : 'other'
      return { name: entry.name, kind }
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function status(path: string): Promise<FileStatus> {
  const found = await stat(path, { bigint: true })
  return {
    bytes: Number(found.size),
    allocatedBytes: Number(found.blocks) * 512,
    mtimeNanoseconds: String(found.mtimeNs),
    inode: String(found.ino),
  }
}

async function connect(name: string, socketPath: string, signal: AbortSignal | undefined): Promise<Duplex> {
  const deadline = performance.now() + SOCKET_MILLISECONDS
  for (;;) {
    signal?.throwIfAborted()
    try {
      return await connectOnce(socketPath)
    } catch (cause) {
      if (isCode(cause, 'ECONNREFUSED')) throw socketClosed(name, socketPath, cause)
      // A listener whose socket file was removed listens on; nobody can reach it, but it is there.
      if (isCode(cause, 'ENOENT'))
        throw (await isBound(socketPath))
          ? listenerHangs(name, socketPath, cause)
          : socketClosed(name, socketPath, cause)
      // The listener's queue is full (unix(7)): QEMU keeps room for one waiting client. Anything else says nothing about
      // whether somebody listens.
      if (!isCode(cause, 'EAGAIN')) throw hostFailed(name, `connect to ${socketPath}`, cause)
      if (performance.now() > deadline) throw listenerHangs(name, socketPath, cause)
      await sleep(SOCKET_POLL_MILLISECONDS, undefined, signal === undefined ? {} : { signal })
    }
  }
}

/** proc(5): every unix socket with the path that it was bound to, also after the file has gone. */
async function isBound(socketPath: string): Promise<boolean> {
  const sockets = await readFile('/proc/net/unix', 'utf8')
  return sockets.split('\n').some((line) => line.endsWith(` ${socketPath}`))
}

const connectOnce = (socketPath: string): Promise<Duplex> =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ path: socketPath })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })

async function commandLineOf(pid: number): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  // A zombie's command line is empty.
  return text === '' ? null : text.replaceAll('\0', ' ').trim()
}

function kill(name: string, pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal)
  } catch (cause) {
    if (!isCode(cause, 'ESRCH')) throw hostFailed(name, `signal process ${pid}`, cause)
  }
}

async function orWhenMissing<Found, Missing>(
  found: Promise<Found>,
  missing: Missing,
): Promise<Found | Missing> {
  try {
    return await found
  } catch (error) {
    // ESRCH: the process whose file in /proc this is has just ended.
    if (['ENOENT', 'ENOTDIR', 'ESRCH'].some((code) => isCode(error, code))) return missing
    throw error
  }
}

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && (error as NodeJS.ErrnoException).code === code
