// A program on the host of a site. The host keeps it by itself, by an id that we have written down before it is begun.
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { Outage, Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import { isCancelled } from '@understudy/engine/ports/cancelled'
import type { HostProgramState, HostPrograms } from '@understudy/engine/ports/host-programs'
import { readJson, replaceJson, writeOnce } from './attempt-folder.ts'
import { waitFor } from './bounded-wait.ts'
import { HEAD_BYTES, TAIL_BYTES, toText } from './kept-output.ts'
import { checkProgram } from './program-check.ts'
import { cannotStart, interrupted, maskEnd, type ProgramEnd } from './script-end.ts'
import { isFitForVariable, type ProgramWork } from './server-script.ts'
import { lastPart, MAY_RUN_ON, stepFailed } from './step-failures.ts'

/** What the host knows it by, and which host that is. */
type Order = { readonly id: string; readonly place: string }

const FIRST_POLL_MILLISECONDS = 100
const LONGEST_POLL_MILLISECONDS = 2000
const AGAIN_MILLISECONDS = 2000
/** What a host needs at most from the end of the time to the end of the program. */
const HOST_MILLISECONDS = 10_000
/** From our first try to end it: what no signal ends, as a program whose disk hangs, holds nobody up for longer. */
const LAST_MILLISECONDS = 30_000

/** See runOnServer. */
export async function runOnHost(folder: string, host: HostPrograms, work: ProgramWork): Promise<ProgramEnd> {
  const endFile = join(folder, 'host-end.json')
  const known = await readJson<ProgramEnd>(endFile)
  if (known !== null) {
    await forgetKept(folder, host)
    return known
  }
  const { id, place } = await orderOf(folder, host)
  if (place !== host.place) throw moved(work.program.command)
  await begin(id, host, work)
  try {
    const end = maskEnd(await waitForEnd(id, host, work), work.mask)
    await replaceJson(endFile, end)
    await unlessAway(host.forget(id))
    return end
  } catch (error) {
    // Another one who asks has kept the end, and had the host forget it.
    const kept = await readJson<ProgramEnd>(endFile)
    if (kept !== null) return kept
    throw error
  }
}

/** A kill right after the end was kept has left it there, and what it printed with secrets if there were any. */
async function forgetKept(folder: string, host: HostPrograms): Promise<void> {
  const order = await readJson<Order>(orderFile(folder))
  if (order?.place === host.place) await unlessAway(host.forget(order.id))
}

const orderFile = (folder: string): string => join(folder, 'host.json')

/** The same for everybody who asks: the first one's. */
async function orderOf(folder: string, { place }: HostPrograms): Promise<Order> {
  const file = orderFile(folder)
  const order: Order = { id: randomUUID(), place }
  return (await writeOnce(file, order)) ? order : ((await readJson<Order>(file)) ?? order)
}

/** Repeated until the host has answered: it begins each id once. Not after the deadline: what was begun is looked for then. */
async function begin(id: string, host: HostPrograms, work: ProgramWork): Promise<void> {
  const { clock, deadline, signal, report, program, context } = work
  checkProgram(program)
  const fits = isFitForVariable(context)
  const environment = { ...program.environment, ...(fits ? { UNDERSTUDY_CONTEXT: context } : {}) }
  let last: Outage | null = null
  while (clock.now() < deadline) {
    await leaveIfAborted(id, host, work)
    try {
      await host.begin(id, {
        ...program,
        environment,
        contextFile: fits ? null : context,
        limitMilliseconds: deadline - clock.now(),
        keepBytes: { head: HEAD_BYTES, tail: TAIL_BYTES },
      })
      report(`${program.command} runs on the host`)
      return
    } catch (error) {
      if (error instanceof Refusal)
        throw stepFailed(lastPart(error.code), error.message, error.remedy, { cause: error })
      if (!(error instanceof Outage)) throw error
      last = error
    }
    report(last.message)
    await waitFor(AGAIN_MILLISECONDS, signal)
  }
  if (last === null) return
  await leaveIfAborted(id, host, work)
  throw silent(`${program.command} was not known to have begun in time: ${last.message}`)
}

async function waitForEnd(id: string, host: HostPrograms, work: ProgramWork): Promise<ProgramEnd> {
  const { clock, deadline, signal, report, program } = work
  let pause = FIRST_POLL_MILLISECONDS
  /** Null: we have not ended it, the host ends it in time by itself. */
  let giveUpAt: Instant | null = null
  for (;;) {
    await leaveIfAborted(id, host, work)
    // Before the look: what had ended in time has ended, however late we come to it.
    const now = clock.now()
    const state = await stateOf(id, host)
    switch (state?.kind) {
      case 'ended':
        return toEnd(giveUpAt === null ? state : asTimeout(state), program.command)
      case 'unknown':
        throw now < deadline ? lost(program.command, null) : notBegun(program.command)
      case 'lost':
        // Ended together with what watched over it, so what it printed has gone too.
        if (giveUpAt !== null && state.pid === null) return { kind: 'timeout', output: '' }
        throw lost(program.command, state.pid)
      case 'running':
      case undefined:
    }
    if (state === null) report('the host does not answer just now')
    if (now > deadline + HOST_MILLISECONDS) {
      if (state === null) throw silent(`Nobody knows how ${program.command} has ended`)
      giveUpAt ??= now + LAST_MILLISECONDS
      if (now > giveUpAt) throw unending(program.command)
      if (!(await unlessAway(host.end(id)))) throw silent(`Nobody knows whether ${program.command} was ended`)
    }
    await waitFor(pause, signal)
    pause = Math.min(pause * 1.5, LONGEST_POLL_MILLISECONDS)
  }
}

/**
 * Cancelled: it is ended first. Also while nobody has said that it has begun: the answer to that may have been lost, or it was begun
 * before our last life ended. Aborted for another reason: it runs on.
 */
async function leaveIfAborted(
  id: string,
  host: HostPrograms,
  { signal, program }: ProgramWork,
): Promise<void> {
  if (isCancelled(signal)) {
    if (!(await unlessAway(host.end(id)))) throw mayRunOn(program.command)
    await unlessAway(host.forget(id))
  }
  signal.throwIfAborted()
}

/** Null: no answer just now. */
async function stateOf(id: string, host: HostPrograms): Promise<HostProgramState | null> {
  try {
    return await host.state(id)
  } catch (error) {
    if (error instanceof Outage) return null
    throw error
  }
}

/** Whether it has answered. */
async function unlessAway(call: Promise<void>): Promise<boolean> {
  try {
    await call
    return true
  } catch (error) {
    if (error instanceof Outage) return false
    throw error
  }
}

type Ended = Extract<HostProgramState, { kind: 'ended' }>

/** That we asked for its end because of its time, the host does not know. */
const asTimeout = (end: Ended): Ended => (end.endedBy === 'abort' ? { ...end, endedBy: 'timeout' } : end)

function toEnd(end: Ended, command: string): ProgramEnd {
  if (end.notStarted !== null) throw cannotStart(command, end.notStarted, 'the host')
  const output = toText(end.head, end.tail, end.bytes)
  if (end.endedBy === 'timeout') return { kind: 'timeout', output }
  if (end.endedBy === 'abort') return { kind: 'killed', signal: 'us, because the step was cancelled', output }
  if (end.exitCode === null) return { kind: 'killed', signal: end.signal ?? 'a signal', output }
  return { kind: 'exited', exitCode: end.exitCode, output }
}

const LOOK = 'Look at the host at what it has done; then try the step again or skip it.'

const lost = (command: string, pid: number | null) =>
  interrupted(
    pid === null
      ? `${command} was interrupted, as by a restart of the host: nobody knows how far it came`
      : `What watched over ${command} was ended, so nobody will know how it ends; it still runs on the host as process ${pid}`,
    LOOK,
  )

const unending = (command: string) =>
  interrupted(`${command} did not end in time, and it still runs on the host although it was killed`, LOOK)

const moved = (command: string) =>
  interrupted(`${command} was begun on another host: the settings of the site have been changed since`, LOOK)

const notBegun = (command: string) =>
  stepFailed(
    'timeout',
    `${command} was not begun before its time was up`,
    'Give the step more time, or try it again.',
  )

const mayRunOn = (command: string) =>
  stepFailed(
    lastPart(MAY_RUN_ON),
    `The step was cancelled, but the host does not answer: ${command} may still run there`,
    'Look at the host once it answers, and end the program there; else it is ended when its time is up.',
  )

const silent = (message: string) =>
  stepFailed(
    'host-silent',
    message,
    'See that the host can be reached: test the connection of its site. Look there at what the program has done before you try it again.',
  )
