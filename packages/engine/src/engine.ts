// The use cases, as the API calls them. What is only read (lists, jobs, events) is read from the stores directly.
import type { AllowedAction } from '@understudy/domain/failover/allowed-actions'
import type { JobId } from '@understudy/domain/jobs/job'
import type { Eligibility, Finding, MachineId } from '@understudy/domain/machines/machine'
import type { Policy, PolicyId } from '@understudy/domain/protection/policy'
import type { AdapterMapping, ProtectionId } from '@understudy/domain/protection/protection'
import type { RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import type { Network, Site, SiteId } from '@understudy/domain/sites/site'
import type { Measurement } from './ports/live.ts'
import type { ReplicaUsage } from './ports/replica-store.ts'
import type {
  AnswerRequest,
  Asker,
  ChangePointRequest,
  EditProtectionRequest,
  EndProtectionRequest,
  FailBackRequest,
  JobStarted,
  NewPolicy,
  NewSite,
  PlannedFailoverRequest,
  PointRequest,
  ProtectionRequest,
  ProtectRequest,
  ReprotectRequest,
  SiteChange,
  TestFailoverRequest,
  UnplannedFailoverRequest,
} from './requests.ts'

/**
 * Every function throws Refusal (not as things stand; says what to do), Outage (may work later) or InvariantError. An
 * unknown id is a Refusal with a code `.../not-found`. What answers with a job id has only begun: watch the job.
 */
export type Engine = {
  /** Takes up unfinished jobs and runs, then begins to replicate. Call `durable.launch` through this, not beside it. */
  start(): Promise<void>
  /** Lets running cycles stop cleanly (nothing unsealed becomes visible) and gives the leases back. Repeatable. */
  stop(): Promise<void>

  /** Connects with these settings and keeps nothing. Returns what was found. */
  checkSite(site: NewSite): Promise<{ readonly summary: string }>
  /** The same for a registered site; also updates its health. */
  checkRegisteredSite(siteId: SiteId): Promise<{ readonly summary: string }>
  /** Checks, keeps and takes the first inventory. Nothing is kept when the check fails. */
  registerSite(site: NewSite, asker: Asker): Promise<Site>
  /** Checks the new settings first. */
  updateSite(siteId: SiteId, change: SiteChange, asker: Asker): Promise<Site>
  /** Refuses while a protection uses the site (`site/in-use`). */
  removeSite(siteId: SiteId, asker: Asker): Promise<void>
  /** Reads the inventory now. */
  refreshSite(siteId: SiteId): Promise<void>
  networks(siteId: SiteId): Promise<readonly Network[]>

  savePolicy(policy: NewPolicy, id: PolicyId | null, asker: Asker): Promise<Policy>
  /** Refuses while a protection uses it (`policy/in-use`). */
  removePolicy(policyId: PolicyId, asker: Asker): Promise<void>

  eligibility(machineId: MachineId): Promise<Eligibility>
  /** What the target would say to this machine, before it is protected. */
  preflight(request: {
    readonly machineId: MachineId
    readonly targetSiteId: SiteId
    readonly adapters: readonly AdapterMapping[]
  }): Promise<readonly Finding[]>

  protect(request: ProtectRequest): Promise<JobStarted & { readonly protectionId: ProtectionId }>
  editProtection(request: EditProtectionRequest): Promise<void>
  pause(request: ProtectionRequest): Promise<void>
  resume(request: ProtectionRequest): Promise<void>
  resync(request: ProtectionRequest): Promise<JobStarted>
  endProtection(request: EndProtectionRequest): Promise<JobStarted>
  /** Begins a cycle as soon as there is room. False: another process holds this protection and keeps its own schedule. */
  runNow(protectionId: ProtectionId): Promise<boolean>

  testFailover(request: TestFailoverRequest): Promise<JobStarted>
  cleanUpTest(request: ProtectionRequest): Promise<JobStarted>
  plannedFailover(request: PlannedFailoverRequest): Promise<JobStarted>
  unplannedFailover(request: UnplannedFailoverRequest): Promise<JobStarted>
  changePoint(request: ChangePointRequest): Promise<JobStarted>
  commit(request: ProtectionRequest): Promise<JobStarted>
  rollBack(request: ProtectionRequest): Promise<JobStarted>
  reprotect(request: ReprotectRequest): Promise<JobStarted>
  failBack(request: FailBackRequest): Promise<JobStarted>

  /** Refuses when the job waits for nothing, or for another question (`job/no-question`). */
  answerJob(jobId: JobId, answer: AnswerRequest): Promise<void>
  /** Asks the job to stop and put things back. Before its point of no return it will; after it, it goes on and says so. */
  cancelJob(jobId: JobId, asker: Asker): Promise<void>
  /** Runs a failed job again, under the same id. Refuses when it is too old for that (`job/not-retryable`). */
  retryJob(jobId: JobId, asker: Asker): Promise<void>

  /** From old to new. */
  recoveryPoints(protectionId: ProtectionId): Promise<readonly RecoveryPoint[]>
  annotatePoint(request: PointRequest): Promise<RecoveryPoint>
  replicaUsage(protectionId: ProtectionId): Promise<ReplicaUsage>
  /** Every action with its verdict and the reason when it is not allowed. */
  allowedActions(protectionId: ProtectionId): Promise<readonly AllowedAction[]>
  /** The same for all, with few queries: for lists. */
  allAllowedActions(): Promise<ReadonlyMap<ProtectionId, readonly AllowedAction[]>>
  /** The last measurement of this process's mover, or null. */
  measurement(protectionId: ProtectionId): Measurement | null
}
