// What is done to a machine of a plan: one of the jobs that there are for a single machine.

import { Outage, Refusal } from '@understudy/base/errors'
import type { Run } from '@understudy/domain/failover/failover'
import type { JobId } from '@understudy/domain/jobs/job'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import { choiceOf } from '@understudy/domain/recovery-plans/plan-points'
import type { PlanRun } from '@understudy/domain/recovery-plans/plan-run'
import type { PointChoice } from '@understudy/domain/recovery-points/choose-point'
import type { SiteId } from '@understudy/domain/sites/site'
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
import { withinSeconds } from '../sites/bounded-call.ts'
import { originalsOf } from '../sites/platform-of.ts'

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

/** Refuses, beside what the job itself refuses, a machine that has been moved to the other side since the run began. */
export async function startMachineJob(
  jobs: MachineJobs,
  run: PlanRun,
  { protectionId, direction }: Pick<Protection, 'direction'> & { readonly protectionId: ProtectionId },
  jobId: JobId,
): Promise<void> {
  if (run.followsUp === null && direction !== run.direction) throw turned()
  const { settings } = run
  const choice = pointFor(run, protectionId)
  const request = { by: run.startedBy, jobId, protectionId }
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

/** What was chosen for it when the run began, or when an edit brought it in; its group may be another one by now. */
function pointFor({ point, cuts }: PlanRun, id: ProtectionId): PointChoice {
  const shared = cuts[id]
  if (!shared) return choiceOf(point)
  return shared.cut === null ? { kind: 'at', instant: shared.instant } : { kind: 'cut', cut: shared.cut }
}

const turned = (): Refusal =>
  new Refusal({
    code: 'recovery-plan/turned-round',
    message: 'The machine runs at the other side by now: the run was meant for the direction that it had',
    remedy: 'Cancel the run and start the plan anew.',
  })

/**
 * Whether the machine that a job has brought up has answered: its job ends well without that too, for whoever watches one machine can
 * judge by its screen. What needs it in a plan cannot. Null: it has, or does now, or this kind of run brings none up.
 */
export async function whyNotUp(parts: EngineParts, run: PlanRun, booted: Run | null): Promise<string | null> {
  if (!bringsUp(run.kind) || booted === null || booted.answeredAt !== null) return null
  // Its job has given up on it; whoever has it tried again has seen it come up since.
  if (booted.machineRef !== null && (await answersNow(parts, booted.targetSiteId, booted.machineRef)))
    return null
  return booted.failure ?? 'Its guest has not answered'
}

/** A target that cannot say counts as no. */
export async function answersNow(parts: EngineParts, siteId: SiteId, ref: MachineRef): Promise<boolean> {
  try {
    const bound = { seconds: parts.config.deadSiteSeconds, signal: new AbortController().signal }
    return await withinSeconds(parts, bound, async (signal) => {
      return (await (await originalsOf(parts, siteId)).probe(ref, signal)).answered
    })
  } catch (error) {
    if (error instanceof Outage || error instanceof Refusal) return false
    throw error
  }
}

export const bringsUp = (kind: PlanRun['kind']): boolean => {
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
