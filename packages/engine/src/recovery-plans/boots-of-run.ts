// Which boots a run of a plan has made. What follows the run up is about these: a machine that was seen to by hand since, or that somebody
// else has up, is none of its business.
import type { Run } from '@understudy/domain/failover/failover'
import type { JobId } from '@understudy/domain/jobs/job'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PlanMachine } from '@understudy/domain/recovery-plans/plan'
import { machinesOf } from '@understudy/domain/recovery-plans/plan-items'
import type { FollowUpKind, PlanActivity, PlanRun } from '@understudy/domain/recovery-plans/plan-run'
import { pendingActivity } from '@understudy/domain/recovery-plans/plan-run'
import type { EngineParts } from '../engine-parts.ts'
import { newestBoot } from '../failover/newest-boot.ts'

const PAGE = { limit: 200, cursor: null }

/** The follow-ups of a run, from new to old. */
export async function followUpsOf(
  { stores }: Pick<EngineParts, 'stores'>,
  run: Pick<PlanRun, 'id' | 'planId'>,
): Promise<readonly PlanRun[]> {
  const { rows } = await stores.planRuns.list({ planId: run.planId }, PAGE)
  return rows.filter(({ followsUp }) => followsUp === run.id)
}

/** Of the run itself, and of the points that were chosen instead afterwards. */
async function activitiesOfAll(
  parts: Pick<EngineParts, 'stores'>,
  run: Pick<PlanRun, 'id' | 'planId'>,
): Promise<readonly PlanActivity[]> {
  const runs = [run, ...(await followUpsOf(parts, run))]
  return (await Promise.all(runs.map(({ id }) => parts.stores.planRuns.activities(id)))).flat()
}

/** What there is of a machine for a follow-up of this kind: the boot that it would act on. Null: nothing. */
export async function bootToFollow(
  parts: EngineParts,
  kind: FollowUpKind,
  id: ProtectionId,
): Promise<Run | null> {
  if (kind === 'reprotect') return await newestBoot(parts, id)
  return await activeBoot(parts, id, kind === 'clean-up')
}

export async function activeBoot(
  { stores }: Pick<EngineParts, 'stores'>,
  id: ProtectionId,
  ofTest: boolean,
): Promise<Run | null> {
  return (await stores.runs.active(id)).find(({ kind }) => (kind === 'test') === ofTest) ?? null
}

/** Whether the machine stands as the followed run has left it. */
export async function isOfRun(
  parts: EngineParts,
  run: PlanRun,
  { id, protectionId }: Pick<PlanMachine, 'id' | 'protectionId'>,
): Promise<boolean> {
  if (run.followsUp === null) return true
  const boot = await bootToFollow(parts, run.kind as FollowUpKind, protectionId)
  if (boot === null) return false
  const activities = await activitiesOfAll(parts, { id: run.followsUp, planId: run.planId })
  const mine = activities.filter(({ itemId }) => itemId === id)
  if (mine.some(({ bootId }) => bootId === boot.id)) return true
  // One that was skipped while its job was at work: a boot keeps the time of the click that it was asked for with.
  const jobs = await Promise.all(
    mine.flatMap(({ jobId }) => (jobId === null ? [] : [parts.stores.jobs.find(jobId as JobId)])),
  )
  return jobs.some((job) => job?.createdAt === boot.startedAt)
}

/** Of a follow-up: machines that the run did not bring up are passed over from the start, and it is said. */
export async function activitiesOfFollowUp(
  parts: EngineParts,
  run: PlanRun,
): Promise<readonly PlanActivity[]> {
  return await Promise.all(
    machinesOf(run.plan).map(async (machine) => {
      const pending = pendingActivity(run.id, machine.id)
      if (await isOfRun(parts, run, machine)) return pending
      const note = 'The run did not bring it up, or it was seen to since'
      return { ...pending, state: 'skipped', endedAt: parts.clock.now(), note }
    }),
  )
}
