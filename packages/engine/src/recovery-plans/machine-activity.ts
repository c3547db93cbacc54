// What is done to a machine of a plan: one of the jobs that there are for a single machine.

import type { JobId } from '@understudy/domain/jobs/job'
import type { PlanMachine } from '@understudy/domain/recovery-plans/plan'
import type { PlanRun } from '@understudy/domain/recovery-plans/plan-run'
import type { EngineParts } from '../engine-parts.ts'
import type {
  ChangePointRequest,
  FailBackRequest,
  JobStarted,
  PlannedFailoverRequest,
  ProtectionRequest,
  ReprotectRequest,
  TestFailoverRequest,
  UnplannedFailoverRequest,
} from '../requests.ts'

/** The jobs on a machine that a plan is made of. Each refuses what is not allowed now, and is repeatable with the same job id. */
export type MachineJobs = {
  testFailover(request: TestFailoverRequest): Promise<JobStarted>
  cleanUpTest(request: ProtectionRequest): Promise<JobStarted>
  plannedFailover(request: PlannedFailoverRequest): Promise<JobStarted>
  unplannedFailover(request: UnplannedFailoverRequest): Promise<JobStarted>
  changePoint(request: ChangePointRequest): Promise<JobStarted>
  commit(request: ProtectionRequest): Promise<JobStarted>
  rollBack(request: ProtectionRequest): Promise<JobStarted>
  reprotect(request: ReprotectRequest): Promise<JobStarted>
  failBack(request: FailBackRequest): Promise<JobStarted>
}

export async function startMachineJob(
  jobs: MachineJobs,
  run: PlanRun,
  machine: PlanMachine,
  jobId: JobId,
): Promise<void> {
  const { settings, point: choice } = run
  const request = { by: run.startedBy, jobId, protectionId: machine.protectionId }
  const shutDown =
    settings.shutDownTimeoutSeconds === null
      ? {}
      : { shutDownTimeoutSeconds: settings.shutDownTimeoutSeconds }
  switch (run.kind) {
    case 'test': {
      const { allowOpenNetworks, answerTimeoutSeconds } = settings
      const answer = answerTimeoutSeconds === null ? {} : { answerTimeoutSeconds }
      await jobs.testFailover({ ...request, ...answer, choice, allowOpenNetworks })
      return
    }
    case 'planned':
      await jobs.plannedFailover({ ...request, ...shutDown })
      return
    case 'unplanned':
      await jobs.unplannedFailover({ ...request, choice, acceptUnfenced: settings.acceptUnfenced })
      return
    case 'fail-back':
      await jobs.failBack({ ...request, ...shutDown, overwriteModified: false })
      return
    case 'clean-up':
      await jobs.cleanUpTest(request)
      return
    case 'change-point':
      await jobs.changePoint({ ...request, choice })
      return
    case 'roll-back':
      await jobs.rollBack(request)
      return
    case 'commit':
      await jobs.commit(request)
      return
    case 'reprotect':
      await jobs.reprotect({ ...request, powerOffOriginal: false })
      return
  }
}

/**
 * Whether the machine that a job has brought up has answered: its job ends well without that too, for whoever watches one machine can
 * judge by its screen. What needs it in a plan cannot. Null: it has, or this kind of run brings none up.
 */
export async function whyNotUp(
  { stores }: Pick<EngineParts, 'stores'>,
  run: PlanRun,
  machine: PlanMachine,
): Promise<string | null> {
  if (!bringsUp(run.kind)) return null
  const active = await stores.runs.active(machine.protectionId)
  const booted = active.find(({ kind }) => (kind === 'test') === (run.kind === 'test'))
  if (booted === undefined || booted.answeredAt !== null) return null
  return booted.failure ?? 'Its guest has not answered'
}

const bringsUp = (kind: PlanRun['kind']): boolean => {
  switch (kind) {
    case 'test':
    case 'planned':
    case 'unplanned':
    case 'fail-back':
    case 'change-point':
      return true
    case 'clean-up':
    case 'roll-back':
    case 'commit':
    case 'reprotect':
      return false
  }
}

/** What has come of a job, as its last task that says anything puts it. */
export const noteOfJob = (tasks: readonly { readonly note: string | null }[]): string | null =>
  tasks.findLast(({ note }) => note !== null)?.note ?? null
