// A script in a machine that runs in a cloud. The cloud keeps it by itself under the id of the attempt, so whoever asks again finds it.
import { join } from 'node:path'
import { Outage, Refusal } from '@understudy/base/errors'
import type { Clock, Instant } from '@understudy/base/instant'
import type { AzureRunCommandAction } from '@understudy/domain/recovery-plans/step-action'
import { isCancelled } from '@understudy/engine/ports/cancelled'
import type { CloudScript, CloudScriptState } from '@understudy/engine/ports/cloud-services'
import type { CloudMachine, StepOutcome, StepWork } from '@understudy/engine/ports/step-runner'
import { readJson, replaceJson, writeOnce } from './attempt-folder.ts'
import { limitTo, waitFor } from './bounded-wait.ts'
import { clean } from './kept-output.ts'
import { outcomeOf } from './run-program.ts'
import { interrupted, maskEnd, type ProgramEnd } from './script-end.ts'
import { lastPart, MAY_RUN_ON, stepFailed } from './step-failures.ts'

export type CloudScriptWork = Pick<StepWork, 'attemptId' | 'cloudMachineOf' | 'mask' | 'deadline'> & {
  readonly clock: Clock
  readonly report: (line: string) => void
  readonly signal: AbortSignal
}

const NAME = 'The script'
const FIRST_POLL_MILLISECONDS = 1000
const LONGEST_POLL_MILLISECONDS = 10_000
const AGAIN_MILLISECONDS = 5000
/** What the agent in the guest needs at most to tell of an end. */
const REPORT_MILLISECONDS = 30_000
/** For Azure to say how it stands, or that it ends a script: nobody waits longer, not even for a step's own time. */
const ANSWER_MILLISECONDS = 60_000
/** What Azure has taken on, a look at it may not find at once. */
const SEEN_MILLISECONDS = 10_000

const noAnswer = new Outage({
  code: 'azure/unreachable',
  message: 'Azure gave no answer',
  remedy: 'Look at whether Azure can be reached, and at its agent in the guest; then try the step again.',
})

export async function runInCloud(
  folder: string,
  { machine, script, variables, timeoutSeconds }: AzureRunCommandAction,
  work: CloudScriptWork,
): Promise<StepOutcome> {
  const kept = await readJson<ProgramEnd>(endFile(folder))
  if (kept !== null) return outcomeOf(NAME, kept)
  const place = machine === null ? null : work.cloudMachineOf(machine)
  if (place === null) throw notThere()
  await refuseOther(folder, place)
  const { deadline } = work
  await begin(place, { text: script, variables, limitSeconds: timeoutSeconds, deadline }, work)
  const end = maskEnd(await waitForEnd(place, work), work.mask)
  await replaceJson(endFile(folder), end)
  return outcomeOf(NAME, end)
}

const endFile = (folder: string): string => join(folder, 'cloud-end.json')

/** An attempt is about one machine: in another one its id would begin the script anew. */
async function refuseOther(folder: string, { ref }: CloudMachine): Promise<void> {
  const file = join(folder, 'cloud.json')
  if (await writeOnce(file, { machine: ref })) return
  const known = await readJson<{ readonly machine: string }>(file)
  if (known?.machine === ref) return
  throw interrupted('The script was begun in a machine that does not run any more', LOOK)
}

/** Repeated until the cloud has taken it on, which it does once for an id. Not after the deadline: what was begun is looked for then. */
async function begin(
  { services, ref }: CloudMachine,
  script: CloudScript,
  work: CloudScriptWork,
): Promise<void> {
  const { attemptId, clock, deadline, report, signal } = work
  let last: Outage | null = null
  while (clock.now() < deadline) {
    await leaveIfAborted({ services, ref }, work)
    const limit = limitTo(deadline - clock.now(), signal)
    try {
      await services.scripts.begin(attemptId, ref, script, limit.signal)
      report(`${NAME} was handed to Azure`)
      return
    } catch (error) {
      await leaveIfAborted({ services, ref }, work)
      if (error instanceof Refusal)
        throw stepFailed(lastPart(error.code), error.message, error.remedy, { cause: error })
      if (!(error instanceof Outage) && !limit.isUp()) throw error
      last = error instanceof Outage ? error : noAnswer
    } finally {
      limit.end()
    }
    report(last.message)
    await waitFor(Math.min(AGAIN_MILLISECONDS, deadline - clock.now()), signal)
  }
  if (last === null) return
  await leaveIfAborted({ services, ref }, work)
  // It may have been taken on all the same: then it is looked for, and its end told.
  const state = await stateOf({ services, ref }, work)
  if (state !== null && state.kind !== 'unknown') return
  // Nor does it begin after we have said that it did not.
  await end({ services, ref }, work)
  throw stepFailed(
    state === null ? 'cloud-silent' : 'not-begun',
    `${NAME} ${state === null ? 'was not known to have begun' : 'could not be begun'} in time: ${last.message}`,
    state === null ? `${last.remedy} ${LOOK}` : last.remedy,
  )
}

