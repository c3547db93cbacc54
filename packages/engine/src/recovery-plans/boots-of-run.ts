// Which boots a run of a plan has made. What follows the run up is about these: a machine that was seen to by hand since, or that somebody
// else has up, is none of its business.
import type { Run, RunId } from '@understudy/domain/failover/failover'
import type { Job, JobId, JobKind } from '@understudy/domain/jobs/job'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PlanMachine } from '@understudy/domain/recovery-plans/plan'
import { machinesOf } from '@understudy/domain/recovery-plans/plan-items'
import type { PlanActivity, PlanRun, PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import { pendingActivity } from '@understudy/domain/recovery-plans/plan-run'
import type { EngineParts } from '../engine-parts.ts'
import { newestBoot } from '../failover/newest-boot.ts'
import { someAtOnce } from './some-at-once.ts'

const PAGE = { limit: 200, cursor: null }

/** The follow-ups of a run, from new to old. */
export async function followUpsOf(
  { stores }: Pick<EngineParts, 'stores'>,
  run: Pick<PlanRun, 'id' | 'planId'>,
): Promise<readonly PlanRun[]> {
  const { rows } = await stores.planRuns.list({ planId: run.planId }, PAGE)
  return rows.filter(({ followsUp }) => followsUp === run.id)
}

/** What the run that is followed up has done, and the points that were chosen instead afterwards. None of a run that follows nothing. */
export async function followedActivities(
  parts: Pick<EngineParts, 'stores'>,
  { followsUp, planId }: Pick<PlanRun, 'followsUp' | 'planId'>,
): Promise<readonly PlanActivity[]> {
  if (followsUp === null) return []
  const followed = { id: followsUp, planId }
  const runs = [followed, ...(await followUpsOf(parts, followed))]
  return (await Promise.all(runs.map(({ id }) => parts.stores.planRuns.activities(id)))).flat()
}

/**
 * By which run each of these boots was made; those that no plan has made are not in it. A boot is written into its activity when that ends: one whose
 * job goes on by itself, because somebody has skipped it, is known by the job.
 */
export async function plansOfBoots(
  { stores }: Pick<EngineParts, 'stores'>,
  boots: readonly Run[],
): Promise<ReadonlyMap<RunId, PlanRunId>> {
  if (boots.length === 0) return new Map()
  const written = await stores.planRuns.ofBoots(boots.map(({ id }) => id))
  const others = boots.filter(({ id }) => !written.has(id))
  const jobs = await someAtOnce(others, async (boot) => {
    const filter = { subjectId: boot.protectionId, kinds: bootingKinds }
    const { rows } = await stores.jobs.list(filter, { limit: 20, cursor: null })
    return rows.find((job) => isBootOf(boot, job))?.id ?? null
  })
  const ids = jobs.filter((id) => id !== null)
  const byJob = ids.length === 0 ? new Map<JobId, PlanRunId>() : await stores.planRuns.ofJobs(ids)
  const found = others.flatMap((boot, index) => {
    const jobId = jobs[index] ?? null
    const run = jobId === null ? undefined : byJob.get(jobId)
    return run === undefined ? [] : [[boot.id, run] as const]
  })
  return new Map([...written, ...found])
}

const bootingKinds: readonly JobKind[] = [
  'planned-failover',
  'unplanned-failover',
  'fail-back',
  'change-point',
]

/** What there is of a machine for a run of this kind: the boot that it has made, or would act on. Null: nothing. */
export async function activeBoot(
  { stores }: Pick<EngineParts, 'stores'>,
  id: ProtectionId,
  runKind: PlanRun['kind'],
): Promise<Run | null> {
  const ofTest = runKind === 'test' || runKind === 'clean-up'
  return (await stores.runs.active(id)).find(({ kind }) => (kind === 'test') === ofTest) ?? null
}

/** A boot keeps the time of the click that it was asked for with. Pure. */
export const isBootOf = (boot: Pick<Run, 'startedAt'>, job: Pick<Job, 'createdAt'>): boolean =>
  boot.startedAt === job.createdAt

/** Whether the machine stands as the followed run has left it. `followed`: see followedActivities. */
export async function isOfRun(
  parts: EngineParts,
  run: PlanRun,
  { id, protectionId }: Pick<PlanMachine, 'id' | 'protectionId'>,
  followed: readonly PlanActivity[],
): Promise<boolean> {
  if (run.followsUp === null) return true
  // A committed failover is over, and its machine the one to be reprotected.
  const boot =
    run.kind === 'reprotect'
      ? await newestBoot(parts, protectionId)
      : await activeBoot(parts, protectionId, run.kind)
  if (boot === null) return false
  const mine = followed.filter(({ itemId }) => itemId === id)
  if (mine.some(({ bootId }) => bootId === boot.id)) return true
  // One that was skipped while its job was at work.
  const jobs = await Promise.all(
    mine.flatMap(({ jobId }) => (jobId === null ? [] : [parts.stores.jobs.find(jobId as JobId)])),
  )
  return jobs.some((job) => job !== null && isBootOf(boot, job))
}

/** Of a follow-up: machines that the run did not bring up are passed over from the start, and it is said. */
export async function activitiesOfFollowUp(
  parts: EngineParts,
  run: PlanRun,
): Promise<readonly PlanActivity[]> {
  const followed = await followedActivities(parts, run)
  return await Promise.all(
    machinesOf(run.plan).map(async (machine) => {
      const pending = pendingActivity(run.id, machine.id)
      const note = await whyPassedOver(parts, run, machine, followed)
      return note === null ? pending : { ...pending, state: 'skipped', endedAt: parts.clock.now(), note }
    }),
  )
}

export const NOT_COMMITTED = 'Its failover is not committed'

async function whyPassedOver(
  parts: EngineParts,
  run: PlanRun,
  machine: PlanMachine,
  followed: readonly PlanActivity[],
): Promise<string | null> {
  if (!(await isOfRun(parts, run, machine, followed)))
    return 'The run did not bring it up, or it was seen to since'
  if (run.kind !== 'reprotect') return null
  const protection = await parts.stores.protections.find(machine.protectionId)
  return protection?.state === 'failedOver' ? NOT_COMMITTED : null
}
