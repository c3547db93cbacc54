// Recovery plans, their versions and their runs.
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { RecoveryPlan as DomainPlan } from '@understudy/domain/recovery-plans/plan'
import type { GroupId, ItemId, PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import { z } from 'zod'
import { idOf, StepAction } from './plan-action.ts'
import { EvidenceSummary, Readiness } from './plan-tests.ts'
import { Id, InstantText, Name, pageOf, Seconds } from './primitives.ts'
import { Consistency, RecoveryPoint } from './recovery-point.ts'

export const PlanRunKind = z.enum(['test', 'planned', 'unplanned', 'fail-back'])
export const FollowUpKind = z.enum(['clean-up', 'change-point', 'roll-back', 'commit', 'reprotect'])
export type FollowUpKind = z.infer<typeof FollowUpKind>
export const PlanDirection = z.enum(['forward', 'reverse'])

/** Shared with the text form; see plan-document.ts. */
export const planItem = {
  id: idOf<ItemId>().describe('Unique within the plan; stays when it is moved or edited'),
  needs: z.array(idOf<ItemId>()).max(500).describe('Items anywhere in the plan that must be done before'),
  whenItFails: z.enum(['stop', 'continue', 'ask']),
}
const PlanMachine = z.strictObject({ ...planItem, protectionId: idOf<ProtectionId>() })
export const planStep = z.strictObject({
  ...planItem,
  name: z.string().max(120),
  kinds: z.array(PlanRunKind).max(4),
  directions: z.array(PlanDirection).max(2),
  action: StepAction,
})
export const planGroup = z.strictObject({
  id: idOf<GroupId>(),
  name: z.string().max(120),
  start: z.enum(['in-order', 'at-once']),
  before: z.array(planStep).max(200),
  machines: z.array(PlanMachine).max(1000),
  after: z.array(planStep).max(200),
})
const ParameterValue = z.union([z.string().max(10_000), z.number(), z.boolean()])
export const PlanParameter = z.strictObject({
  name: z.string().max(120),
  description: z.string().max(500),
  type: z.enum(['text', 'number', 'boolean', 'choice', 'secret']),
  choices: z.array(z.string().max(200)).max(200),
  default: ParameterValue.nullable(),
  asked: z.boolean(),
})
export const newPlanHead = {
  name: Name,
  priority: z.number().int().min(1).max(9),
  targetRtoSeconds: z.number().positive().nullable(),
  parameters: z.array(PlanParameter).max(200),
  groups: z.array(planGroup).max(200),
}
/** As it is drawn. It may have faults; see findings. */
export const RecoveryPlan = z
  .strictObject({ id: idOf<PlanId>(), ...newPlanHead })
  .meta({ id: 'RecoveryPlan' }) satisfies z.ZodType<DomainPlan>
export type RecoveryPlan = z.infer<typeof RecoveryPlan>
export const NewRecoveryPlan = z.strictObject(newPlanHead).meta({ id: 'NewRecoveryPlan' })
export type NewRecoveryPlan = z.infer<typeof NewRecoveryPlan>

export const PlanFinding = z
  .object({
    at: z.discriminatedUnion('kind', [
      z.object({ kind: z.literal('plan') }),
      z.object({ kind: z.literal('parameter'), name: z.string() }),
      z.object({ kind: z.literal('group'), id: Id }),
      z.object({ kind: z.literal('item'), id: Id }),
    ]),
    level: z.enum(['blocker', 'warning']),
    code: z.string(),
    message: z.string(),
    remedy: z.string(),
  })
  .meta({ id: 'PlanFinding' })
export type PlanFinding = z.infer<typeof PlanFinding>

const saved = {
  version: z.number().int().positive(),
  savedAt: InstantText,
  savedBy: z.string(),
  comment: z.string(),
}
export const PlanVersion = z.object(saved).meta({ id: 'PlanVersion' })
export type PlanVersion = z.infer<typeof PlanVersion>

export const PlanRunState = z.enum(['running', 'paused', 'cancelling', 'succeeded', 'failed', 'cancelled'])
export type PlanRunState = z.infer<typeof PlanRunState>
/** What the buttons are drawn from. `reason`: why not; null: it is allowed. */
const RunAction = z.object({
  action: z.enum([
    'pause',
    'resume',
    'cancel',
    'edit',
    'clean-up',
    'change-point',
    'roll-back',
    'commit',
    'reprotect',
  ]),
  reason: z.string().nullable(),
})
export const PlanRunSummary = z
  .object({
    id: Id,
    planId: Id,
    planName: z.string(),
    version: z.number().int(),
    kind: z.union([PlanRunKind, FollowUpKind]),
    followsUp: Id.nullable(),
    direction: PlanDirection,
    state: PlanRunState,
    startedBy: z.string(),
    startedAt: InstantText,
    endedAt: InstantText.nullable(),
    note: z.string().nullable(),
    doneItems: z.number().int(),
    totalItems: z.number().int(),
    waitingForPeople: z
      .number()
      .int()
      .describe('Manual actions, approvals, failures that ask, questions of jobs'),
    evidence: EvidenceSummary.nullable().describe('The newest report; it is made within seconds of the end'),
  })
  .meta({ id: 'PlanRunSummary' })
export type PlanRunSummary = z.infer<typeof PlanRunSummary>

export const PlanActivity = z
  .object({
    itemId: Id,
    name: z.string(),
    groupId: Id,
    part: z.enum(['before', 'machines', 'after']),
    kind: z.enum([
      'machine',
      'script',
      'manual',
      'approval',
      'wait',
      'probe',
      'http',
      'dns',
      'load-balancer',
      'traffic-manager',
      'azure-load-balancer',
      'azure-dns',
      'azure-run-command',
    ]),
    /** `left-out`: a step that is not for this kind of run or direction. */
    state: z.enum(['pending', 'running', 'succeeded', 'failed', 'skipped', 'left-out']),
    attempt: z.number().int(),
    jobId: Id.nullable(),
    protectionId: Id.nullable(),
    /** Of the machine that it has brought up. */
    runId: Id.nullable(),
    addresses: z.array(z.string()),
    pointInstant: InstantText.nullable(),
    hasScreenshot: z.boolean(),
    startedAt: InstantText.nullable(),
    endedAt: InstantText.nullable(),
    deadline: InstantText.nullable(),
    note: z.string().nullable(),
    failure: z
      .object({ kind: z.string(), code: z.string(), message: z.string(), remedy: z.string() })
      .nullable(),
    output: z.string().nullable(),
    answer: z
      .object({
        value: z.enum(['done', 'failed']),
        by: z.string(),
        at: InstantText,
        comment: z.string(),
      })
      .nullable(),
    steeredBy: z.string().nullable(),
    /** What somebody is asked to do or to say; null: nothing. */
    asks: z
      .object({
        kind: z.enum(['manual', 'approval', 'failed', 'job']),
        text: z.string(),
        role: z.enum(['operator', 'contributor', 'owner']),
      })
      .nullable(),
    predicted: z
      .object({
        startSeconds: Seconds,
        endSeconds: Seconds,
        slackSeconds: Seconds,
        critical: z.boolean(),
      })
      .nullable()
      .describe('Seconds since the start of the run'),
  })
  .meta({ id: 'PlanActivity' })
export type PlanActivity = z.infer<typeof PlanActivity>

export const PlanTimetable = z
  .object({
    totalSeconds: Seconds,
    spreadSeconds: Seconds.describe('A standard deviation'),
    criticalPath: z.array(Id),
    measured: z.number().int().describe('Of how many items the duration is known from earlier runs'),
    items: z.array(
      z.object({
        itemId: Id,
        startSeconds: Seconds,
        endSeconds: Seconds,
        slackSeconds: Seconds,
        critical: z.boolean(),
      }),
    ),
  })
  .meta({ id: 'PlanTimetable' })
export type PlanTimetable = z.infer<typeof PlanTimetable>

/** Split brain: the machine that serves, and the one from before that is on again. */
const RunningTwice = z.object({
  protectionId: Id,
  name: z.string(),
  oldSite: z.string().describe('Where the machine from before runs'),
  servingSite: z.string().describe('Where the one runs that serves'),
  since: InstantText.describe('When it was first seen'),
  canRollBack: z.boolean(),
})
export type RunningTwice = z.infer<typeof RunningTwice>

export const PlanRun = PlanRunSummary.extend({
  plan: RecoveryPlan,
  planRevision: z.number().int(),
  point: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('latest') }),
    z.object({ kind: z.literal('latest-application-consistent') }),
    z.object({ kind: z.literal('latest-processed'), instant: InstantText }),
    z.object({ kind: z.literal('at'), instant: InstantText }),
  ]),
  parameters: z.record(z.string(), ParameterValue),
  activities: z.array(PlanActivity),
  predictedSeconds: Seconds.nullable().describe('From the start to the end, as it is expected now'),
  spreadSeconds: Seconds.nullable(),
  targetRtoSeconds: z.number().nullable(),
  actions: z.array(RunAction),
  followUps: z.array(PlanRunSummary),
  runningTwice: z.array(RunningTwice),
  timer: z
    .object({ deadline: InstantText, action: z.enum(['commit', 'roll-back', 'undecided']) })
    .nullable()
    .describe(
      'Until when its machines wait to be committed or rolled back, and what is done to all of them then; undecided: their policies differ, so nothing is',
    ),
}).meta({ id: 'PlanRun' })
export type PlanRun = z.infer<typeof PlanRun>

