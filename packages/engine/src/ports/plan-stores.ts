// How recovery plans, their versions and their runs are kept. PostgreSQL in the product, plain memory in tests: same contract suite.

import type { Instant } from '@understudy/base/instant'
import type { RunId } from '@understudy/domain/failover/failover'
import type { JobId } from '@understudy/domain/jobs/job'
import type { RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import type { ItemId, PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import type {
  ActivityAnswer,
  PlanActivity,
  PlanRun,
  PlanRunCuts,
  PlanRunId,
  PlanRunState,
} from '@understudy/domain/recovery-plans/plan-run'
import type { ActivityState } from '@understudy/domain/recovery-plans/schedule-plan'
import type { Page, PageRequest } from './page.ts'

/** One saved state of a plan. `version` counts from 1. */
export type PlanVersion = {
  readonly plan: RecoveryPlan
  readonly version: number
  readonly savedAt: Instant
  readonly savedBy: string
  /** What whoever saved it has said about it; may be empty. */
  readonly comment: string
}

export interface PlanStore {
  /** The newest version of each, by name. */
  list(): Promise<readonly PlanVersion[]>
  find(id: PlanId): Promise<PlanVersion | null>
  /** Version 1. Refuses a name that is taken, whatever its case (`recovery-plan/name-taken`). */
  create(first: PlanVersion): Promise<void>
  /** Compare and set: returns false, changing nothing, unless `next.version - 1` is the newest one, or when the plan has gone. Refuses a taken name. */
  save(next: PlanVersion): Promise<boolean>
  /** From new to old; none of a plan that is not there. */
  versions(id: PlanId): Promise<readonly Omit<PlanVersion, 'plan'>[]>
  version(id: PlanId, version: number): Promise<PlanVersion | null>
  /** With its versions and secrets. In one act with the look: refuses while a run of it is active (`recovery-plan/running`). Runs stay. Repeatable. */
  remove(id: PlanId): Promise<void>
  /** Values of its secret parameters by name. Kept sealed; no other function returns them. */
  secrets(id: PlanId): Promise<Readonly<Record<string, string>>>
  /** Null takes one away; what is not named stays. Refuses a plan that is not there (`recovery-plan/not-found`). */
  changeSecrets(id: PlanId, change: Readonly<Record<string, string | null>>): Promise<void>
}

/** What changes of an activity; everything else of the row stays. */
export type ActivityChange = Partial<Omit<PlanActivity, 'planRunId' | 'itemId'>>

export interface PlanRunStore {
  /**
   * With all its activities and its secrets, in one act. One of this id that is there already stays as it is. Refuses while another run of
   * the plan is active (`recovery-plan/running`); a clean-up may begin while the test that it follows up is about to end.
   */
  create(
    run: PlanRun,
    activities: readonly PlanActivity[],
    secrets: Readonly<Record<string, string>>,
  ): Promise<void>
  find(id: PlanRunId): Promise<PlanRun | null>
  /** From new to old. */
  list(
    filter: {
      readonly planId?: PlanId
      readonly states?: readonly PlanRunState[]
      readonly kinds?: readonly PlanRun['kind'][]
    },
    page: PageRequest,
  ): Promise<Page<PlanRun>>
  /** In `activePlanRunStates`. */
  active(): Promise<readonly PlanRun[]>
  /**
   * Compare and set: returns false, changing nothing, when the state is not `from` any more, or when `ifChanges` is given and an activity has been
   * changed since the run was read with it. To succeeded or cancelled: its secrets go in the same act. Refuses to let one that has failed go
   * on while another run of the plan is active (`recovery-plan/running`).
   */
  move(
    id: PlanRunId,
    from: PlanRunState,
    to: PlanRunState,
    change?: Partial<Pick<PlanRun, 'note' | 'endedAt'>>,
    ifChanges?: number,
  ): Promise<boolean>
  /**
   * Another copy of the plan, with its activities: those of `added` come as pending ones, those of `removed` go, in one act, and `changes` rises. Returns false,
   * changing nothing, when the revision is not `fromRevision` any more, the run is not active or failed, or one of `removed` or `changed` is not
   * pending any more. `changed`: items that stay, but not as they were, or not where.
   */
  replacePlan(
    id: PlanRunId,
    fromRevision: number,
    change: {
      readonly plan: RecoveryPlan
      readonly added: readonly ItemId[]
      readonly removed: readonly ItemId[]
      readonly changed: readonly ItemId[]
      /** Default: those that it has. */
      readonly cuts?: PlanRunCuts
    },
  ): Promise<boolean>
  /** Values of its secret parameters by name, as long as it may need them. */
  secrets(id: PlanRunId): Promise<Readonly<Record<string, string>>>

  /** Their order says nothing. */
  activities(id: PlanRunId): Promise<readonly PlanActivity[]>
  /**
   * Compare and set: returns false, changing nothing, unless the activity is in this state of this attempt and its run in one of these. In one act
   * with the look at both; `changes` of the run rises.
   * `planRevision`: the copy of the plan is still the one that the caller has decided by.
   */
  moveActivity(
    id: PlanRunId,
    itemId: ItemId,
    from: {
      readonly state: ActivityState
      readonly attempt: number
      readonly run: readonly PlanRunState[]
      readonly planRevision?: number
    },
    change: ActivityChange,
  ): Promise<boolean>
  /** Of a running activity without an answer, in this attempt: the first one counts, and `changes` rises. False, changing nothing: it is not, or has one. */
  answer(id: PlanRunId, itemId: ItemId, attempt: number, answer: ActivityAnswer): Promise<boolean>
  /** By which run each of these boots was made; those that no plan has made are not in it. */
  ofBoots(bootIds: readonly RunId[]): Promise<ReadonlyMap<RunId, PlanRunId>>
  /** For which run each of these jobs is the newest attempt at a machine or step; those of no plan are not in it. */
  ofJobs(jobIds: readonly JobId[]): Promise<ReadonlyMap<JobId, PlanRunId>>
  /**
   * How long the items of a plan took before in runs of these kinds: activities that succeeded, of the newest `limit` runs, from old to new. In seconds, by
   * item; what a machine's boot waited for a person is left out.
   */
  durations(
    planId: PlanId,
    kinds: readonly PlanRun['kind'][],
    limit: number,
  ): Promise<ReadonlyMap<ItemId, readonly number[]>>
  /** Bounded history: drops runs that ended before and are not active, with everything of theirs. Returns how many. */
  trim(before: Instant): Promise<number>
}
