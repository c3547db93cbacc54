// A program in the guest of a machine, through its agent. Nobody but the agent knows it there, so what the agent says is kept at once.
import { join } from 'node:path'
import { Outage, Refusal } from '@understudy/base/errors'
import { isCancelled } from '@understudy/engine/ports/cancelled'
import type { GuestProgramState, GuestPrograms } from '@understudy/engine/ports/guest-programs'
import { readJson, replaceJson } from './attempt-folder.ts'
import { waitFor } from './bounded-wait.ts'
import { clean, HEAD_BYTES, TAIL_BYTES, toText } from './kept-output.ts'
import { interrupted, maskEnd, type ProgramEnd } from './script-end.ts'
import { isFitForVariable, type ProgramWork } from './server-script.ts'
import { lastPart, stepFailed } from './step-failures.ts'

/**
 * `asking`: written before the agent is asked; whoever finds it does not know whether the program was begun. Without the file it
 * was not.
 */
type Record =
  | { readonly kind: 'asking' }
  | { readonly kind: 'not-begun' }
  | { readonly kind: 'begun'; readonly pid: number }
  | { readonly kind: 'ended'; readonly end: ProgramEnd }

const FIRST_POLL_MILLISECONDS = 250
const LONGEST_POLL_MILLISECONDS = 2000
const AGAIN_MILLISECONDS = 2000

/** See runOnServer. Cancelled: the guest is asked to end it. */
export async function runInGuest(
  folder: string,
  guest: GuestPrograms,
  work: ProgramWork,
): Promise<ProgramEnd> {
  const file = join(folder, 'guest.json')
  const known = await readJson<Record>(file)
  if (known?.kind === 'ended') return known.end
  if (known?.kind === 'asking') throw maybeBegun(work)
  const pid = known?.kind === 'begun' ? known.pid : await begin(file, guest, work)
  const end = maskEnd(await waitForEnd(guest, pid, work), work.mask)
  await replaceJson(file, { kind: 'ended', end } satisfies Record)
  return end
}

async function begin(file: string, guest: GuestPrograms, work: ProgramWork): Promise<number> {
  const { clock, deadline, signal, report, program } = work
  let last = 'it was not asked for'
  while (clock.now() < deadline) {
    signal.throwIfAborted()
    await replaceJson(file, { kind: 'asking' } satisfies Record)
    const pid = await tryStart(guest, work)
    if (typeof pid === 'number') {
      await replaceJson(file, { kind: 'begun', pid } satisfies Record)
      report(`${program.command} runs in the guest`)
      return pid
    }
    await replaceJson(file, { kind: 'not-begun' } satisfies Record)
    if (pid instanceof Refusal) throw stepFailed(lastPart(pid.code), pid.message, pid.remedy, { cause: pid })
    last = pid.message
    report(last)
    await waitFor(AGAIN_MILLISECONDS, signal)
  }
  signal.throwIfAborted()
  throw stepFailed('guest-silent', `${program.command} could not be begun in time: ${last}`, AGENT_REMEDY)
}

const AGENT_REMEDY = 'Install and start qemu-guest-agent inside the guest, and see that it answers.'

/** The failure when it was certainly not begun. */
async function tryStart(
  guest: GuestPrograms,
  { program, context }: ProgramWork,
): Promise<number | Refusal | Outage> {
  // A guest has no file of ours: a context that is too long for a variable is left out there.
  const variables = isFitForVariable(context) ? { UNDERSTUDY_CONTEXT: context } : {}
  try {
    // Without our signal: cut short, nobody would know whether it was begun.
    return await guest.start({ ...program, environment: { ...program.environment, ...variables } })
  } catch (error) {
    if (error instanceof Refusal) return error
    if (error instanceof Outage && error.code === 'guest-program/not-reached') return error
    if (error instanceof Outage) throw maybeBegun({ program }, error)
    throw error
  }
}

async function waitForEnd(guest: GuestPrograms, pid: number, work: ProgramWork): Promise<ProgramEnd> {
  const { clock, deadline, signal, report, program } = work
  let pause = FIRST_POLL_MILLISECONDS
  while (!signal.aborted) {
    // Before the look: what had ended in time has ended, however late we come to it.
    const isLate = clock.now() >= deadline
    const state = await stateOf(guest, pid)
    if (state?.kind === 'unknown') throw lost(program.command)
    if (state?.kind === 'ended') return toEnd(state)
    if (isLate) break
    if (state === null) report('the guest agent does not answer just now')
    await waitFor(Math.min(pause, deadline - clock.now()), signal)
    pause = Math.min(pause * 1.5, LONGEST_POLL_MILLISECONDS)
  }
  if (signal.aborted && !isCancelled(signal)) signal.throwIfAborted()
  const told = await guest.end(pid)
  signal.throwIfAborted()
  return { kind: 'timeout', output: told ? '' : `It may still run in the guest, as process ${pid}.` }
}

/** Null: no answer just now. */
async function stateOf(guest: GuestPrograms, pid: number): Promise<GuestProgramState | null> {
  try {
    // Without our signal: an end is told once, so an answer that is cut short would be lost.
    return await guest.state(pid)
  } catch (error) {
    if (error instanceof Outage) return null
    throw error
  }
}

function toEnd({ exitCode, output }: Extract<GuestProgramState, { kind: 'ended' }>): ProgramEnd {
  const text = bounded(output)
  return exitCode === null
    ? { kind: 'killed', signal: 'a signal', output: text }
    : { kind: 'exited', exitCode, output: text }
}

function bounded(output: string): string {
  const bytes = Buffer.from(output, 'utf8')
  if (bytes.length <= HEAD_BYTES + TAIL_BYTES) return clean(bytes)
  return toText(bytes.subarray(0, HEAD_BYTES), bytes.subarray(-TAIL_BYTES), bytes.length)
}

const lost = (command: string) =>
  interrupted(
    `The guest agent knows nothing of ${command} any more: the guest or its agent was started anew, or its end was told and lost`,
    'Look in the guest at what it has done; then try the step again or skip it.',
  )

const maybeBegun = ({ program }: Pick<ProgramWork, 'program'>, cause?: unknown) =>
  stepFailed(
    'interrupted',
    `The answer to the start of ${program.command} was lost: it may run in the guest or not`,
    'Look in the guest at what it has done; then try the step again or skip it.',
    { cause },
  )
