// The use cases, as the API calls them. What is only read (lists, jobs, events) is read from the stores directly.
import { Refusal } from '@understudy/base/errors'
import type { BootCheck } from '@understudy/domain/boot-check/boot-check'
import type { AllowedAction, ProtectionAction } from '@understudy/domain/failover/allowed-actions'
import type { JobId, JobKind } from '@understudy/domain/jobs/job'
import type { Eligibility, Finding, MachineId } from '@understudy/domain/machines/machine'
import type { ConsistencyGroup } from '@understudy/domain/protection/consistency-group'
import type { Policy, PolicyId } from '@understudy/domain/protection/policy'
import type { GroupId, Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { Readiness } from '@understudy/domain/recovery-plans/readiness'
import type { RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import type { BandwidthCalendar, BandwidthLimit } from '@understudy/domain/sites/bandwidth'
import type { PlacementChoice } from '@understudy/domain/sites/placement-choice'
import type { Network, Site, SiteId } from '@understudy/domain/sites/site'
import { type BootChecks, createBootChecks, loadBootCheck } from './boot-check/check-boot.ts'
import { type BootWatcher, createBootWatcher } from './boot-check/watch-boot.ts'
import { type EngineContext, loadProtection } from './engine-context.ts'
import type { EngineParts } from './engine-parts.ts'
import { recordEvent } from './events/report.ts'
import { changePoint } from './failover/change-point.ts'
import { commit } from './failover/commit.ts'
import { failBack } from './failover/fail-back.ts'
import { plannedFailover } from './failover/planned-failover.ts'
import { powerOffOld } from './failover/power-off-old.ts'
import {
  matesThatStay,
  type PreflightRequest,
  preflight,
  preflightFailover,
  type SizeRequest,
  suggestSize,
} from './failover/preflight.ts'
import { reprotect } from './failover/reprotect.ts'
import { rollBack } from './failover/roll-back.ts'
import { createRunKeeper } from './failover/run-keeper.ts'
import { startReplica } from './failover/start-replica.ts'
import { cleanUpTest, testFailover } from './failover/test-failover.ts'
import { tidyUp } from './failover/tidy-up.ts'
import { watchUncommitted } from './failover/uncommitted.ts'
import { unplannedFailover } from './failover/unplanned-failover.ts'
import { createReplicaWatcher, type ReplicaWatcher } from './failover/watch-replicas.ts'
import type { JobBody } from './jobs/job-scope.ts'
import { type Cancels, flowOf, jobWorkflow } from './jobs/run-job.ts'
import {
  answerJob,
  cancelJob,
  failLostJobs,
  findBegun,
  type Prepare,
  retryJob,
  startJob,
} from './jobs/start-job.ts'
import { createJobWatcher, type JobWatcher } from './jobs/watch-jobs.ts'
import { createEvidenceKeeper, type EvidenceKeeper } from './plan-tests/keep-evidence.ts'
import { createTestScheduler } from './plan-tests/test-scheduler.ts'
import type { Live, Measurement } from './ports/live.ts'
import type { ReplicaUsage } from './ports/replica-store.ts'
import type { ProtectionSummary } from './ports/stores.ts'
import type { SuggestedSize } from './ports/target-platform.ts'
import { actionsOf, actionsOfAll, refuseRetry, refuseUnlessAllowed } from './protection/actions.ts'
import { endProtection } from './protection/end-protection.ts'
import { type Newcomers, newcomerObstacles } from './protection/group-rows.ts'
import {
  addMembers,
  changeGroup,
  createGroup,
  type GroupCandidate,
  groupCandidates,
  removeGroup,
  removeMember,
} from './protection/groups.ts'
import { removePolicy, savePolicy } from './protection/policies.ts'
import { loadMachine, protect, protectJob } from './protection/protect.ts'
import { edit, pause, replicateNow, resume, resyncJob } from './protection/steer.ts'
import { machineReadinesses } from './readiness/judge-readiness.ts'
import { createPreflightWatcher, type PreflightWatcher } from './readiness/watch-preflight.ts'
import { createConductor } from './recovery-plans/conductor.ts'
import type { MachineJobs } from './recovery-plans/machine-activity.ts'
import { planStep } from './recovery-plans/plan-step.ts'
import { createPlanTimers } from './recovery-plans/plan-timers.ts'
import { type PlanUseCases, planUseCases } from './recovery-plans/plan-use-cases.ts'
import { annotatePoint } from './recovery-points/annotate-point.ts'
import { loadPoints } from './recovery-points/load-points.ts'
import { whereIs, withReplica } from './recovery-points/with-replica.ts'
import type { Recurring } from './recurring.ts'
import { openFarRequests } from './replication/far-requests.ts'
import { createMover } from './replication/mover.ts'
import type {
  AnswerRequest,
  Asker,
  ChangeGroupRequest,
  ChangePointRequest,
  EditProtectionRequest,
  EndProtectionRequest,
  FailBackRequest,
  JobStarted,
  NewGroup,
  NewPolicy,
  NewSite,
  PlannedFailoverRequest,
  PointRequest,
  ProtectionRequest,
  ProtectRequest,
  ReprotectRequest,
  SeedRequest,
  SiteChange,
  TestFailoverRequest,
  UnplannedFailoverRequest,
} from './requests.ts'
import { exportSeed, prepareExport } from './seeds/export-seed.ts'
import { giveUpSeed } from './seeds/give-up-seed.ts'
import { importSeed, prepareImport } from './seeds/import-seed.ts'
import { removeBandwidth, saveBandwidth } from './sites/bandwidth.ts'
import { withinSeconds } from './sites/bounded-call.ts'
import { refreshQuietly, refreshSite } from './sites/inventory.ts'
import { type NoTargets, noTargets } from './sites/no-target.ts'
import { platformOf, sourceOf } from './sites/platform-of.ts'
import { checkSite, loadSite, registerSite, removeSite, updateSite } from './sites/register.ts'
import { createSiteWatcher, type SiteWatcher } from './sites/watch-sites.ts'

/**
 * Every function throws Refusal (not as things stand; says what to do), Outage (may work later) or InvariantError. An
 * unknown id is a Refusal with a code `.../not-found`. What answers with a job id has only begun: watch the job.
 */
export type Engine = {
  /** Takes up unfinished jobs and runs, then begins to replicate. Call `durable.launch` through this, not beside it. */
  start(): Promise<void>
  /** Lets running cycles stop cleanly (nothing unsealed becomes visible) and gives the leases back. Throws after all has stopped. Repeatable. */
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
  /** None where no machine can run. */
  networks(siteId: SiteId): Promise<readonly Network[]>
  /** What else the settings there can name; none where they name nothing. */
  placementChoices(siteId: SiteId): Promise<readonly PlacementChoice[]>
  /** Which of these sites keep replicas and cannot run them, and what to do. Never throws for a site that is away. */
  noTargets(siteIds: Iterable<SiteId>): Promise<NoTargets>

  /** How much replication may take of the line between two sites; null: as much as it can. */
  setBandwidth(
    ends: Pick<BandwidthLimit, 'sourceSiteId' | 'targetSiteId'>,
    calendar: BandwidthCalendar | null,
    asker: Asker,
  ): Promise<void>

  savePolicy(policy: NewPolicy, id: PolicyId | null, asker: Asker): Promise<Policy>
  /** Refuses while a protection uses it (`policy/in-use`). */
  removePolicy(policyId: PolicyId, asker: Asker): Promise<void>

  eligibility(machineId: MachineId): Promise<Eligibility>
  /** What the target would say to this machine, before it is protected. */
  preflight(request: PreflightRequest): Promise<readonly Finding[]>
  /** Which size of machine it would get there. Null: that kind of site has none, or none that can be had. */
  suggestSize(request: SizeRequest): Promise<SuggestedSize | null>
  /** The same for a protected machine and a failover or test of it now. Needs nothing of the source site. */
  preflightFailover(request: {
    readonly protectionId: ProtectionId
    readonly mode: 'test' | 'failover'
  }): Promise<readonly Finding[]>
  /** Whether its machine is prepared for the hardware of its target, as it was seen last. Null: it is asked soon for the first time. */
  bootCheck(protectionId: ProtectionId): Promise<BootCheck | null>
  /** Asks it now; takes up to minutes. */
  checkBoot(request: ProtectionRequest): Promise<BootCheck>
  /** Begins to change it so that it starts there; minutes. What becomes of it stands in its boot check and is told. */
  prepareBoot(request: ProtectionRequest): Promise<void>
  isPreparingBoot(protectionId: ProtectionId): boolean

  /** Refuses a name that is taken, and machines that cannot share an instant; then nothing is made. */
  createGroup(group: NewGroup, asker: Asker): Promise<ConsistencyGroup>
  /** Its name, and the policy of all its machines. */
  changeGroup(request: ChangeGroupRequest): Promise<void>
  /** Its machines go on, each alone. */
  removeGroup(groupId: GroupId, asker: Asker): Promise<void>
  addToGroup(groupId: GroupId, added: readonly ProtectionId[], asker: Asker): Promise<void>
  removeFromGroup(groupId: GroupId, protectionId: ProtectionId, asker: Asker): Promise<void>
  /** Which machines that are to be protected could not come into the group, and why. Touches nothing. */
  newcomerObstacles(newcomers: Newcomers): ReturnType<typeof newcomerObstacles>
  /** Which protections could be in it beside the chosen ones, and why not. Null: in a new one. */
  groupCandidates(
    groupId: GroupId | null,
    chosen: readonly ProtectionId[],
  ): Promise<readonly GroupCandidate[]>

  protect(request: ProtectRequest): Promise<JobStarted & { readonly protectionId: ProtectionId }>
  editProtection(request: EditProtectionRequest): Promise<void>
  pause(request: ProtectionRequest): Promise<void>
  resume(request: ProtectionRequest): Promise<void>
  /** A cycle as soon as there is room, in whatever process, without waiting for its turn or for the pause after an outage. */
  replicateNow(request: ProtectionRequest): Promise<void>
  resync(request: ProtectionRequest): Promise<JobStarted>
  /** The first copy goes to a folder of this server, in place of the line; one that was begun goes on. */
  exportSeed(request: SeedRequest): Promise<JobStarted>
  importSeed(request: SeedRequest): Promise<JobStarted>
  /** The first copy goes over the line after all. */
  giveUpSeed(request: ProtectionRequest): Promise<void>
  endProtection(request: EndProtectionRequest): Promise<JobStarted>

  testFailover(request: TestFailoverRequest): Promise<JobStarted>
  cleanUpTest(request: ProtectionRequest): Promise<JobStarted>
  plannedFailover(request: PlannedFailoverRequest): Promise<JobStarted>
  unplannedFailover(request: UnplannedFailoverRequest): Promise<JobStarted>
  changePoint(request: ChangePointRequest): Promise<JobStarted>
  /** Starts a failed-over machine that is off again, with what it has written. */
  startReplica(request: ProtectionRequest): Promise<JobStarted>
  /** Of a machine that runs twice the one that does not serve any more. Refused while anything else works on it. */
  powerOffOld(request: ProtectionRequest): Promise<JobStarted>
  commit(request: ProtectionRequest): Promise<JobStarted>
  rollBack(request: ProtectionRequest): Promise<JobStarted>
  reprotect(request: ReprotectRequest): Promise<JobStarted>
  failBack(request: FailBackRequest): Promise<JobStarted>

  /** Refuses when the job waits for nothing, or for another question (`job/no-question`). */
  answerJob(jobId: JobId, answer: AnswerRequest): Promise<void>
  /** Asks the job to stop and put things back. Before its point of no return it will; after it, it goes on and says so. */
  cancelJob(jobId: JobId, asker: Asker): Promise<void>
  /**
   * Runs a failed job again, under the same id. Refuses when it is too old for that (`job/not-retryable`), or when its action
   * is not allowed now (`protection/not-allowed`).
   */
  retryJob(jobId: JobId, asker: Asker): Promise<void>

  /** From old to new. */
  recoveryPoints(protectionId: ProtectionId): Promise<readonly RecoveryPoint[]>
  annotatePoint(request: PointRequest): Promise<RecoveryPoint>
  replicaUsage(protectionId: ProtectionId): Promise<ReplicaUsage>
  /** Every action with its verdict and the reason when it is not allowed. `known`: of its target, by whoever has asked already. */
  allowedActions(protectionId: ProtectionId, known?: NoTargets): Promise<readonly AllowedAction[]>
  /** The same for lists: of protections that were just read, with their summaries. `obstacles`: of their targets. */
  allAllowedActions(
    protections: readonly Protection[],
    around: {
      readonly summaries: ReadonlyMap<ProtectionId, ProtectionSummary>
      readonly obstacles: NoTargets
    },
  ): Promise<ReadonlyMap<ProtectionId, readonly AllowedAction[]>>
  /** How far one may rely on each, of protections that were just read, with their summaries. */
  readiness(
    protections: readonly Protection[],
    summaries: ReadonlyMap<ProtectionId, ProtectionSummary>,
  ): Promise<ReadonlyMap<ProtectionId, Readiness>>
  /** The last measurement of this process's mover, or null. */
  measurement(protectionId: ProtectionId): Measurement | null

  readonly plans: PlanUseCases
  /** Reports of runs that could not be made, as this process has tried. */
  readonly evidence: Pick<EvidenceKeeper, 'again' | 'troubleOf'>
}

/** Builds the engine of one process. Nothing runs before `start`. */
export function createEngine(given: EngineParts): Engine {
  let conductor: Recurring | null = null
  const parts = {
    ...given,
    live: wakingAtJobs(given.live, () => conductor?.wake()),
    farRequests: openFarRequests(given.config.farRequests),
  }
  const context = createContext(parts)
  const { mover, keeper, cancels, sites, jobs, replicas, preflights, checks, boots } = context
  registerJobs(context)

  /** A job on a protection, if the action is allowed now, or was when the same request came first. */
  const askFor = async <Request extends ProtectionRequest>(
    kind: JobKind,
    action: ProtectionAction,
    request: Request,
    prepare?: Prepare,
  ): Promise<JobStarted> => {
    const begun = await findBegun(parts, kind, request)
    if (begun?.subjectId === request.protectionId)
      return await startJob(parts, kind, { id: begun.subjectId, name: begun.subjectName }, request, prepare)
    const protection = await refuseUnlessAllowed(parts, request.protectionId, action)
    return await startJob(parts, kind, protection, request, prepare)
  }
  const ask = <Request extends ProtectionRequest>(kind: JobKind & ProtectionAction, request: Request) =>
    askFor(kind, kind, request)
  const allowed = async (action: ProtectionAction, request: ProtectionRequest): Promise<void> => {
    await refuseUnlessAllowed(parts, request.protectionId, action)
  }

  const machineJobs: MachineJobs = {
    testFailover: (request) => ask('test-failover', request),
    cleanUpTest: (request) => ask('clean-up-test', request),
    plannedFailover: (request) => ask('planned-failover', request),
    unplannedFailover: (request) => ask('unplanned-failover', request),
    changePoint: (request) => ask('change-point', request),
    commit: (request) => ask('commit', request),
    rollBack: (request) => ask('roll-back', request),
    reprotect: (request) => ask('reprotect', request),
    failBack: (request) => ask('fail-back', request),
  }
  conductor = createConductor({
    parts,
    jobs: machineJobs,
    cancelJob: (jobId) => cancelUnlessOver(parts, cancels, jobId),
  })
  const tests = createTestScheduler(parts)
  const evidence = createEvidenceKeeper(parts)
  const planTimers = createPlanTimers(parts)

  return {
    evidence,
    async start() {
      await parts.durable.launch()
      await failLostJobs(parts)
      mover.start()
      conductor?.start()
      tests.start()
      evidence.start()
      planTimers.start()
      sites.start()
    },
    async stop() {
      await stopInOrder([
        [
          async () => conductor?.stop(),
          () => tests.stop(),
          () => evidence.stop(),
          () => planTimers.stop(),
          () => sites.stop(),
          () => mover.stop(),
        ],
        [() => jobs.stop(), () => replicas.stop(), () => preflights.stop(), () => boots.stop()],
        [() => parts.durable.shutDown()],
        [() => keeper.stop()],
      ])
    },

    checkSite: (site) => checkSite(parts, site),
    async checkRegisteredSite(siteId) {
      const site = await loadSite(parts, siteId)
      const platform = await parts.platforms.of(site)
      const found = await platform.checkConnection()
      await refreshQuietly(parts, site, new AbortController().signal)
      return found
    },
    registerSite: (site, asker) => registerSite(parts, site, asker),
    async updateSite(siteId, change, asker) {
      const site = await updateSite(parts, siteId, change, asker)
      sites.forget(siteId)
      return site
    },
    removeSite: (siteId, asker) => removeSite(parts, siteId, asker),
    refreshSite: async (siteId) =>
      refreshSite(parts, await loadSite(parts, siteId), new AbortController().signal),
    networks: async (siteId) => (await (await platformOf(parts, siteId)).target?.networks()) ?? [],
    placementChoices: async (siteId) => {
      const { target } = await platformOf(parts, siteId)
      const bound = { seconds: parts.config.deadSiteSeconds, signal: new AbortController().signal }
      return withinSeconds(parts, bound, async (signal) => (await target?.placementChoices?.(signal)) ?? [])
    },
    noTargets: (siteIds) => noTargets(parts, siteIds),

    setBandwidth: (ends, calendar, asker) =>
      calendar === null
        ? removeBandwidth(parts, ends, asker)
        : saveBandwidth(parts, { ...ends, calendar }, asker),

    savePolicy: (policy, id, asker) => savePolicy(parts, policy, id, asker),
    removePolicy: (policyId, asker) => removePolicy(parts, policyId, asker),

    async eligibility(machineId) {
      const machine = await loadMachine(parts, machineId)
      return await (await sourceOf(parts, machine.siteId)).eligibility(machine.ref)
    },
    preflight: (request) => preflight(parts, request),
    suggestSize: (request) => suggestSize(parts, request),
    async preflightFailover(request) {
      const findings = await preflightFailover(parts, request)
      if (request.mode === 'test') return findings
      return [...(await matesThatStay(parts, await loadProtection(parts, request.protectionId))), ...findings]
    },
    bootCheck: (protectionId) => loadBootCheck(parts, protectionId),
    checkBoot: ({ protectionId }) => checks.check(protectionId),
    prepareBoot: ({ protectionId }) => checks.prepare(protectionId),
    isPreparingBoot: checks.isPreparing,

    createGroup: (group, asker) => createGroup(context, group, asker),
    changeGroup: (request) => changeGroup(context, request),
    removeGroup: (groupId, asker) => removeGroup(context, groupId, asker),
    addToGroup: (groupId, added, asker) => addMembers(context, groupId, added, asker),
    removeFromGroup: (groupId, protectionId, asker) => removeMember(context, groupId, protectionId, asker),
    newcomerObstacles: (newcomers) => newcomerObstacles(parts, newcomers),
    groupCandidates: (groupId, chosen) => groupCandidates(parts, groupId, chosen),

    protect: (request) => protect(context, request),
    async editProtection(request) {
      await allowed('edit', request)
      await edit(context, request)
    },
    async pause(request) {
      await allowed('pause', request)
      await pause(context, request)
    },
    async resume(request) {
      await allowed('resume', request)
      await resume(context, request)
    },
    async replicateNow(request) {
      await allowed('replicate-now', request)
      await replicateNow(context, request)
    },
    resync: (request) => ask('resync', request),
    exportSeed: (request) =>
      askFor('export-seed', 'export-seed', request, (jobId) => prepareExport(parts, request, jobId)),
    importSeed: (request) =>
      askFor('import-seed', 'import-seed', request, () => prepareImport(parts, request)),
    async giveUpSeed(request) {
      await allowed('give-up-seed', request)
      await giveUpSeed(context, request)
    },
    endProtection: (request) => askFor('end-protection', 'end', request),

    ...machineJobs,
    startReplica: (request) => ask('start-replica', request),
    powerOffOld: async (request) =>
      startJob(parts, 'power-off-old', await loadProtection(parts, request.protectionId), request),

    answerJob: (jobId, answer) => answerJob(parts, jobId, answer),
    async cancelJob(jobId, asker) {
      await cancelJob(parts, cancels, jobId)
      const job = await parts.stores.jobs.find(jobId)
      await recordEvent(parts, {
        severity: 'info',
        code: 'job/cancel-asked',
        message: `${asker.by} asked the job to stop`,
        subject: job ? { id: job.subjectId, name: job.subjectName } : null,
        facts: { jobId },
      })
    },
    async retryJob(jobId) {
      await refuseRetry(parts, jobId)
      await retryJob(parts, jobId)
    },

    recoveryPoints: async (protectionId) => loadPoints(parts, await loadProtection(parts, protectionId)),
    annotatePoint: (request) => annotatePoint(parts, request),
    async replicaUsage(protectionId) {
      const protection = await loadProtection(parts, protectionId)
      return await withReplica(parts, whereIs(protection), (replica) => replica.usage())
    },
    allowedActions: (protectionId, known) => actionsOf(parts, protectionId, known),
    allAllowedActions: (protections, around) => actionsOfAll(parts, protections, around),
    readiness: (protections, summaries) => machineReadinesses(parts, protections, summaries),
    measurement: (protectionId) => mover.measurement(protectionId),
    plans: planUseCases(parts),
  }
}

/** Jobs end, and begin to wait for a person, in this process: the runs of plans that wait for them need not wait for the next turn. */
const wakingAtJobs = (live: Live, wake: () => void): Live => ({
  changed(topic, id) {
    live.changed(topic, id)
    if (topic === 'jobs' || topic === 'plan-runs') wake()
  },
  measured: (measurement) => live.measured(measurement),
  lagSeen: (protectionId, lagSeconds) => live.lagSeen(protectionId, lagSeconds),
})

async function cancelUnlessOver(parts: EngineParts, cancels: Cancels, jobId: JobId): Promise<void> {
  try {
    await cancelJob(parts, cancels, jobId)
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'job/over') throw error
  }
}

/**
 * Every part is stopped, whatever another one says: steps that still ran while the platforms close would fail by that, and it
 * would be kept as the failure of their jobs. Throws afterwards.
 */
async function stopInOrder(stages: readonly (readonly (() => Promise<void>)[])[]): Promise<void> {
  const failures: unknown[] = []
  for (const stage of stages)
    for (const end of await Promise.allSettled(stage.map((stop) => stop())))
      if (end.status === 'rejected') failures.push(end.reason)
  if (failures.length > 0) throw new AggregateError(failures, 'Parts of the engine did not stop cleanly')
}

type EngineInside = EngineContext & {
  readonly sites: SiteWatcher
  readonly jobs: JobWatcher
  readonly replicas: ReplicaWatcher
  readonly preflights: PreflightWatcher
  readonly checks: BootChecks
  readonly boots: BootWatcher
}

function createContext(parts: EngineParts): EngineInside {
  const cancels: Cancels = new Map()
  const keeper = createRunKeeper(parts)
  const jobs = createJobWatcher(parts)
  const replicas = createReplicaWatcher(parts)
  const preflights = createPreflightWatcher(parts)
  const checks = createBootChecks(parts)
  const boots = createBootWatcher(parts, checks)
  const mover = createMover(parts, {
    async onLook(held, runs) {
      const mine = runs.filter((run) => held.has(run.protectionId))
      keeper.takeUp(runs, (id) => held.get(id)?.hardware ?? null)
      jobs.look(held, mine)
      replicas.look(held, mine)
      preflights.look(held)
      boots.look(held)
      await watchUncommitted(parts, held, mine)
    },
  })
  const sites = createSiteWatcher(parts)
  return {
    parts,
    mover,
    keeper,
    cancels,
    lookAtSite: sites.lookSoon,
    sites,
    jobs,
    replicas,
    preflights,
    checks,
    boots,
  }
}

function registerJobs(context: EngineContext): void {
  const register = <Request>(kind: JobKind, body: JobBody<Request>): void =>
    context.parts.durable.register(flowOf(kind), jobWorkflow(context.parts, context.cancels, body))
  register('protect', protectJob(context))
  register('resync', resyncJob(context))
  register('export-seed', exportSeed(context))
  register('import-seed', importSeed(context))
  register('end-protection', endProtection(context))
  register('test-failover', testFailover(context))
  register('clean-up-test', cleanUpTest(context))
  register('planned-failover', plannedFailover(context))
  register('unplanned-failover', unplannedFailover(context))
  register('change-point', changePoint(context))
  register('start-replica', startReplica(context))
  register('power-off-old', powerOffOld(context))
  register('commit', commit(context))
  register('roll-back', rollBack(context))
  register('reprotect', reprotect(context))
  register('fail-back', failBack(context))
  register('tidy-up', tidyUp(context))
  register('plan-step', planStep(context))
}