async function waitForEnd(
  place: Pick<CloudMachine, 'services' | 'ref'>,
  work: CloudScriptWork,
): Promise<ProgramEnd> {
  const { clock, deadline, signal, report } = work
  let pause = FIRST_POLL_MILLISECONDS
  const seenFrom = Math.min(clock.now() + SEEN_MILLISECONDS, deadline)
  for (;;) {
    await leaveIfAborted(place, work)
    // Before the look: what had ended in time has ended, however late we come to it.
    const now = clock.now()
    const state = await stateOf(place, work)
    await leaveIfAborted(place, work)
    const end = state === null ? null : toEnd(state, { now, seenFrom, deadline })
    if (end !== null) return end
    if (state === null) report('Azure does not answer just now')
    if (now > deadline + REPORT_MILLISECONDS) return await giveUp(place, work)
    await waitFor(pause, signal)
    pause = Math.min(pause * 1.5, LONGEST_POLL_MILLISECONDS)
  }
}

/** Null: it runs. */
function toEnd(
  state: CloudScriptState,
  {
    now,
    seenFrom,
    deadline,
  }: { readonly now: Instant; readonly seenFrom: Instant; readonly deadline: Instant },
): ProgramEnd | null {
  switch (state.kind) {
    case 'running':
      return null
    case 'unknown':
      if (now < seenFrom) return null
      if (now < deadline) throw interrupted(`Azure knows nothing of ${NAME.toLowerCase()} any more`, LOOK)
      throw stepFailed(
        'timeout',
        `${NAME} was not begun before its time was up`,
        'Give the step more time, or try it again.',
      )
    case 'failed':
      throw stepFailed(
        'run-command-failed',
        `Azure could not run the script: ${state.message}`,
        "Look at Azure's agent in the guest: it has to be installed, to run, and to reach Azure.",
      )
    case 'ended':
      return { kind: 'exited', exitCode: state.exitCode, output: cleaned(state.output) }
    case 'timeout':
      return { kind: 'timeout', output: cleaned(state.output) }
    case 'cancelled':
      return { kind: 'killed', signal: 'somebody in Azure', output: cleaned(state.output) }
  }
}

const cleaned = (output: string): string => clean(Buffer.from(output, 'utf8'))

/** Nobody has told of its end in time. */
async function giveUp(
  place: Pick<CloudMachine, 'services' | 'ref'>,
  work: CloudScriptWork,
): Promise<ProgramEnd> {
  const told = await end(place, work)
  return { kind: 'timeout', output: told ? '' : 'It may still run in the guest: Azure does not answer.' }
}

/** Cancelled: it is ended first, also while nobody has said that it has begun. Aborted for another reason: it runs on. */
async function leaveIfAborted(
  place: Pick<CloudMachine, 'services' | 'ref'>,
  work: CloudScriptWork,
): Promise<void> {
  if (isCancelled(work.signal) && !(await end(place, work)))
    throw stepFailed(
      lastPart(MAY_RUN_ON),
      `The step was cancelled, but Azure does not answer: ${NAME.toLowerCase()} may still run in the guest`,
      'Look in the guest; Azure ends it when its time is up.',
    )
  work.signal.throwIfAborted()
}

/** Whether the cloud has answered. Asked also after a cancel, so it does not listen to that. */
async function end(
  { services, ref }: Pick<CloudMachine, 'services' | 'ref'>,
  { attemptId }: CloudScriptWork,
): Promise<boolean> {
  const limit = limitTo(ANSWER_MILLISECONDS, new AbortController().signal)
  try {
    await services.scripts.end(attemptId, ref, limit.signal)
    return true
  } catch (error) {
    if (error instanceof Outage || limit.isUp()) return false
    throw error
  } finally {
    limit.end()
  }
}

/** Null: no answer just now. */
async function stateOf(
  { services, ref }: Pick<CloudMachine, 'services' | 'ref'>,
  { attemptId, signal }: CloudScriptWork,
): Promise<CloudScriptState | null> {
  const limit = limitTo(ANSWER_MILLISECONDS, signal)
  try {
    return await services.scripts.state(attemptId, ref, limit.signal)
  } catch (error) {
    if (error instanceof Outage || limit.signal.aborted) return null
    throw error
  } finally {
    limit.end()
  }
}

const LOOK = 'Look in the guest at what it has done; then try the step again or skip it.'

const notThere = () =>
  stepFailed(
    'not-in-cloud',
    'The machine does not run in Azure just now',
    'Let the step come after the machine, and run in the direction in which it comes up in Azure.',
  )
