// Looks again and again until something answers, or no longer does.
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import net from 'node:net'
import { join } from 'node:path'
import type { ProbeAction, ProbeCheck } from '@understudy/domain/recovery-plans/step-action'
import { isCancelled } from '@understudy/engine/ports/cancelled'
import { StepFailure, type StepOutcome, type StepWork } from '@understudy/engine/ports/step-runner'
import { makeFolder } from './attempt-folder.ts'
import { limitTo, waitFor } from './bounded-wait.ts'
import { type Place, placesOf, wordsOfPlace } from './endpoints.ts'
import { CutAnswer, exchangeHttp } from './http-exchange.ts'
import { runProgram } from './run-program.ts'
import { complaintOf } from './script-end.ts'
import type { ProgramWork } from './server-script.ts'
import { codeOf, notInTime, reasonOf } from './step-failures.ts'

/**
 * `unclear`: neither that it answers nor that it does not, as when its name cannot be looked up. `cut`: the same, because the deadline
 * left no time for an answer.
 */
type Verdict = {
  readonly is: 'green' | 'red' | 'unclear' | 'cut'
  readonly why: string
  readonly output?: string
}

type Look = { readonly folder: string; readonly work: StepWork } & Pick<
  ProgramWork,
  'clock' | 'report' | 'signal'
>

/** One look that hangs must not use up the whole time. */
const NETWORK_MILLISECONDS = 10_000
const PROGRAM_MILLISECONDS = 60_000
const MOST_BYTES = 1024 * 1024
/** Shorter than this, silence proves nothing. */
const SILENCE_MILLISECONDS = 1500
/** A forwarder accepts for a guest that does not listen, and closes at once. */
const STAYS_OPEN_MILLISECONDS = 300

export async function probe(action: ProbeAction, look: Look): Promise<StepOutcome> {
  const { work, clock, signal, report } = look
  const interval = action.intervalSeconds * 1000
  let last: Verdict | null = null
  while (clock.now() < work.deadline) {
    const begun = clock.now()
    const left = work.deadline - begun
    const verdict = await lookOnce(action, look, left)
    signal.throwIfAborted()
    if (verdict.is === action.until) return { note: verdict.why, output: verdict.output ?? null }
    // The look before says more.
    if (verdict.is !== 'cut' || last === null) last = verdict
    report(verdict.why)
    await waitFor(Math.min(begun + interval, work.deadline) - clock.now(), signal)
    signal.throwIfAborted()
  }
  throw notInTime(action.timeoutSeconds, last?.why ?? 'there was no time to look', last?.output ?? null)
}

async function lookOnce({ check, intervalSeconds }: ProbeAction, look: Look, left: number): Promise<Verdict> {
  if (check.kind === 'script') {
    const most = Math.max(PROGRAM_MILLISECONDS, intervalSeconds * 1000)
    const verdict = await runCheck(check, look, Math.min(left, most))
    return verdict.isTimeout && left < most ? { ...verdict, is: 'cut' } : verdict
  }
  const places = placesOf(check.target, look.work)
  if (places.length === 0) return { is: 'unclear', why: 'the machine has no address yet' }
  const limit = limitTo(Math.min(left, NETWORK_MILLISECONDS), look.signal)
  const silence = left < SILENCE_MILLISECONDS ? 'cut' : 'red'
  try {
    return bestOf(await Promise.all(places.map((place) => lookAt(check, place, limit.signal, silence))))
  } finally {
    limit.end()
  }
}

/** Of several addresses one that answers is enough; none does only when that is clear of all. Pure. */
const bestOf = (verdicts: readonly Verdict[]): Verdict =>
  verdicts.find(({ is }) => is === 'green') ??
  verdicts.find(({ is }) => is !== 'red') ??
  verdicts[0] ?? { is: 'unclear', why: 'there is nothing to look at' }