export const PlanSummary = z
  .object({
    id: Id,
    name: z.string(),
    priority: z.number().int(),
    targetRtoSeconds: z.number().nullable(),
    ...saved,
    machineCount: z.number().int(),
    stepCount: z.number().int(),
    blockers: z.number().int(),
    warnings: z.number().int(),
    predictedSeconds: Seconds.nullable(),
    worstLagSeconds: Seconds.nullable().describe('Of its machines: what a failover now would lose'),
    lastTest: z.object({ runId: Id, at: InstantText, passed: z.boolean() }).nullable(),
    readiness: Readiness,
    nextTestAt: InstantText.nullable().describe('By its schedule; null: nothing is scheduled'),
    activeRun: PlanRunSummary.nullable(),
    lastRun: PlanRunSummary.nullable(),
  })
  .meta({ id: 'PlanSummary' })
export type PlanSummary = z.infer<typeof PlanSummary>
export const PlanDetail = PlanSummary.extend({
  plan: RecoveryPlan,
  findings: z.array(PlanFinding),
  runningTwice: z.array(RunningTwice),
  /** Names of all protections, so that machines can be shown and chosen. */
  keptSecrets: z.array(z.string()).describe('Secret parameters whose value is kept with the plan'),
}).meta({ id: 'PlanDetail' })
export type PlanDetail = z.infer<typeof PlanDetail>

