// A program on our own server. It belongs to its keeper, not to us: we start a keeper, or find one, and wait for what it writes.
import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Clock, Instant } from '@understudy/base/instant'
import type { Command } from '@understudy/domain/recovery-plans/step-action'
import { isCancelled } from '@understudy/engine/ports/cancelled'
import { readJson, readOrNull, writeOnce } from './attempt-folder.ts'
import { waitFor } from './bounded-wait.ts'
import { lastLine, toText } from './kept-output.ts'
import { isAlive, type ProcessIdentity, tell } from './process-identity.ts'
import { checkProgram } from './program-check.ts'
import { cannotStart, interrupted, maskEnd, type ProgramEnd } from './script-end.ts'
import { type Claim, type KeeperOrder, type ScriptEnd, scriptFiles } from './script-files.ts'
import { stepFailed } from './step-failures.ts'

export type ProgramWork = {
  readonly program: Pick<Command, 'command' | 'arguments' | 'environment'>
  readonly context: string
  readonly mask: (text: string) => string
  /** It is ended then, also without us. */
  readonly deadline: Instant
  readonly clock: Clock
  readonly report: (line: string) => void
  readonly signal: AbortSignal
}

const KEEPER = fileURLToPath(new URL('./script-keeper.ts', import.meta.url))
/** Linux gives each variable 128 KiB (MAX_ARG_STRLEN), its name included. */
const LONGEST_VARIABLE_BYTES = 120 * 1024
const POLL_MILLISECONDS = 100
const CLAIM_MILLISECONDS = 30_000
/** What a keeper needs at most from being told to the end of its program. */
const KEEPER_MILLISECONDS = 10_000

/**
 * Runs it once for this folder, however often it is asked for. Throws StepFailure when it cannot be started, and `step/interrupted`
 * when its end is lost. Cancelled: its whole group is ended first. Aborted for another reason: it runs on.
 */
export async function runOnServer(folder: string, work: ProgramWork): Promise<ProgramEnd> {
  const files = scriptFiles(folder)
  const known = await readJson<ProgramEnd>(files.keptEnd)
  const end = known ?? (await keepEnd(files.keptEnd, await findEnd(folder, work), work))
  // Also what a kill just before has left.
  await dropOutput(folder)
  return end
}

async function findEnd(folder: string, work: ProgramWork): Promise<ProgramEnd> {
  const claim = (await readJson<Claim>(scriptFiles(folder).claim)) ?? (await begin(folder, work))
  const end = await waitForEnd(folder, claim, work)
  if (end.notStarted !== null) throw cannotStart(work.program.command, end.notStarted)
  const output = await readOutput(folder, end.bytes)
  if (end.endedBy === 'timeout') return { kind: 'timeout', output }
  // Before our last life ended it was aborted: that it may be tried again is decided by a new attempt.
  if (end.endedBy === 'abort') return { kind: 'killed', signal: 'us, because the step was cancelled', output }
  if (end.exitCode === null) return { kind: 'killed', signal: end.signal ?? 'a signal', output }
  return { kind: 'exited', exitCode: end.exitCode, output }
}

/** The first one's counts: it may have dropped the output before another one had read it. */
async function keepEnd(file: string, end: ProgramEnd, { mask }: ProgramWork): Promise<ProgramEnd> {
  const masked = maskEnd(end, mask)
  return (await writeOnce(file, masked)) ? masked : ((await readJson<ProgramEnd>(file)) ?? masked)
}

/** As it was printed, with secrets if there were any. */
async function dropOutput(folder: string): Promise<void> {
  const { head, tail } = scriptFiles(folder)
  for (const file of [head, tail]) await rm(file, { force: true })
}

/** Starts a keeper and waits until one has the claim: this one, or one that a killed predecessor of ours started. */
async function begin(folder: string, work: ProgramWork): Promise<Claim> {
  const { program, clock, deadline } = work
  const files = scriptFiles(folder)
  if (clock.now() >= deadline)
    throw stepFailed(
      'timeout',
      `${program.command} was not begun before its time was up`,
      'Give the step more time, or try it again.',
    )
  checkProgram(program)
  await mkdir(files.work, { recursive: true, mode: 0o700 })
  const order: KeeperOrder = {
    command: program.command,
    arguments: program.arguments,
    environment: await environmentOf(files.context, work),
    workFolder: files.work,
    limitMilliseconds: deadline - clock.now(),
  }
  const keeper = startKeeper(folder, order)
  for (let waited = 0; waited < CLAIM_MILLISECONDS; waited += POLL_MILLISECONDS) {
    // In this order: a keeper that has ended has written its claim before.
    const gone = keeper.gone()
    const claim = await readJson<Claim>(files.claim)
    if (claim !== null) return claim
    if (gone !== null) throw await keeperFailed(files.keeperErrors, gone)
    await waitFor(POLL_MILLISECONDS / 4, NEVER)
  }
  throw await keeperFailed(files.keeperErrors, 'it did not begin')
}

const NEVER = new AbortController().signal

