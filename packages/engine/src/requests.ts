// What is asked of the engine: plain data, checked for sense by the use cases and for shape by the contract.
import type { JobId } from '@understudy/domain/jobs/job'
import type { DiskKey, MachineId } from '@understudy/domain/machines/machine'
import type { PolicyId, PolicySettings } from '@understudy/domain/protection/policy'
import type { AdapterMapping, GroupId, ProtectionId } from '@understudy/domain/protection/protection'
import type { PlanRunKind, PlanStep, RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import type { ItemId, PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import type {
  FollowUpKind,
  PlanPointChoice,
  PlanRunId,
  PlanRunSettings,
} from '@understudy/domain/recovery-plans/plan-run'
import type { GivenParameters, SiteFailoverId } from '@understudy/domain/recovery-plans/site-failover'
import type { TestSettings } from '@understudy/domain/recovery-plans/test-schedule'
import type { PointChoice } from '@understudy/domain/recovery-points/choose-point'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import type { Platform, SiteId } from '@understudy/domain/sites/site'

/**
 * Who asks, for the audit. `jobId` makes a request repeatable: the same id starts one job only, so whoever keeps an
 * idempotency key derives it from there. Left out: a new one.
 */
export type Asker = { readonly by: string; readonly jobId?: JobId }

export type JobStarted = { readonly jobId: JobId }

export type NewSite = {
  readonly name: string
  readonly platform: Platform
  readonly settings: Readonly<Record<string, unknown>>
  readonly secrets: Readonly<Record<string, string>>
}

/** What is left out stays as it is. */
export type SiteChange = {
  /** The settings that whoever changes them has seen: refused where there are others by now. Left out: whatever there is. */
  readonly before?: Readonly<Record<string, unknown>>
  readonly name?: string
  readonly settings?: Readonly<Record<string, unknown>>
  readonly secrets?: Readonly<Record<string, string>>
}

export type NewPolicy = PolicySettings & { readonly name: string }

export type NewGroup = { readonly name: string; readonly members: readonly ProtectionId[] }

export type ChangeGroupRequest = Asker & {
  readonly groupId: GroupId
  readonly name?: string
  /** For all its machines. */
  readonly policyId?: PolicyId
}

export type ProtectRequest = Asker & {
  readonly machineId: MachineId
  readonly targetSiteId: string
  readonly policyId: PolicyId
  /** Default: the machine's name. */
  readonly name?: string
  readonly adapters: readonly AdapterMapping[]
  readonly excludedDisks: readonly DiskKey[]
  /** The consistency group that it comes into from its first point on. Default: none. */
  readonly groupId?: GroupId
}

/** Everything that can be edited while a protection goes on. What is left out stays as it is. */
export type EditProtectionRequest = Asker & {
  readonly protectionId: ProtectionId
  readonly name?: string
  readonly policyId?: PolicyId
  readonly adapters?: readonly AdapterMapping[]
  /** A disk that comes back is copied in full; one that leaves is missing from newer points. */
  readonly excludedDisks?: readonly DiskKey[]
}

export type ProtectionRequest = Asker & { readonly protectionId: ProtectionId }

/** `folder`: on the server. The passphrase is kept sealed until the job has done its work, and never told again. */
export type SeedRequest = ProtectionRequest & {
  readonly folder: string
  readonly passphrase: string
  /** For an export: the folder may lie on a disk that the server itself lives on. Default false. */
  readonly acceptServerDisk?: boolean
}

export type EndProtectionRequest = ProtectionRequest & { readonly deleteReplica: boolean }

export type TestFailoverRequest = ProtectionRequest & {
  readonly choice: PointChoice
  /** How long the guest has to answer; then the test is up but counts as not passed. Default: the configuration's. */
  readonly answerTimeoutSeconds?: number
  /** Let the test use the networks of a failover where no isolated one is mapped. Default false. */
  readonly allowOpenNetworks?: boolean
}

export type PlannedFailoverRequest = ProtectionRequest & { readonly shutDownTimeoutSeconds?: number }

export type UnplannedFailoverRequest = ProtectionRequest & {
  readonly choice: PointChoice
  /** Answers beforehand what would be asked when the source cannot be proven off. Goes into the audit. */
  readonly acceptUnfenced: boolean
}

export type ChangePointRequest = ProtectionRequest & { readonly choice: PointChoice }

export type ReprotectRequest = ProtectionRequest & {
  /** The original machine runs again (the site came back): switch it off. Without it that is a refusal. */
  readonly powerOffOriginal: boolean
  /** Networks for a later failover in the new direction. Default: those of the original machine. */
  readonly adapters?: readonly AdapterMapping[]
}

export type FailBackRequest = ProtectionRequest & {
  /** The original's disks were written to since it was last proven off: overwrite that. Goes into the audit. */
  readonly overwriteModified: boolean
  readonly shutDownTimeoutSeconds?: number
}

export type AnswerRequest = Asker & { readonly questionId: string; readonly value: string }

export type PointRequest = {
  readonly protectionId: ProtectionId
  readonly pointId: PointId
  /** Null takes the annotation away; left out leaves it. */
  readonly note?: string | null
  readonly pinned?: boolean
}

export type NewPlan = Omit<RecoveryPlan, 'id'>

/** `version`: the one that the edit began with. */
export type SavePlanRequest = Asker & {
  readonly plan: RecoveryPlan
  readonly version: number
  readonly comment: string
}

/** `planRunId` makes it repeatable, as `jobId` does a job. */
export type StartPlanRequest = {
  readonly by: string
  /** The user behind that name; left out: nobody in particular. */
  readonly byId?: string
  readonly planRunId?: PlanRunId
  readonly planId: PlanId
  readonly kind: PlanRunKind
  /** Default: latest. */
  readonly point?: PlanPointChoice
  /** What was filled in, secrets included. Unchecked. */
  readonly parameters?: Readonly<Record<string, unknown>>
  readonly settings?: Partial<PlanRunSettings>
}

/** Of a site that is taken for dead. */
export type FailOverSiteRequest = {
  readonly by: string
  readonly byId?: string
  readonly id?: SiteFailoverId
  readonly siteId: SiteId
  /** As typed by whoever asks: it must be the site's. */
  readonly siteName: string
  readonly planIds: readonly PlanId[]
  /** Unchecked, by plan: what its parameters are asked for. */
  readonly parameters?: GivenParameters
  /** Of these plans also the machines that run elsewhere are moved: they are switched off there. Default: none. */
  readonly moveAlong?: readonly PlanId[]
  /** Default: latest. */
  readonly point?: PlanPointChoice
  readonly acceptUnfenced?: boolean
  /** How many plans are failed over at a time. Default: 3. */
  readonly atOnce?: number
}

export type FollowUpRequest = {
  readonly by: string
  readonly byId?: string
  readonly planRunId?: PlanRunId
  readonly followsUp: PlanRunId
  readonly kind: FollowUpKind
  /** Of a change of the point. Default: latest. */
  readonly point?: PlanPointChoice
}

export type ActivityRequest = {
  readonly by: string
  readonly byId?: string
  readonly planRunId: PlanRunId
  readonly itemId: ItemId
}

export type AnswerActivityRequest = ActivityRequest & {
  readonly value: 'done' | 'failed'
  readonly comment: string
}

/** `base`: what the edit began with. */
export type MergeRunRequest = {
  readonly planRunId: PlanRunId
  readonly base: RecoveryPlan
  readonly plan: RecoveryPlan
}

export type EditRunRequest = {
  readonly by: string
  readonly byId?: string
  readonly planRunId: PlanRunId
  /** The one that the edit began with. */
  readonly planRevision: number
  readonly plan: RecoveryPlan
  /** Whether whoever asks may answer this approval by his role; what he may not lets nothing slip past. Default: he may. */
  readonly mayAnswer?: (approval: PlanStep) => boolean
}

/** `revision`: the one that the change began with; 0: nothing was set. */
export type SaveTestSettingsRequest = Asker &
  Pick<TestSettings, 'planId' | 'testEveryDays' | 'schedule' | 'revision'>
