// Which action is allowed on which protection now, and the same verdict enforced when one is asked for.
import { Refusal } from '@understudy/base/errors'
import {
  type AllowedAction,
  allowedActions,
  type ProtectionAction,
} from '@understudy/domain/failover/allowed-actions'
import type { Run } from '@understudy/domain/failover/failover'
import {
  activeJobStates,
  harmlessKinds,
  type Job,
  type JobId,
  type JobKind,
} from '@understudy/domain/jobs/job'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { Seed } from '@understudy/domain/seeds/seed'
import { loadProtection } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import { describeKind } from '../jobs/run-job.ts'
import { activeJobsOf } from '../jobs/start-job.ts'
import type { ProtectionSummary } from '../ports/stores.ts'
import { type NoTargets, noTargets } from '../sites/no-target.ts'

type ActionParts = Pick<EngineParts, 'stores' | 'platforms' | 'sleep'>

const MANY = { limit: 10_000, cursor: null }

/** `known`: of its target, by whoever has asked already. */
export async function actionsOf(
  parts: ActionParts,
  id: ProtectionId,
  known?: NoTargets,
): Promise<readonly AllowedAction[]> {
  const protection = await loadProtection(parts, id)
  const [summary, runs, jobs, seed, obstacles] = await Promise.all([
    parts.stores.protections.summary(id),
    parts.stores.runs.active(id),
    activeJobsOf(parts, id),
    parts.stores.seeds.find(id),
    known ?? noTargets(parts, [protection.targetSiteId]),
  ])
  const hasPoint = summary.newestPoint !== null
  return verdicts(protection, { hasPoint, runs, jobs, seed, obstacles })
}

/** Of protections that were just read, with what is known around them: nothing is read twice for one answer, no site asked twice. */
export async function actionsOfAll(
  { stores }: Pick<ActionParts, 'stores'>,
  protections: readonly Protection[],
  { summaries, obstacles }: { readonly summaries: Summaries; readonly obstacles: NoTargets },
): Promise<ReadonlyMap<ProtectionId, readonly AllowedAction[]>> {
  const [runs, seeds, jobs] = await Promise.all([
    stores.runs.active(),
    stores.seeds.list(),
    stores.jobs.list({ states: activeJobStates }, MANY),
  ])
  const runsOf = Map.groupBy(runs, (run) => run.protectionId)
  const jobsOf = Map.groupBy(jobs.rows, (job) => job.subjectId)
  const seedsOf = new Map(seeds.map((seed) => [seed.protectionId, seed]))
  return new Map(
    protections.map((protection) => {
      const { id } = protection
      const hasPoint = (summaries.get(id)?.newestPoint ?? null) !== null
      const seed = seedsOf.get(id) ?? null
      const mine = { runs: runsOf.get(id) ?? [], jobs: jobsOf.get(id) ?? [], seed }
      return [id, verdicts(protection, { hasPoint, ...mine, obstacles })]
    }),
  )
}

type Summaries = ReadonlyMap<ProtectionId, ProtectionSummary>

type Around = {
  readonly hasPoint: boolean
  readonly runs: readonly Run[]
  readonly jobs: readonly Job[]
  readonly seed: Seed | null
  readonly obstacles: NoTargets
}

function verdicts(
  protection: Protection,
  { hasPoint, runs, jobs, seed, obstacles }: Around,
): readonly AllowedAction[] {
  const noTarget = obstacles.get(protection.targetSiteId)
  const busy = jobs.find(({ kind }) => !harmlessKinds.includes(kind))
  return allowedActions({
    protection,
    hasPoint,
    seed,
    test: runs.find(({ kind }) => kind === 'test') ?? null,
    noTarget: noTarget ? { reason: noTarget.message, remedy: noTarget.remedy } : null,
    busyWith: busy ? describeKind(busy.kind) : null,
    waitsForAnswer: jobs.some((job) => job.state === 'waiting'),
  })
}

/** Refuses with the very reason that the console shows on the button. */
export async function refuseUnlessAllowed(
  parts: ActionParts,
  id: ProtectionId,
  action: ProtectionAction,
): Promise<Protection> {
  const protection = await loadProtection(parts, id)
  const verdict = (await actionsOf(parts, id)).find((candidate) => candidate.action === action)
  if (verdict?.allowed) return protection
  throw new Refusal({
    code: 'protection/not-allowed',
    message: `${protection.name}: ${verdict?.reason ?? 'this is not possible now'}`,
    remedy: verdict?.remedy ?? 'See the protection for what is possible now.',
    facts: { action },
  })
}

/** What the job does must be allowed now, not only when it was asked for first. */
export async function refuseRetry(parts: ActionParts, jobId: JobId): Promise<void> {
  const job = await parts.stores.jobs.find(jobId)
  const action = job && actionOfJob(job.kind)
  // A first copy that failed is asked for in no other way; whether a job can be run again at all is told by the retry itself.
  if (job?.state === 'failed' && action)
    await refuseUnlessAllowed(parts, job.subjectId as ProtectionId, action)
}

function actionOfJob(kind: JobKind): ProtectionAction | null {
  switch (kind) {
    case 'protect':
    case 'tidy-up':
    case 'create-lab':
    case 'scrub':
    case 'plan-step':
    // Refuses by itself what is no second life any more.
    case 'power-off-old':
      return null
    case 'end-protection':
      return 'end'
    case 'resync':
    case 'export-seed':
    case 'import-seed':
    case 'test-failover':
    case 'clean-up-test':
    case 'planned-failover':
    case 'unplanned-failover':
    case 'change-point':
    case 'start-replica':
    case 'roll-back':
    case 'commit':
    case 'reprotect':
    case 'fail-back':
      return kind
  }
}