export const SavePlanInput = z.strictObject({
  plan: RecoveryPlan,
  version: z.number().int().positive().describe('The one that the edit began with'),
  comment: z.string().max(500).default(''),
})
export const PlanDocument = z
  .object({ format: z.literal('yaml'), text: z.string().max(1_000_000) })
  .meta({ id: 'PlanDocumentText' })
export const ImportPlanInput = z.strictObject({ text: z.string().max(1_000_000) })
export const CheckPlanInput = z.strictObject({ plan: RecoveryPlan, kind: PlanRunKind.default('unplanned') })
export const PlanCheck = z
  .object({ findings: z.array(PlanFinding), timetable: PlanTimetable.nullable() })
  .meta({ id: 'PlanCheck' })
export type PlanCheck = z.infer<typeof PlanCheck>
export const PlanDryRun = PlanCheck.extend({
  /** Empty for a move on purpose, which ships what was written last. */
  points: z.array(
    z.object({
      itemId: Id,
      name: z.string(),
      instant: InstantText.nullable().describe('Of the point it would be booted from; null: none fits'),
      consistency: Consistency.nullable(),
      ageSeconds: Seconds.nullable().describe('How much older that is than the instant chosen for all'),
    }),
  ),
}).meta({ id: 'PlanDryRun' })
export type PlanDryRun = z.infer<typeof PlanDryRun>
export const PlanTimeLine = z
  .object({
    machines: z.array(
      z.object({
        itemId: Id,
        name: z.string(),
        points: z.array(
          RecoveryPoint.pick({
            id: true,
            instant: true,
            consistency: true,
            verifiedAt: true,
            suspicious: true,
            pinned: true,
            held: true,
          }),
        ),
        left: z.number().int().describe('How many older or closer points are not listed'),
        problem: z.string().nullable().describe('Why its points could not be read, else null'),
      }),
    ),
    earliestCommon: InstantText.nullable().describe('Before it some machine has no point'),
    latestProcessed: InstantText.nullable().describe('The newest instant that all machines have reached'),
  })
  .meta({ id: 'PlanTimeLine' })
