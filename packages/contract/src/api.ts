// The REST API under /api/v1 as one contract: paths, typed client, query options and OpenAPI come from here.
import { oc } from '@orpc/contract'
import { z } from 'zod'
import {
  AuditEntry,
  CreatedToken,
  PasswordChange,
  Session,
  SetupInput,
  SetupStatus,
  SignInInput,
  Token,
  TokenInput,
  User,
  UserChange,
  UserInput,
} from './access.ts'
import { Agent, AgentInvitation, AgentInvitationInput } from './agent.ts'
import { BandwidthLimit, BandwidthLimitInput, BandwidthPair } from './bandwidth.ts'
import { BootCheck } from './boot-check.ts'
import {
  ConsistencyGroup,
  GroupCandidates,
  GroupCandidatesInput,
  GroupChange,
  GroupMembersInput,
  NewGroupInput,
} from './consistency-group.ts'
import { Alert, Event, Severity } from './event.ts'
import { Job, JobKind, JobState } from './job.ts'
import { Eligibility, Machine, PowerState } from './machine.ts'
import { Lab, Mover, Overview } from './overview.ts'
import { LibraryEntry, PlanFromLibrary } from './plan-library.ts'
import {
  Evidence,
  EvidenceFileInput,
  EvidenceTrouble,
  ScheduledTests,
  TestSettings,
  TestSettingsInput,
} from './plan-tests.ts'
import { Policy, PolicyInput } from './policy.ts'
import { ById, Id, InstantText, pageOf, pageQuery, sortQuery } from './primitives.ts'
import { Accepted } from './problem.ts'
import {
  ChangePointInput,
  EndInput,
  FailBackInput,
  FailoverInput,
  FailoverPreview,
  HistorySample,
  ProtectInput,
  Protection,
  ProtectionChange,
  ProtectionHealth,
  ProtectionState,
  ProtectPreview,
  ProtectPreviewInput,
  ReprotectInput,
  Run,
  SeedExportInput,
  SeedInput,
  TestFailoverInput,
} from './protection.ts'
import { ReceivableServer, Receiver, ReceiverAssignmentInput } from './receiver.ts'
import {
  AnswerActivityInput,
  CheckPlanInput,
  EditPlanRunInput,
  FailOverSiteInput,
  FollowUpInput,
  ImportPlanInput,
  MergePlanRunInput,
  NewRecoveryPlan,
  PlanCheck,
  PlanDetail,
  PlanDiff,
  PlanDocument,
  PlanDryRun,
  PlanMerge,
  PlanRun,
  PlanRunMerge,
  PlanRunState,
  PlanRuns,
  PlanSecrets,
  Plans,
  PlanTimeLine,
  PlanVersion,
  PowerOffOldInput,
  PowerOffOldResult,
  RecoveryPlan,
  SavePlanInput,
  SiteFailover,
  SiteFailovers,
  SiteOutlook,
  StartPlanInput,
} from './recovery-plan.ts'
import { PointAnnotation, RecoveryPoint } from './recovery-point.ts'
import { ConnectionResult, Network, PlacementChoice, Site, SiteInput } from './site.ts'
import { CreatedDisplayLink, DisplayLink, DisplayLinkInput, WallPicture, WallRun } from './wall.ts'

const Nothing = z.object({}).meta({ id: 'Nothing' })
const get = (path: `/${string}`, tag: string, summary: string) =>
  oc.route({ method: 'GET', path, tags: [tag], summary })
const post = (path: `/${string}`, tag: string, summary: string) =>
  oc.route({ method: 'POST', path, tags: [tag], summary })
const created = (path: `/${string}`, tag: string, summary: string) =>
  oc.route({ method: 'POST', path, tags: [tag], summary, successStatus: 201 })
/** Starts a job: answers 202 with its id. Honours `Idempotency-Key`. */
const starts = (path: `/${string}`, tag: string, summary: string) =>
  oc.route({ method: 'POST', path, tags: [tag], summary, successStatus: 202 })
const patch = (path: `/${string}`, tag: string, summary: string) =>
  oc.route({ method: 'PATCH', path, tags: [tag], summary })
const remove = (path: `/${string}`, tag: string, summary: string) =>
  oc.route({ method: 'DELETE', path, tags: [tag], summary })

const ActivityOf = z.strictObject({ id: Id, itemId: Id })