/** A small one of our own: what the server was started with is not for scripts, and may hold its secrets. */
async function environmentOf(
  contextFile: string,
  { program, context }: ProgramWork,
): Promise<Readonly<Record<string, string>>> {
  return { ...baseEnvironment(), ...program.environment, ...(await contextVariable(contextFile, context)) }
}

const baseEnvironment = (): Record<string, string> => ({
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: homedir(),
  LANG: 'C.UTF-8',
})

async function contextVariable(file: string, context: string): Promise<Record<string, string>> {
  if (isFitForVariable(context)) return { UNDERSTUDY_CONTEXT: context }
  await writeFile(file, context, { mode: 0o600 })
  return { UNDERSTUDY_CONTEXT_FILE: file }
}

export const isFitForVariable = (text: string): boolean => Buffer.byteLength(text) <= LONGEST_VARIABLE_BYTES

type StartedKeeper = { gone(): string | null }

function startKeeper(folder: string, order: KeeperOrder): StartedKeeper {
  const errors = openSync(scriptFiles(folder).keeperErrors, 'a', 0o600)
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', KEEPER, folder], {
    cwd: '/',
    env: baseEnvironment(),
    // A session of its own: neither our terminal nor our end reaches it.
    detached: true,
    stdio: ['pipe', 'ignore', errors],
  })
  closeSync(errors)
  let gone: string | null = null
  child.once('error', (error) => {
    gone = error.message
  })
  child.once('exit', (code, signal) => {
    gone = `it ended with ${signal ?? `exit code ${code}`}`
  })
  // It may be gone before it has read everything; its end says more than this error.
  child.stdin?.once('error', () => undefined)
  child.stdin?.end(JSON.stringify(order))
  child.unref()
  return { gone: () => gone }
}

async function keeperFailed(errorsFile: string, how: string) {
  const errors = (await readOrNull(errorsFile))?.toString('utf8') ?? null
  const said = errors?.split('\n').find((line) => /error/i.test(line)) ?? lastLine(errors)
  return stepFailed(
    'not-started',
    `The process that is to run the program did not start: ${how}${said ? ` (${said.trim().slice(0, 300)})` : ''}`,
    'Look at the computer that Understudy runs on: memory, processes, file systems; then try again.',
  )
}

async function waitForEnd(folder: string, claim: Claim, work: ProgramWork): Promise<ScriptEnd> {
  const { deadline, clock, signal, report, program } = work
  const files = scriptFiles(folder)
  report(`${program.command} runs`)
  for (;;) {
    if (signal.aborted) {
      if (isCancelled(signal)) {
        await endNow(folder, claim)
        await dropOutput(folder)
      }
      signal.throwIfAborted()
    }
    // In this order: a keeper that is gone has written the end before.
    const alive = isAlive(claim.keeper)
    const end = await readJson<ScriptEnd>(files.end)
    if (end !== null) return end
    if (!alive) throw await lostEnd(folder, work)
    // Its keeper ends it; if even that one stands still, we do.
    if (clock.now() > deadline + KEEPER_MILLISECONDS) {
      await killAll(folder, claim)
      return { exitCode: null, signal: 'SIGKILL', endedBy: 'timeout', notStarted: null, bytes: 0 }
    }
    await waitFor(POLL_MILLISECONDS, signal)
  }
}

async function endNow(folder: string, claim: Claim): Promise<void> {
  if (isAlive(claim.keeper)) tell(claim.keeper.pid, 'SIGTERM')
  for (let waited = 0; waited < KEEPER_MILLISECONDS; waited += POLL_MILLISECONDS) {
    if (!isAlive(claim.keeper)) break
    await waitFor(POLL_MILLISECONDS, NEVER)
  }
  if ((await readJson(scriptFiles(folder).end)) === null) await killAll(folder, claim)
}

async function killAll(folder: string, claim: Claim): Promise<void> {
  const leader = await readJson<ProcessIdentity>(scriptFiles(folder).script)
  if (isAlive(claim.keeper)) tell(claim.keeper.pid, 'SIGKILL')
  if (leader !== null && isAlive(leader)) tell(-leader.pid, 'SIGKILL')
}

async function lostEnd(folder: string, { program }: ProgramWork) {
  // Nobody reads it any more.
  await dropOutput(folder)
  const leader = await readJson<ProcessIdentity>(scriptFiles(folder).script)
  if (leader !== null && isAlive(leader))
    return interrupted(
      `What watched over ${program.command} was ended, so nobody will know how it ends; it still runs as process ${leader.pid}`,
      'Look at what it does, wait for it or end it; then try the step again or skip it.',
    )
  return interrupted(
    `${program.command} was interrupted, as by a restart of the computer: nobody knows how far it came`,
    'Look at what it has done; then try the step again or skip it.',
  )
}

async function readOutput(folder: string, bytes: number): Promise<string> {
  const files = scriptFiles(folder)
  const [head, tail] = await Promise.all([readOrNull(files.head), readOrNull(files.tail)])
  const none = Buffer.alloc(0)
  return toText(head ?? none, tail ?? none, bytes)
}