export type PlanTimeLine = z.infer<typeof PlanTimeLine>
const spotted = { at: PlanFinding.shape.at, words: z.string() }
export const PlanDiff = z.object({ items: z.array(z.object(spotted)) }).meta({ id: 'PlanDiff' })
export type PlanDiff = z.infer<typeof PlanDiff>
export const PlanMerge = z
  .discriminatedUnion('kind', [
    z.object({ kind: z.literal('merged'), plan: RecoveryPlan, version: z.number().int() }),
    z.object({
      kind: z.literal('conflicts'),
      version: z.number().int(),
      conflicts: z.array(z.object({ at: PlanFinding.shape.at, message: z.string() })),
    }),
  ])
  .meta({ id: 'PlanMerge' })
export type PlanMerge = z.infer<typeof PlanMerge>

export const PlanPointChoice = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('latest') }),
    z.strictObject({ kind: z.literal('latest-application-consistent') }),
    z.strictObject({ kind: z.literal('latest-processed') }),
    z.strictObject({ kind: z.literal('at'), instant: InstantText }),
  ])
  .describe(
    'latest: of each machine its newest when its turn comes. latest-processed: the newest instant that all machines have reached already. at: of each machine its newest at or before the instant',
  )
  .meta({ id: 'PlanPointChoice' })
export type PlanPointChoice = z.infer<typeof PlanPointChoice>
export const StartPlanInput = z.strictObject({
  kind: PlanRunKind,
  point: PlanPointChoice.default({ kind: 'latest' }),
  parameters: z.record(z.string(), z.unknown()).default({}),
  acceptUnfenced: z.boolean().default(false),
  allowOpenNetworks: z.boolean().default(false),
  shutDownTimeoutSeconds: z.number().positive().nullable().default(null),
  answerTimeoutSeconds: z.number().positive().nullable().default(null),
  cleanUp: z.enum(['by-hand', 'when-done']).default('by-hand'),
})
export const FollowUpInput = z.strictObject({
  kind: FollowUpKind,
  point: PlanPointChoice.default({ kind: 'latest' }),
})
export const AnswerActivityInput = z.strictObject({
  value: z.enum(['done', 'failed']),
  comment: z.string().max(500).default(''),
})
export const EditPlanRunInput = z.strictObject({
  planRevision: z.number().int(),
  plan: RecoveryPlan,
})
export const MergePlanRunInput = z.strictObject({
  base: RecoveryPlan.describe('What the edit began with'),
  plan: RecoveryPlan,
})
export const PlanRunMerge = z
  .discriminatedUnion('kind', [
    z.object({
      kind: z.literal('merged'),
      plan: RecoveryPlan,
      planRevision: z.number().int(),
      theirs: RecoveryPlan.describe('The plan of the run as it is now'),
      givenUp: z
        .array(z.object({ at: PlanFinding.shape.at, message: z.string() }))
        .describe('What has started meanwhile, and stays as it is'),
    }),
    z.object({
      kind: z.literal('conflicts'),
      planRevision: z.number().int(),
      theirs: RecoveryPlan,
      conflicts: z.array(z.object({ at: PlanFinding.shape.at, message: z.string() })),
    }),
  ])
  .meta({ id: 'PlanRunMerge' })