const commaList = <Item extends z.ZodType<string, string>>(item: Item) =>
  z
    .string()
    .transform((text) => text.split(',').filter((part) => part !== ''))
    .pipe(z.array(item))
    .optional()

export const contract = {
  setup: {
    status: get('/setup', 'setup', 'Whether the first owner must still be made').output(SetupStatus),
    complete: created('/setup', 'setup', 'Make the first owner with the one-time link')
      .input(SetupInput)
      .output(Session),
  },
  session: {
    current: get('/session', 'session', 'Who is signed in').output(Session),
    signIn: created('/session', 'session', 'Sign in with name and password')
      .input(SignInInput)
      .output(Session),
    signOut: remove('/session', 'session', 'Sign out').output(Nothing),
    changePassword: post('/session/password', 'session', 'Change your own password; ends your other sessions')
      .input(PasswordChange)
      .output(Nothing),
  },
  overview: get('/overview', 'overview', 'The first screen').output(Overview),
  sites: {
    list: get('/sites', 'sites', 'Sites').output(pageOf(Site)),
    get: get('/sites/{id}', 'sites', 'One site').input(ById).output(Site),
    create: created('/sites', 'sites', 'Register a site').input(SiteInput).output(Site),
    update: patch('/sites/{id}', 'sites', 'Change name, settings or secrets')
      .input(
        z.strictObject({
          id: Id,
          site: SiteInput,
          before: z
            .record(z.string(), z.unknown())
            .optional()
            .describe('The settings that were changed: refused where somebody has saved others since'),
        }),
      )
      .output(Site),
    remove: remove('/sites/{id}', 'sites', 'Forget a site that nothing uses').input(ById).output(Nothing),
    testConnection: post('/sites/test-connection', 'sites', 'Try settings before saving them')
      .input(SiteInput)
      .output(ConnectionResult),
    refresh: post('/sites/{id}/refresh', 'sites', 'Read the inventory now').input(ById).output(Site),
    failoverOutlook: get('/sites/{id}/failover-outlook', 'sites', 'What the site takes down with it')
      .input(ById)
      .output(SiteOutlook),
    failOver: created('/sites/{id}/failover', 'sites', 'The site is down: fail its plans over')
      .input(FailOverSiteInput.extend({ id: Id }))
      .output(SiteFailover),
    networks: get('/sites/{id}/networks', 'sites', 'Networks a replica can be connected to')
      .input(ById)
      .output(z.object({ items: z.array(Network) })),
    placementChoices: get(
      '/sites/{id}/placement-choices',
      'sites',
      'What the settings of the site and of its machines can name beside networks',
    )
      .input(ById)
      .output(z.object({ items: z.array(PlacementChoice) })),
  },
  bandwidth: {
    list: get(
      '/bandwidth-limits',
      'bandwidth',
      'How much replication may take of the lines between sites',
    ).output(z.object({ items: z.array(BandwidthLimit) })),
    save: post('/bandwidth-limits', 'bandwidth', 'Set the limit between two sites, in place of what was set')
      .input(BandwidthLimitInput)
      .output(z.object({ items: z.array(BandwidthLimit) })),
    remove: remove(
      '/bandwidth-limits/{sourceSiteId}/{targetSiteId}',
      'bandwidth',
      'Replicate as fast as it goes between two sites',
    )
      .input(BandwidthPair)
      .output(Nothing),
  },
  agents: {
    list: get('/agents', 'agents', 'Agents of all sites, revoked ones too')
      .input(z.strictObject({ siteId: Id.optional() }))
      .output(pageOf(Agent)),
    get: get('/agents/{id}', 'agents', 'One agent').input(ById).output(Agent),
    invite: created('/sites/{id}/agent-invitations', 'agents', 'A command that enrols one agent at the site')
      .input(AgentInvitationInput.extend({ id: Id }))
      .output(AgentInvitation),
    lookAround: post('/agents/{id}/look-around', 'agents', 'Have it say again what it runs on')
      .input(ById)
      .output(Agent),
    protections: get(
      '/agents/{id}/protections',
      'agents',
      'What replicates its server, and stands still without it',
    )
      .input(ById)
      .output(z.object({ items: z.array(z.object({ id: Id, name: z.string() })) })),
    acceptHardware: post(
      '/agents/{id}/accept-hardware',
      'agents',
      'The hardware that it was refused for is that of its server',
    )
      .input(z.strictObject({ id: Id, at: InstantText.describe('As `otherHardware.at` of the agent says') }))
      .output(Agent),
    upgrade: post('/agents/{id}/upgrade', 'agents', 'Have it exchange its program for the newer one')
      .input(ById)
      .output(Agent),
    upgradeAll: post('/sites/{id}/upgrade-agents', 'agents', 'The same of all agents of a site that can')
      .input(ById)
      .output(z.object({ asked: z.number().int() })),
    revoke: post('/agents/{id}/revoke', 'agents', 'It is never let in again').input(ById).output(Agent),
    receivers: get('/receivers', 'agents', 'Computers in a rescue system, which servers can come home to')
      .input(z.strictObject({ siteId: Id.optional() }))
      .output(z.object({ items: z.array(Receiver) })),
    serversFor: get('/agents/{id}/servers', 'agents', 'Servers that a receiver could stand in for')
      .input(ById)
      .output(z.object({ items: z.array(ReceivableServer) })),
    assign: post(
      '/agents/{id}/assign',
      'agents',
      'A server comes home to this receiver, whose disks are overwritten',
    )
      .input(ReceiverAssignmentInput.extend({ id: Id }))
      .output(Nothing),
    takeBack: post('/agents/{id}/take-back', 'agents', 'It stands in for no server any more')
      .input(ById)
      .output(Nothing),
  },
  machines: {
    list: get('/machines', 'machines', 'Machines of all sites')
      .input(
        z.strictObject({
          ...pageQuery,
          ...sortQuery(['name', 'power', 'site']),
          siteId: Id.optional(),
          search: z.string().max(120).optional(),
          power: PowerState.optional(),
          protected: z.stringbool().optional(),
        }),
      )
      .output(pageOf(Machine)),
    get: get('/machines/{id}', 'machines', 'One machine').input(ById).output(Machine),
    eligibility: get('/machines/{id}/eligibility', 'machines', 'Whether it can be protected, and why not')
      .input(ById)
      .output(Eligibility),
  },
  policies: {
    list: get('/policies', 'policies', 'Policies').output(pageOf(Policy)),
    get: get('/policies/{id}', 'policies', 'One policy').input(ById).output(Policy),
    create: created('/policies', 'policies', 'New policy').input(PolicyInput).output(Policy),
    update: patch('/policies/{id}', 'policies', 'Change a policy')
      .input(z.strictObject({ id: Id, policy: PolicyInput }))
      .output(Policy),
    remove: remove('/policies/{id}', 'policies', 'Remove a policy that nothing uses')
      .input(ById)
      .output(Nothing),
  },
  groups: {
    list: get('/groups', 'groups', 'Consistency groups').output(
      z.object({ items: z.array(ConsistencyGroup) }),
    ),
    get: get('/groups/{id}', 'groups', 'One consistency group').input(ById).output(ConsistencyGroup),
    create: created('/groups', 'groups', 'New consistency group')
      .input(NewGroupInput)
      .output(ConsistencyGroup),
    update: patch('/groups/{id}', 'groups', 'Change its name, or the policy of all its machines')
      .input(GroupChange.extend({ id: Id }))
      .output(ConsistencyGroup),
    remove: remove('/groups/{id}', 'groups', 'Remove a group; its machines go on alone')
      .input(ById)
      .output(Nothing),
    candidates: post('/groups/candidates', 'groups', 'Which machines could be in it, and why others cannot')
      .input(GroupCandidatesInput)
      .output(GroupCandidates),
    addMembers: post('/groups/{id}/members', 'groups', 'Take machines in')
      .input(GroupMembersInput.extend({ id: Id }))
      .output(ConsistencyGroup),
    removeMember: remove(
      '/groups/{id}/members/{protectionId}',
      'groups',
      'Take a machine out; its points stay',
    )
      .input(z.strictObject({ id: Id, protectionId: Id }))
      .output(ConsistencyGroup),
  },
  protections: {
    list: get('/protections', 'protections', 'Protections')
      .input(
        z.strictObject({
          ...pageQuery,
          ...sortQuery(['name', 'lag', 'state', 'storedBytes']),
          search: z.string().max(120).optional(),
          state: commaList(ProtectionState),
          health: commaList(ProtectionHealth),
          siteId: Id.optional(),
          sourceSiteId: Id.optional(),
          targetSiteId: Id.optional(),
          policyId: Id.optional(),
          groupId: Id.optional(),
        }),
      )
      .output(pageOf(Protection)),
    get: get('/protections/{id}', 'protections', 'One protection with its allowed actions')
      .input(ById)
      .output(Protection),
    preview: post('/protections/preview', 'protections', 'What protecting these machines would mean')
      .input(ProtectPreviewInput)
      .output(ProtectPreview),
    create: starts('/protections', 'protections', 'Protect a machine')
      .input(ProtectInput)
      .output(Accepted.extend({ protectionId: Id })),
    update: patch('/protections/{id}', 'protections', 'Change policy, disks or networks')
      .input(ProtectionChange.extend({ id: Id }))
      .output(Protection),
    end: oc
      .route({
        method: 'DELETE',
        path: '/protections/{id}',
        tags: ['protections'],
        summary: 'End a protection',
        successStatus: 202,
      })
      .input(EndInput.extend({ id: Id }))
      .output(Accepted),
    recoveryPoints: get(
      '/protections/{id}/recovery-points',
      'recovery-points',
      'Recovery points, newest first',
    )
      .input(
        z.strictObject({
          id: Id,
          ...pageQuery,
          from: InstantText.optional(),
          to: InstantText.optional(),
          consistency: z.enum(['crash', 'application']).optional(),
        }),
      )
      .output(pageOf(RecoveryPoint)),
    annotatePoint: patch(
      '/protections/{id}/recovery-points/{pointId}',
      'recovery-points',
      'Note or pin a point',
    )
      .input(PointAnnotation.extend({ id: Id, pointId: Id }))
      .output(RecoveryPoint),
    runs: get('/protections/{id}/runs', 'failover', 'Tests and failovers, newest first')
      .input(ById)
      .output(z.object({ items: z.array(Run) })),
    history: get('/protections/{id}/history', 'protections', 'Lag and change rate over time')
      .input(z.strictObject({ id: Id, from: InstantText.optional(), to: InstantText.optional() }))
      .output(z.object({ items: z.array(HistorySample) })),
    bootCheck: get(
      '/protections/{id}/boot-check',
      'protections',
      'Whether it would boot at its target, as seen last',
    )
      .input(ById)
      .output(BootCheck),
    checkBoot: post(
      '/protections/{id}/boot-check',
      'protections',
      'Ask the machine now whether it would boot there',
    )
      .input(ById)
      .output(BootCheck),
    prepareBoot: post(
      '/protections/{id}/boot-preparation',
      'protections',
      'Change the machine so that it boots there; minutes, and undone when its protection ends',
    )
      .input(ById)
      .output(BootCheck),
    failoverPreview: get('/protections/{id}/failover-preview', 'failover', 'What a failover would cost')
      .input(
        z.strictObject({
          id: Id,
          kind: z.enum(['test', 'planned', 'unplanned', 'fail-back']),
          pointId: Id.optional(),
        }),
      )
      .output(FailoverPreview),
    testFailover: starts(
      '/protections/{id}/test-failover',
      'failover',
      'Boot a point in the isolated network',
    )
      .input(TestFailoverInput.extend({ id: Id }))
      .output(Accepted),
    cleanUpTest: starts('/protections/{id}/clean-up-test', 'failover', 'Remove everything the test made')
      .input(ById)
      .output(Accepted),
    failover: starts('/protections/{id}/failover', 'failover', 'Planned or unplanned failover')
      .input(FailoverInput.extend({ id: Id }))
      .output(Accepted),
    changePoint: starts('/protections/{id}/change-point', 'failover', 'Boot another point instead')
      .input(ChangePointInput.extend({ id: Id }))
      .output(Accepted),
    startReplica: starts('/protections/{id}/start-replica', 'failover', 'Start a replica that is off again')
      .input(ById)
      .output(Accepted),
    commit: starts('/protections/{id}/commit', 'failover', 'Keep the failover').input(ById).output(Accepted),
    rollBack: starts('/protections/{id}/roll-back', 'failover', 'Undo the failover')
      .input(ById)
      .output(Accepted),
    reprotect: starts('/protections/{id}/reprotect', 'failover', 'Replicate in the other direction')
      .input(ReprotectInput.extend({ id: Id }))
      .output(Accepted),
    failBack: starts('/protections/{id}/fail-back', 'failover', 'Return to the original machine')
      .input(FailBackInput.extend({ id: Id }))
      .output(Accepted),
    replicateNow: post('/protections/{id}/replicate-now', 'protections', 'Make a recovery point now')
      .input(ById)
      .output(Protection),
    resync: post('/protections/{id}/resync', 'protections', 'Compare everything in the next cycle')
      .input(ById)
      .output(Protection),
    pause: post('/protections/{id}/pause', 'protections', 'Stop replicating for now')
      .input(ById)
      .output(Protection),
    resume: post('/protections/{id}/resume', 'protections', 'Go on replicating')
      .input(ById)
      .output(Protection),
    exportSeed: starts('/protections/{id}/seed/export', 'protections', 'Export the first copy to a disk')
      .input(SeedExportInput.extend({ id: Id }))
      .output(Accepted),
    importSeed: starts('/protections/{id}/seed/import', 'protections', 'Import the first copy from a disk')
      .input(SeedInput.extend({ id: Id }))
      .output(Accepted),
    giveUpSeed: post('/protections/{id}/seed/give-up', 'protections', 'Copy over the line after all')
      .input(ById)
      .output(Protection),
  },
  runs: {
    get: get('/runs/{id}', 'failover', 'One test or failover').input(ById).output(Run),
    screenshot: get('/runs/{id}/screenshot', 'failover', "The machine's screen (PNG)")
      .input(ById)
      .output(z.file()),
  },
  jobs: {
    list: get('/jobs', 'jobs', 'Jobs, newest first')
      .input(
        z.strictObject({
          ...pageQuery,
          state: commaList(JobState),
          kind: commaList(JobKind),
          subjectId: Id.optional(),
        }),
      )
      .output(pageOf(Job)),
    get: get('/jobs/{id}', 'jobs', 'One job with its tasks').input(ById).output(Job),
    answer: post('/jobs/{id}/answer', 'jobs', 'Answer the question a job waits for')
      .input(z.strictObject({ id: Id, questionId: z.string(), value: z.string().max(200) }))
      .output(Job),
    cancel: post('/jobs/{id}/cancel', 'jobs', 'Stop a job before its next step').input(ById).output(Job),
    retry: starts('/jobs/{id}/retry', 'jobs', 'Start a failed job again').input(ById).output(Accepted),
  },
  plans: {
    list: get('/plans', 'plans', 'Recovery plans').output(Plans),
    get: get('/plans/{id}', 'plans', 'One plan with its findings').input(ById).output(PlanDetail),
    create: created('/plans', 'plans', 'New plan').input(NewRecoveryPlan).output(PlanDetail),
    save: patch('/plans/{id}', 'plans', 'Save a plan as its next version')
      .input(SavePlanInput.extend({ id: Id }))
      .output(PlanDetail),
    remove: remove('/plans/{id}', 'plans', 'Remove a plan; its runs stay').input(ById).output(Nothing),
    check: post('/plans/check', 'plans', 'What is wrong with a plan, and how long it would take')
      .input(CheckPlanInput)
      .output(PlanCheck),
    dryRun: post('/plans/{id}/dry-run', 'plans', 'Everything before a run, without touching anything')
      .input(StartPlanInput.extend({ id: Id }))
      .output(PlanDryRun),
    powerOffOld: post(
      '/plans/{id}/power-off-old',
      'plans',
      'Power off the old ones of these machines that run twice',
    )
      .input(PowerOffOldInput.extend({ id: Id }))
      .output(PowerOffOldResult),
    timeLine: get('/plans/{id}/time-line', 'plans', 'The recovery points of all machines of a plan')
      .input(ById)
      .output(PlanTimeLine),
    versions: get('/plans/{id}/versions', 'plans', 'Versions, newest first')
      .input(ById)
      .output(z.object({ items: z.array(PlanVersion) })),
    version: get('/plans/{id}/versions/{version}', 'plans', 'A plan as it was')
      .input(z.strictObject({ id: Id, version: z.coerce.number().int().positive() }))
      .output(PlanVersion.extend({ plan: RecoveryPlan })),
    restore: post('/plans/{id}/versions/{version}/restore', 'plans', 'Make an older version the newest one')
      .input(z.strictObject({ id: Id, version: z.coerce.number().int().positive() }))
      .output(PlanDetail),
    diff: get('/plans/{id}/diff', 'plans', 'What differs between two versions')
      .input(
        z.strictObject({
          id: Id,
          from: z.coerce.number().int().positive(),
          to: z.coerce.number().int().positive(),
        }),
      )
      .output(PlanDiff),
    merge: post('/plans/{id}/merge', 'plans', 'Join an edit with what somebody else has saved meanwhile')
      .input(SavePlanInput.extend({ id: Id }))
      .output(PlanMerge),
    document: get('/plans/{id}/document', 'plans', 'A plan as YAML').input(ById).output(PlanDocument),
    importDocument: created('/plans/import', 'plans', 'Make a plan from YAML')
      .input(ImportPlanInput)
      .output(PlanDetail),
    changeSecrets: post('/plans/{id}/secrets', 'plans', 'Keep values of secret parameters with the plan')
      .input(PlanSecrets.extend({ id: Id }))
      .output(PlanDetail),
    testSettings: get('/plans/{id}/test-settings', 'plan-tests', 'When a plan is tested by itself')
      .input(ById)
      .output(TestSettings),
    saveTestSettings: patch('/plans/{id}/test-settings', 'plan-tests', 'Set when a plan is tested by itself')
      .input(TestSettingsInput.extend({ id: Id }))
      .output(TestSettings),
    scheduledTests: get('/plans/{id}/scheduled-tests', 'plan-tests', 'What became of each, newest first')
      .input(z.strictObject({ id: Id, ...pageQuery }))
      .output(ScheduledTests),
    start: created('/plans/{id}/runs', 'plan-runs', 'Run a plan: test, failover or fail back')
      .input(StartPlanInput.extend({ id: Id }))
      .output(PlanRun),
  },
  library: {
    list: get('/library', 'plans', 'Ready plans with their documentation').output(
      z.object({ items: z.array(LibraryEntry) }),
    ),
    makePlan: created('/library/{id}/plans', 'plans', 'Make a plan from a ready one')
      .input(PlanFromLibrary.extend({ id: Id }))
      .output(PlanDetail),
  },
  planRuns: {
    list: get('/plan-runs', 'plan-runs', 'Runs of plans, newest first')
      .input(z.strictObject({ ...pageQuery, planId: Id.optional(), state: commaList(PlanRunState) }))
      .output(PlanRuns),
    get: get('/plan-runs/{id}', 'plan-runs', 'One run with its activities').input(ById).output(PlanRun),
    evidence: get('/plan-runs/{id}/evidence', 'plan-runs', 'Reports about a run, newest first')
      .input(ById)
      .output(z.object({ items: z.array(Evidence), trouble: EvidenceTrouble.nullable() })),
    makeEvidence: post(
      '/plan-runs/{id}/evidence',
      'plan-runs',
      'Have a report tried again that could not be made',
    )
      .input(ById)
      .output(Nothing),
    evidenceFile: get(
      '/plan-runs/{id}/evidence/{edition}/{file}',
      'plan-runs',
      'A report as a page or as PDF, or the whole bundle (zip)',
    )
      .input(EvidenceFileInput)
      .output(z.file()),
    pause: post('/plan-runs/{id}/pause', 'plan-runs', 'Start nothing more for now')
      .input(ById)
      .output(PlanRun),
    resume: post('/plan-runs/{id}/resume', 'plan-runs', 'Go on').input(ById).output(PlanRun),
    cancel: post('/plan-runs/{id}/cancel', 'plan-runs', 'Stop what can be stopped; a test cleans up')
      .input(ById)
      .output(PlanRun),
    edit: patch('/plan-runs/{id}', 'plan-runs', 'Change what has not started yet')
      .input(EditPlanRunInput.extend({ id: Id }))
      .output(PlanRun),
    merge: post('/plan-runs/{id}/merge', 'plan-runs', 'Join an edit with how the run stands by now')
      .input(MergePlanRunInput.extend({ id: Id }))
      .output(PlanRunMerge),
    followUp: created(
      '/plan-runs/{id}/follow-up',
      'plan-runs',
      'Clean up, roll back, commit ... all machines',
    )
      .input(FollowUpInput.extend({ id: Id }))
      .output(PlanRun),
    retry: post(
      '/plan-runs/{id}/activities/{itemId}/retry',
      'plan-runs',
      'Try a failed machine or step again',
    )
      .input(ActivityOf)
      .output(PlanRun),
    skip: post('/plan-runs/{id}/activities/{itemId}/skip', 'plan-runs', 'Go on without a machine or step')
      .input(ActivityOf)
      .output(PlanRun),
    answer: post(
      '/plan-runs/{id}/activities/{itemId}/answer',
      'plan-runs',
      'Answer a manual action or an approval',
    )
      .input(AnswerActivityInput.extend({ id: Id, itemId: Id }))
      .output(PlanRun),
  },
  siteFailovers: {
    list: get('/site-failovers', 'plan-runs', 'Failovers of whole sites, newest first')
      .input(z.strictObject(pageQuery))
      .output(SiteFailovers),
    get: get('/site-failovers/{id}', 'plan-runs', 'One failover of a site with its plans')
      .input(ById)
      .output(SiteFailover),
    stop: post('/site-failovers/{id}/stop', 'plan-runs', 'Begin no more of its plans')
      .input(ById)
      .output(SiteFailover),
    change: patch('/site-failovers/{id}', 'plan-runs', 'How many of its plans go on at a time')
      .input(z.strictObject({ id: Id, atOnce: z.number().int().min(1).max(20) }))
      .output(SiteFailover),
  },
  events: {
    list: get('/events', 'events', 'What happened, newest first')
      .input(
        z.strictObject({
          ...pageQuery,
          subjectId: Id.optional(),
          severity: Severity.optional(),
          code: z.string().max(100).optional(),
        }),
      )
      .output(pageOf(Event)),
  },
  alerts: {
    list: get('/alerts', 'alerts', 'What wants attention')
      .input(z.strictObject({ ...pageQuery, open: z.stringbool().optional() }))
      .output(pageOf(Alert)),
    acknowledge: post('/alerts/{id}/acknowledge', 'alerts', 'Say that you are on it')
      .input(ById)
      .output(Nothing),
  },
  users: {
    list: get('/users', 'users', 'Users').output(pageOf(User)),
    create: created('/users', 'users', 'New user').input(UserInput).output(User),
    update: patch('/users/{id}', 'users', 'Change role or password, disable')
      .input(UserChange.extend({ id: Id }))
      .output(User),
    remove: remove('/users/{id}', 'users', 'Remove a user').input(ById).output(Nothing),
  },
  tokens: {
    list: get('/tokens', 'tokens', 'API tokens').output(pageOf(Token)),
    create: created('/tokens', 'tokens', 'New API token').input(TokenInput).output(CreatedToken),
    remove: remove('/tokens/{id}', 'tokens', 'Revoke a token').input(ById).output(Nothing),
  },
  displayLinks: {
    list: get('/display-links', 'wall', 'Links that open the wall').output(pageOf(DisplayLink)),
    create: created('/display-links', 'wall', 'New link that opens the wall without signing in')
      .input(DisplayLinkInput)
      .output(CreatedDisplayLink),
    remove: remove('/display-links/{id}', 'wall', 'Revoke a link: its screens go dark')
      .input(ById)
      .output(Nothing),
  },
  wall: {
    picture: get('/wall', 'wall', 'Everything a screen on a wall shows').output(WallPicture),
    run: get('/wall/runs/{id}', 'wall', 'One run of a plan as a wall shows it').input(ById).output(WallRun),
  },
  audit: {
    list: get('/audit', 'audit', 'Who did what').input(z.strictObject(pageQuery)).output(pageOf(AuditEntry)),
  },
  movers: {
    list: get('/movers', 'movers', 'Processes that replicate').output(z.object({ items: z.array(Mover) })),
  },
  lab: {
    get: get('/lab', 'lab', 'The lab on this computer').output(Lab),
    create: starts('/lab', 'lab', 'Make two sites and two machines on this computer').output(Accepted),
    addAzure: created('/lab/azure', 'lab', 'Register an emulated Azure on this computer').output(
      z.object({ siteId: Id }),
    ),
    remove: remove('/lab', 'lab', 'Remove the lab').output(Nothing),
  },
}
export type Contract = typeof contract
