// Stays with one program of a step when the server goes: starts it in a process group of its own, bounds its output, ends it when
// its time is up, and writes down how it ended. Run as `node script-keeper.ts <folder>`, its order as JSON on stdin, because
// arguments and files would show the secrets of an order. See DESIGN.md for what a crash leaves.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { closeSync, constants, openSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMissing, replaceJson, writeOnce } from './attempt-folder.ts'
import { keepOutput } from './kept-output.ts'
import { identify, tell } from './process-identity.ts'
import { type KeeperOrder, type ScriptEnd, scriptFiles } from './script-files.ts'

/** From asking the group to end until it is ended. */
const GRACE_MILLISECONDS = 5000
/** A program that went into the background may hold the output open for ever. */
const OUTPUT_MILLISECONDS = 500
const SAVE_TRIES = 600

await keep(process.argv[2] ?? '')

async function keep(folder: string): Promise<void> {
  // Half an order, when whoever gave it was killed, is no JSON: nothing is claimed then.
  const order = JSON.parse(await text(process.stdin)) as KeeperOrder
  const files = scriptFiles(folder)
  const pipe = openPipe(join(folder, `pipe-${process.pid}`))
  // Another keeper has this attempt: there is nothing to do here, and the pipe that is open would keep the process alive.
  if (!(await writeOnce(files.claim, { keeper: identify(process.pid) }))) process.exit(0)
  const output = keepOutput(files.head)
  const end = await runProgram(order, pipe, output.take, (pid) => {
    writeFileSync(files.script, JSON.stringify(identify(pid)), { mode: 0o600 })
  })
  await saveEnd(files, { ...end, bytes: output.bytes() }, output.tail())
  // Nobody asks a keeper how it went: its files say that. Something in the background may still hold the pipe open.
  process.exit(0)
}

type Pipe = { readonly read: number; readonly write: number }

/**
 * One pipe for both streams keeps their order. A real one, not the sockets that Node makes: a program that opens /dev/stderr
 * cannot open a socket (ENXIO).
 */
function openPipe(path: string): Pipe {
  execFileSync('mkfifo', ['-m', '600', path])
  try {
    const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    return { read, write: openSync(path, constants.O_WRONLY) }
  } finally {
    rmSync(path)
  }
}

type End = Omit<ScriptEnd, 'bytes'>

function runProgram(
  order: KeeperOrder,
  pipe: Pipe,
  onOutput: (chunk: Buffer) => void,
  onStarted: (pid: number) => void,
): Promise<End> {
  const { promise, resolve } = Promise.withResolvers<End>()
  const reader = new net.Socket({ fd: pipe.read, readable: true, writable: false })
  reader.on('data', onOutput)
  const drained = new Promise<void>((done) => void reader.once('close', () => done()))
  let endedBy: End['endedBy'] = 'itself'

  const notStarted = (error: NodeJS.ErrnoException): void =>
    resolve({ exitCode: null, signal: null, endedBy, notStarted: error.code ?? error.message })
  const child = startProgram(order, pipe, notStarted)
  closeSync(pipe.write)
  if (child === null) return promise
  const { pid } = child
  // What could not be found or may not be run tells so by its event.
  if (pid === undefined) return promise
  onStarted(pid)

  let ending: Promise<void> = Promise.resolve()
  const end = (by: End['endedBy']): void => {
    if (endedBy !== 'itself') return
    endedBy = by
    ending = endGroup(pid)
  }
  const timer = setTimeout(() => end('timeout'), order.limitMilliseconds)
  process.on('SIGTERM', () => end('abort'))
  child.once('exit', (exitCode, signal) => {
    clearTimeout(timer)
    void Promise.all([ending, Promise.race([drained, sleep(OUTPUT_MILLISECONDS)])]).then(() =>
      resolve({ exitCode, signal, endedBy, notStarted: null }),
    )
  })
  return promise
}

/** Node throws some reasons at once, and tells others later. */
function startProgram(
  order: KeeperOrder,
  pipe: Pipe,
  onNotStarted: (error: NodeJS.ErrnoException) => void,
): ChildProcess | null {
  try {
    const child = spawn(order.command, [...order.arguments], {
      cwd: order.workFolder,
      env: order.environment,
      // The leader of a group, so that everything that it starts can be ended with it.
      detached: true,
      stdio: ['ignore', pipe.write, pipe.write],
    })
    child.once('error', onNotStarted)
    return child
  } catch (error) {
    onNotStarted(error as NodeJS.ErrnoException)
    return null
  }
}

/** Resolves when nobody of the group is left, or everybody was killed. */
async function endGroup(leader: number): Promise<void> {
  if (!tell(-leader, 'SIGTERM')) return
  for (let waited = 0; waited < GRACE_MILLISECONDS; waited += 50) {
    await sleep(50)
    if (!tell(-leader, 0)) return
  }
  tell(-leader, 'SIGKILL')
}

/** Once the end is written, everything else is. A full disk may have room again: without its end the program counts as lost. */
async function saveEnd(files: ReturnType<typeof scriptFiles>, end: ScriptEnd, tail: Buffer): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      writeFileSync(files.tail, tail, { mode: 0o600 })
      return await replaceJson(files.end, end)
    } catch (error) {
      // Without its folder nobody will ask for it.
      if (isMissing(error) || tries === SAVE_TRIES) throw error
      await sleep(1000)
    }
  }
}