export type PlanRunMerge = z.infer<typeof PlanRunMerge>
/** What was seen and confirmed: nothing that is found to run twice only since then is switched off. */
export const PowerOffOldInput = z.strictObject({
  protectionIds: z
    .array(Id)
    .min(1)
    .max(10_000)
    .describe('Of the machines whose old one is to be powered off'),
})
export const PowerOffOldResult = z
  .object({
    items: z.array(
      z.object({
        protectionId: Id,
        name: z.string(),
        jobId: Id.nullable().describe('Null: it was refused, or there is nothing to switch off any more'),
        why: z.string().nullable(),
      }),
    ),
  })
  .meta({ id: 'PowerOffOldResult' })
export const PlanSecrets = z.strictObject({
  secrets: z.record(z.string().max(120), z.string().max(10_000).nullable()).describe('Null takes one away'),
})
export const Plans = pageOf(PlanSummary)
export const PlanRuns = pageOf(PlanRunSummary)

const SitePlan = z.object({
  planId: Id,
  planName: z.string(),
  priority: z.number().int(),
  state: z
    .enum(['waiting', 'begun', 'refused', 'left-out'])
    .describe('begun: see its run. refused: see why. left-out: somebody stopped the rest'),
  why: z.object({ message: z.string(), remedy: z.string() }).nullable(),
  run: PlanRunSummary.nullable(),
})
/** "This site is down": its plans are failed over in order, some at a time. */
export const SiteFailover = z
  .object({
    id: Id,
    siteId: Id,
    siteName: z.string(),
    state: z.enum(['running', 'done']),
    plans: z.array(SitePlan).describe('In the order in which they begin'),
    atOnce: z.number().int(),
    acceptUnfenced: z.boolean(),
    startedBy: z.string(),
    startedAt: InstantText,
    endedAt: InstantText.nullable(),
    stoppedBy: z.string().nullable(),
    uncovered: z
      .array(z.object({ protectionId: Id, name: z.string() }))
      .describe('Protected machines that run at the site and stand in no plan'),
  })
  .meta({ id: 'SiteFailover' })
export type SiteFailover = z.infer<typeof SiteFailover>
export const SiteFailovers = pageOf(SiteFailover)
/** What a site takes down with it, before anything is done about it. */
export const SiteOutlook = z
  .object({
    siteId: Id,
    name: z.string(),
    answers: z.boolean().describe('Whether the site answered when it was last looked at'),
    plans: z.array(
      z.object({
        planId: Id,
        name: z.string(),
        priority: z.number().int(),
        machinesHere: z.number().int(),
        machinesElsewhere: z.array(z.string()).describe('Names of its machines that run at other sites'),
        blockers: z.array(z.string()),
        asked: z
          .array(PlanParameter)
          .describe('What it asks for at its start: fill in those without a default'),
        keptSecrets: z.array(z.string()).describe('Of them the secrets that are kept with the plan'),
        sharedWith: z
          .array(z.object({ planId: Id, name: z.string(), machines: z.array(z.string()) }))
          .describe(
            'Plans that begin before it and have machines of it: these are brought up once, by whichever comes to them first',
          ),
        predictedSeconds: Seconds.nullable(),
        worstLagSeconds: Seconds.nullable(),
        activeRun: PlanRunSummary.nullable(),
      }),
    ),
    uncovered: z.array(z.object({ protectionId: Id, name: z.string() })),
    unprotected: z.number().int().describe('Machines of the site that are not protected at all'),
    running: Id.nullable().describe('The failover of this site that goes on'),
  })
  .meta({ id: 'SiteOutlook' })
export type SiteOutlook = z.infer<typeof SiteOutlook>
export const FailOverSiteInput = z.strictObject({
  siteName: z.string().max(200).describe('As it is typed to confirm it: the name of the site'),
  planIds: z.array(Id).min(1).max(1000),
  moveAlong: z
    .array(Id)
    .max(1000)
    .default([])
    .describe(
      'Of them those whose machines that run at other sites are switched off there and moved as well',
    ),
  parameters: z
    .record(Id, z.record(z.string(), z.unknown()))
    .default({})
    .describe('By the id of the plan: what it asks for at its start'),
  point: PlanPointChoice.default({ kind: 'latest' }),
  acceptUnfenced: z.boolean().default(false),
  atOnce: z.number().int().min(1).max(20).default(3).describe('Plans at a time'),
})
