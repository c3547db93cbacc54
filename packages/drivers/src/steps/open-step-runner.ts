// The steps of plans, done: the adapter of the port StepRunner.
import { Outage, Refusal } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import {
  StepFailure,
  type StepOutcome,
  type StepRunner,
  type StepWork,
} from '@understudy/engine/ports/step-runner'
import { makeFolder, openAttempt, pruneAttempts } from './attempt-folder.ts'
import { changeInCloud } from './change-in-cloud.ts'
import { changeLoadBalancer } from './change-load-balancer.ts'
import { runInCloud } from './cloud-script.ts'
import { callHttp } from './http-call.ts'
import { probe } from './probe.ts'
import { runScript } from './run-program.ts'
import { codeOf, MAY_RUN_ON, stepFailed } from './step-failures.ts'
import { updateDns } from './update-dns.ts'

export type StepRunnerOptions = {
  /** Ours alone, and the same after every start: what was begun is found again there. It is made when there is none. */
  readonly folder: string
  readonly clock: Clock
}

export const openStepRunner = (options: StepRunnerOptions): StepRunner => ({
  async run(work, report, signal) {
    signal.throwIfAborted()
    try {
      return await runStep(options, work, atMostOnceASecond(report, options.clock), signal)
    } catch (error) {
      if (!(error instanceof StepFailure && error.code === MAY_RUN_ON)) signal.throwIfAborted()
      throw toStepFailure(error)
    }
  },
})

async function runStep(
  { folder: root, clock }: StepRunnerOptions,
  work: StepWork,
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<StepOutcome> {
  await makeFolder(root)
  await pruneAttempts(root, clock.now())
  const folder = await openAttempt(root, work.attemptId, work.deadline)
  const { action } = work
  const means = { clock, report, signal }
  switch (action.kind) {
    case 'script': {
      const { command, arguments: given, environment } = action
      const program = { command, arguments: given, environment }
      return runScript(folder, action, work, { ...work, ...means, program })
    }
    case 'probe':
      return probe(action, { folder, work, ...means })
    case 'http':
      return callHttp(folder, action, work, means)
    case 'dns':
      return updateDns(action, work, means)
    case 'load-balancer':
      return changeLoadBalancer(action, work, means)
    case 'traffic-manager':
    case 'azure-load-balancer':
    case 'azure-dns':
      return changeInCloud(action, work, means)
    case 'azure-run-command':
      return runInCloud(folder, action, { ...work, ...means })
  }
}

function atMostOnceASecond(report: (line: string) => void, clock: Clock): (line: string) => void {
  let nextAt = 0
  return (line) => {
    if (clock.now() < nextAt) return
    nextAt = clock.now() + 1000
    report(line)
  }
}

/** Whatever else has a code comes from the system: a full disk, a folder that may not be written. The rest is our fault. */
function toStepFailure(error: unknown): unknown {
  if (error instanceof StepFailure) return error
  if (error instanceof Refusal || error instanceof Outage)
    return new StepFailure({ code: error.code, message: error.message, remedy: error.remedy, cause: error })
  if (!/^E[A-Z]+$/.test(codeOf(error))) return error
  return stepFailed(
    'server-trouble',
    `The server of Understudy could not do the step: ${error instanceof Error ? error.message : String(error)}`,
    'Look at its disk and its memory; then try the step again.',
    { cause: error },
  )
}
