// What the control plane remembers. PostgreSQL behind Prisma in the product, plain memory in tests: same contract suite.
import type { FailureReport } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { BootCheck } from '@understudy/domain/boot-check/boot-check'
import type { Alert, Event, Severity } from '@understudy/domain/events/event'
import type { Run, RunId } from '@understudy/domain/failover/failover'
import type { Job, JobId, JobState } from '@understudy/domain/jobs/job'
import type {
  DiscoveredMachine,
  Finding,
  Machine,
  MachineId,
  MachineRef,
} from '@understudy/domain/machines/machine'
import type { ConsistencyGroup } from '@understudy/domain/protection/consistency-group'
import type { Policy, PolicyId } from '@understudy/domain/protection/policy'
import type {
  GroupId,
  Protection,
  ProtectionId,
  ProtectionState,
  ReplicaId,
} from '@understudy/domain/protection/protection'
import type { TestedMachine } from '@understudy/domain/recovery-plans/tested-machine'
import type { Consistency, CutId, RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import type { Pace } from '@understudy/domain/replication/carried-pace'
import type { Seed } from '@understudy/domain/seeds/seed'
import type { BandwidthLimit } from '@understudy/domain/sites/bandwidth'
import type { Site, SiteId } from '@understudy/domain/sites/site'
import type { Page, PageRequest } from './page.ts'
import type { PlanRunStore, PlanStore } from './plan-stores.ts'
import type { SiteFailoverStore } from './site-failover-store.ts'
import type { DiskFingerprint } from './source-platform.ts'
import type { EvidenceStore, TestStore } from './test-stores.ts'

export interface SiteStore {
  list(): Promise<readonly Site[]>
  find(id: SiteId): Promise<Site | null>
  /** Refuses a name that is taken (`site/name-taken`). Secrets are stored encrypted and never come back with the site. */
  create(site: Site, secrets: Readonly<Record<string, string>>): Promise<void>
  update(
    id: SiteId,
    change: Partial<Omit<Site, 'id' | 'platform' | 'createdAt'>>,
    secrets?: Readonly<Record<string, string>>,
  ): Promise<void>
  secrets(id: SiteId): Promise<Readonly<Record<string, string>>>
  remove(id: SiteId): Promise<void>
}

export interface BandwidthStore {
  list(): Promise<readonly BandwidthLimit[]>
  /** One for each pair of sites: replaces. */
  save(limit: BandwidthLimit): Promise<void>
  /** Repeatable. A site that is removed takes its limits along. */
  remove(sourceSiteId: SiteId, targetSiteId: SiteId): Promise<void>
}

export interface MachineStore {
  list(siteId?: SiteId): Promise<readonly Machine[]>
  find(id: MachineId): Promise<Machine | null>
  findByRef(siteId: SiteId, ref: MachineRef): Promise<Machine | null>
  /** Makes the rows equal to the inventory; what is missing is marked not present. Returns true when anything changed. */
  replaceInventory(siteId: SiteId, machines: readonly DiscoveredMachine[], at: Instant): Promise<boolean>
}

export interface PolicyStore {
  list(): Promise<readonly Policy[]>
  find(id: PolicyId): Promise<Policy | null>
  save(policy: Policy): Promise<void>
  remove(id: PolicyId): Promise<void>
}

/** An instant that was sealed in the replicas of several machines of a group. */
export type SealedCut = {
  readonly cut: CutId
  readonly instant: Instant
  readonly consistency: Consistency
  /** How long the guests were held still for it. */
  readonly pauseMilliseconds: number
  /** Those that have it. */
  readonly members: readonly ProtectionId[]
}

/** What is shown of a group without opening replicas, whose points are the truth. Kept up to date by whoever runs the cycles. */
export type GroupSummary = {
  readonly newestCut: SealedCut | null
  /** The newest one that all machines had which belonged to the group then. */
  readonly newestWholeCut: SealedCut | null
  /** Why its machines cannot be opened together since `since`, else null. */
  readonly apart: { readonly since: Instant; readonly reason: string; readonly remedy: string } | null
}

export interface GroupStore {
  list(): Promise<readonly ConsistencyGroup[]>
  find(id: GroupId): Promise<ConsistencyGroup | null>
  /** Refuses a name that is taken (`group/name-taken`). */
  create(group: ConsistencyGroup): Promise<void>
  /** The same. */
  rename(id: GroupId, name: string): Promise<void>
  /** Its machines stay, in no group. Repeatable. */
  remove(id: GroupId): Promise<void>
  /** Of all its machines in one act: whoever looks at two of them never sees two policies. Refuses as `ProtectionStore.update`. */
  changePolicy(id: GroupId, policyId: PolicyId): Promise<void>
  summaries(): Promise<ReadonlyMap<GroupId, GroupSummary>>
  /** Nothing happens when the group has gone. */
  updateSummary(id: GroupId, change: Partial<GroupSummary>): Promise<void>
}

/** What the lists show without opening a replica. Kept up to date by whoever runs the cycles. */
export type ProtectionSummary = {
  readonly newestPoint: Pick<RecoveryPoint, 'id' | 'instant' | 'consistency'> | null
  readonly newestApplicationPoint: Pick<RecoveryPoint, 'id' | 'instant'> | null
  readonly pointCount: number
  readonly storedBytes: number
  readonly lastCycle: CycleSummary | null
  readonly lastTestAt: Instant | null
  readonly lastTestPassed: boolean | null
  /** What that test was of. Absent: it was before this was kept. */
  readonly testedAs?: TestedMachine | null
  /** What its target said lately to a failover of it. Absent: it was not asked yet. */
  readonly preflight?: readonly Finding[]
  /** Of the last test, failover or fail-back that was answered; see unattendedSeconds. */
  readonly lastRecoverySeconds: number | null
  /** Why its points come less often than its policy wants; null or absent: they come as often. */
  readonly pace?: ToldPace | null
}

/** With the words that an operator reads. */
export type ToldPace = Pace & { readonly why: string; readonly remedy: string }

export type CycleSummary = {
  readonly kind: 'seed' | 'delta' | 'resync' | 'idle'
  readonly startedAt: Instant
  readonly endedAt: Instant
  readonly readBytes: number
  readonly changedBytes: number
  readonly storedBytes: number
  readonly pauseMilliseconds: number
  /** Why it was not a delta, else null. */
  readonly reason: string | null
}

/** Engine-internal facts of a protection that no screen shows. */
export type ProtectionNotes = {
  /** Set: the next cycle compares everything, and why. */
  readonly resyncReason: { readonly code: string; readonly message: string } | null
  /** Of the original machine's disks when it was last proven off. */
  readonly originalFingerprints: readonly DiskFingerprint[]
  /** The replica and point that the original machine's disks equalled then. */
  readonly originalPoint: { readonly replicaId: string; readonly pointId: string } | null
  /** `since` of the machine that runs at the target, taken at its boot. */
  readonly runningCheckpoint: string | null
  readonly lastApplicationConsistentAt: Instant | null
  /** When every byte of the replica was last read again. Absent: never. */
  readonly scrubbedAt?: Instant | null
  /** The run for which we switched the source machine off: only then a roll back starts it again. Absent: none. */
  readonly sourceStoppedByRun?: RunId | null
  /**
   * The last point at which this run switches its source off: it is sealed, and the source is told or about to be. `evidence` null: whether
   * it went is not known. Absent: none.
   */
  readonly lastPoint?: {
    readonly runId: RunId
    readonly pointId: string
    readonly instant: Instant
    readonly evidence: string | null
  } | null
  /**
   * The source was asked to shut down by a failover that stopped early, and still ran when it was put back: if it goes off before
   * then, that was us. Absent: nobody waits for that.
   */
  readonly sourceMayGoOffUntil?: Instant | null
  /**
   * A person went on with a failover although its source was not proven off: to see it run is no news then. Absent: nobody did.
   */
  readonly unfencedAccepted?: boolean
  /**
   * Of the source machine when a failover proved it off: it becomes the original with the reprotect. Absent: no such proof.
   */
  readonly stoppedSource?: {
    readonly fingerprints: readonly DiskFingerprint[]
    readonly replicaId: string
    readonly pointId: string
  } | null
  /** The two replicas of a reprotect under way: one of them goes, whichever way it ends. Absent: none. */
  readonly turning?: { readonly replicaId: ReplicaId; readonly formerReplicaId: ReplicaId } | null
  /** Replicas of earlier reprotects that could not be removed and are still to be. Absent: none. */
  readonly setAside?: readonly { readonly siteId: SiteId; readonly replicaId: ReplicaId }[]
  /**
   * Runs that were rolled back while their site could not be reached: their machines may run there and are still to be removed. Absent:
   * none.
   */
  readonly leftReplicas?: readonly RunId[]
  /** The job that has taken the protection into a working state, and what was before. Absent: none. */
  readonly claim?: {
    readonly jobId: JobId
    readonly former: {
      readonly state: ProtectionState
      readonly note: string | null
      readonly resumeState: ProtectionState | null
    }
    /** It is being given back: nothing may be ended under it any more (`giveUpClaim`). Absent: it is not. */
    readonly givenUp?: true
  } | null
}

export interface ProtectionStore {
  list(): Promise<readonly Protection[]>
  find(id: ProtectionId): Promise<Protection | null>
  /** Refuses when the machine is protected already (`protection/exists`). */
  create(protection: Protection): Promise<void>
  /** Compare and set: returns false, changing nothing, when the state is not `from` any more. */
  moveState(
    id: ProtectionId,
    from: ProtectionState,
    to: ProtectionState,
    note: string | null,
    resumeState?: ProtectionState | null,
  ): Promise<boolean>
  /**
   * Moves the state and changes notes in one act: whoever finds the state moved finds by whom. Returns false, changing
   * neither, when the state is not `from` any more. `resumeState` becomes `from`.
   */
  claimState(
    id: ProtectionId,
    from: ProtectionState,
    to: ProtectionState,
    what: { readonly note: string | null; readonly notes: Partial<ProtectionNotes> },
  ): Promise<boolean>
  /**
   * The end of a claim: moves the state and takes the claim out of the notes in one act. Returns false, changing neither, when the
   * state is not `from` any more or the claim is another's. `owner`: the job whose claim it has to be; null: nobody's.
   */
  releaseState(
    id: ProtectionId,
    from: ProtectionState,
    to: ProtectionState,
    what: {
      readonly owner: JobId | null
      readonly note: string | null
      readonly resumeState: ProtectionState | null
    },
  ): Promise<boolean>
  /**
   * From here on `endClaimed` changes nothing under this claim: what is read of its runs afterwards stays so. Nothing happens when
   * the claim is another's. Repeatable.
   */
  giveUpClaim(id: ProtectionId, owner: JobId): Promise<void>
  update(
    id: ProtectionId,
    change: Partial<Omit<Protection, 'id' | 'state' | 'stateNote' | 'resumeState' | 'createdAt'>>,
  ): Promise<void>
  /** Atomically adds one and returns the new epoch. */
  nextEpoch(id: ProtectionId): Promise<number>
  summary(id: ProtectionId): Promise<ProtectionSummary>
  summaries(): Promise<ReadonlyMap<ProtectionId, ProtectionSummary>>
  updateSummary(id: ProtectionId, change: Partial<ProtectionSummary>): Promise<void>
  /** Whether its machine is prepared for the hardware of its target; null: it was not asked yet. Too large for lists. */
  bootCheck(id: ProtectionId): Promise<BootCheck | null>
  keepBootCheck(id: ProtectionId, check: BootCheck): Promise<void>
  notes(id: ProtectionId): Promise<ProtectionNotes>
  updateNotes(id: ProtectionId, change: Partial<ProtectionNotes>): Promise<void>
  /** Those whose notes name the two replicas of a reprotect: under way, or with one of them left over, or set aside. */
  turning(): Promise<readonly ProtectionId[]>
  /** Those whose notes name replicas that a roll back has left behind. */
  withLeftReplicas(): Promise<readonly ProtectionId[]>
  remove(id: ProtectionId): Promise<void>
}

export interface RunStore {
  create(run: Run): Promise<void>
  find(id: RunId): Promise<Run | null>
  /** Not over, of one protection or of all. */
  active(protectionId?: ProtectionId): Promise<readonly Run[]>
  history(protectionId: ProtectionId, limit: number): Promise<readonly Run[]>
  update(id: RunId, change: Partial<Omit<Run, 'id' | 'protectionId' | 'kind'>>): Promise<void>
  /**
   * The run is over, its machine stays, and nothing is due any more. In one act with the look whose claim its protection is: returns
   * false, changing nothing, when that is not `owner`'s, or is given up. Repeatable: the first end counts.
   */
  endClaimed(id: RunId, owner: JobId, endedAt: Instant): Promise<boolean>
  saveScreenshot(id: RunId, png: Buffer): Promise<void>
  screenshot(id: RunId): Promise<Buffer | null>
  /** Which of these have a screenshot; no picture is read. */
  withScreenshot(ids: readonly RunId[]): Promise<ReadonlySet<RunId>>
  /**
   * Bounded history: drops tests that were over before, with their pictures. Returns how many. Failovers stay, which are few:
   * the newest one says from what machine its protection runs.
   */
  trim(before: Instant): Promise<number>
}

export interface JobStore {
  /**
   * Refuses, as `update` does, while another active job has the same `exclusiveKeyOf` (`job/another-works`). One of this id
   * that is there already stays as it is.
   */
  create(job: Job): Promise<void>
  find(id: JobId): Promise<Job | null>
  list(
    filter: { subjectId?: string; states?: readonly JobState[]; kinds?: readonly string[] },
    page: PageRequest,
  ): Promise<Page<Job>>
  update(id: JobId, change: Partial<Omit<Job, 'id' | 'kind' | 'createdAt' | 'startedBy'>>): Promise<void>
  /** Takes this question away from a job that waits with it, in one act; false, changing nothing, when it does not. */
  closeQuestion(id: JobId, questionId: string): Promise<boolean>
  /** Of a job that is active, in one act; false, changing nothing, when it is over or not there. */
  failActive(id: JobId, failure: FailureReport, endedAt: Instant): Promise<boolean>
  /** Bounded history: drops those that ended before. Returns how many. */
  trim(before: Instant): Promise<number>
}

export interface EventStore {
  /** Repeatable: one of this id that is there already stays as it is. */
  append(event: Event): Promise<void>
  list(
    filter: { subjectId?: string; minimumSeverity?: Severity; code?: string },
    page: PageRequest,
  ): Promise<Page<Event>>
  /** Bounded history: drops what is older than `before`. */
  trim(before: Instant): Promise<number>
}

/** `graver`: it is open already, and what it says now is worse than what it said. */
export type Raised = 'new' | 'graver' | 'known'

export interface AlertStore {
  /**
   * One open alert per (code, subject): raised again it says what is so now, in message, remedy and severity. One that is graver
   * than before was acknowledged by nobody.
   */
  raise(alert: Alert): Promise<Raised>
  /** The open one of this code about this subject. */
  findOpen(code: string, subjectId: string | null): Promise<Alert | null>
  /** Returns true when an open one was resolved. */
  resolve(code: string, subjectId: string | null, at: Instant): Promise<boolean>
  /** Everything that is open about a subject that goes away. Returns how many. */
  resolveAll(subjectId: string, at: Instant): Promise<number>
  /** The subjects about which one of that code is open. */
  openSubjects(code: string): Promise<ReadonlySet<string>>
  acknowledge(id: Alert['id'], by: string): Promise<void>
  /** Bounded history: drops those that were resolved before. Returns how many. */
  trim(before: Instant): Promise<number>
  list(filter: { open?: boolean }, page: PageRequest): Promise<Page<Alert>>
}

/** Which process replicates what. One heartbeat row per mover, not per protection. */
export interface LeaseStore {
  /** Upserts this mover's heartbeat. */
  beat(moverId: string, at: Instant, expiresAt: Instant): Promise<void>
  /**
   * Takes protections that have no mover or whose mover's heartbeat expired; at most `limit`. Atomic between processes. Of those that
   * replicate, first the ones whose group this mover has replicating machines of already, and none whose group another living mover has.
   */
  claim(moverId: string, at: Instant, limit: number): Promise<readonly ProtectionId[]>
  held(moverId: string): Promise<readonly ProtectionId[]>
  release(moverId: string, protectionId: ProtectionId): Promise<void>
  /** Which living mover holds what, of the machines of groups. */
  groupHolders(at: Instant): Promise<ReadonlyMap<ProtectionId, string>>
  /** On a clean stop. */
  leave(moverId: string): Promise<void>
  movers(): Promise<
    readonly {
      readonly id: string
      readonly beatAt: Instant
      readonly expiresAt: Instant
      readonly protections: number
    }[]
  >
}

/** The first copies that travel on disks: at most one of a protection. It goes with its protection. */
export interface SeedStore {
  find(id: ProtectionId): Promise<Seed | null>
  list(): Promise<readonly Seed[]>
  /** Replaces what is there. `passphrase` is kept sealed, and no other function returns it; null: it is forgotten; left out: it stays. */
  save(seed: Seed, passphrase?: string | null): Promise<void>
  /** The same in one act with the look whether this very seed is there: returns false, changing nothing, when it is gone or another one. */
  update(seed: Seed, passphrase?: string | null): Promise<boolean>
  /** Null: none is kept. */
  passphrase(id: ProtectionId): Promise<string | null>
  /** With its passphrase. Repeatable. */
  remove(id: ProtectionId): Promise<void>
}

export type Stores = {
  readonly sites: SiteStore
  readonly bandwidth: BandwidthStore
  readonly machines: MachineStore
  readonly policies: PolicyStore
  readonly groups: GroupStore
  readonly protections: ProtectionStore
  readonly runs: RunStore
  readonly jobs: JobStore
  readonly events: EventStore
  readonly alerts: AlertStore
  readonly leases: LeaseStore
  readonly plans: PlanStore
  readonly planRuns: PlanRunStore
  readonly tests: TestStore
  readonly evidence: EvidenceStore
  readonly siteFailovers: SiteFailoverStore
  readonly seeds: SeedStore
}