async function lookAt(
  check: Exclude<ProbeCheck, { kind: 'script' }>,
  { host, port }: Place,
  signal: AbortSignal,
  silence: 'red' | 'cut',
): Promise<Verdict> {
  const at = { host, port: port ?? check.port }
  const where = wordsOfPlace(at.host, at.port)
  try {
    return check.kind === 'tcp'
      ? await lookAtPort(at, where, signal)
      : await lookAtPage(check, at, where, signal)
  } catch (error) {
    if (signal.aborted) return { is: silence, why: `no answer from ${where}` }
    if (error instanceof CutAnswer) return { is: 'red', why: `${where}: ${error.message}` }
    return { is: isClear(error) ? 'red' : 'unclear', why: `${reasonOf(error)} (${where})` }
  }
}

/** A name that is not known says nothing about what it should lead to, and a wrong certificate comes from something that answers. */
const isClear = (error: unknown): boolean =>
  ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH'].includes(
    codeOf(error),
  ) || codeOf(error).startsWith('HPE_')

function lookAtPort(
  at: { host: string; port: number },
  where: string,
  signal: AbortSignal,
): Promise<Verdict> {
  const { promise, resolve, reject } = Promise.withResolvers<Verdict>()
  const socket = net.connect({ ...at, signal })
  const answers = (): void => resolve({ is: 'green', why: `${where} answers` })
  let stays: NodeJS.Timeout | undefined
  socket.once('connect', () => {
    stays = setTimeout(answers, STAYS_OPEN_MILLISECONDS)
  })
  socket.once('data', answers)
  socket.once('end', () =>
    resolve({ is: 'red', why: `${where} accepts connections and closes them at once` }),
  )
  socket.once('error', reject)
  return promise.finally(() => {
    clearTimeout(stays)
    socket.destroy()
  })
}

async function lookAtPage(
  check: Extract<ProbeCheck, { kind: 'http' }>,
  at: { host: string; port: number },
  where: string,
  signal: AbortSignal,
): Promise<Verdict> {
  const url = `${check.scheme}://${wordsOfPlace(at.host, at.port)}${check.path}`
  if (!URL.canParse(url)) return { is: 'unclear', why: `${where} and the path make no URL` }
  const answer = await exchangeHttp(
    { url: new URL(url), method: 'GET', headers: {}, body: '', mostBytes: MOST_BYTES },
    signal,
  )
  if (answer.status !== check.expectedStatus)
    return { is: 'red', why: `${where} answered ${answer.status} instead of ${check.expectedStatus}` }
  if (!answer.body.includes(check.expectedText))
    return { is: 'red', why: `${where} answered ${answer.status}, but without the expected text` }
  return { is: 'green', why: `${where} answered ${answer.status}` }
}

/**
 * Each look is a run of its own. One that a killed predecessor of ours began is waited for, since two at a time could disturb each
 * other; but it looked at what was then.
 */
async function runCheck(
  check: Extract<ProbeCheck, { kind: 'script' }>,
  { folder, work, clock, report, signal }: Look,
  milliseconds: number,
): Promise<Verdict & { readonly isTimeout: boolean }> {
  const own = join(folder, 'look')
  const isOld = existsSync(own)
  await makeFolder(own)
  const { command, arguments: given, environment } = check
  try {
    const end = await runProgram(own, check, work, {
      program: { command, arguments: given, environment },
      context: work.context,
      mask: work.mask,
      deadline: clock.now() + milliseconds,
      clock,
      report,
      signal,
    })
    const why = complaintOf(command, end) ?? `${command} ended with exit code 0`
    const is = isOld ? 'cut' : end.kind === 'exited' && end.exitCode === 0 ? 'green' : 'red'
    return { is, why, output: end.output, isTimeout: end.kind === 'timeout' }
  } catch (error) {
    // A look may be repeated, whatever became of it.
    if (!(error instanceof StepFailure) || error.code !== 'step/interrupted') throw error
    return { is: 'unclear', why: error.message, isTimeout: false }
  } finally {
    // One that runs on without us is to be found.
    if (!signal.aborted || isCancelled(signal)) await rm(own, { recursive: true, force: true })
  }
}
