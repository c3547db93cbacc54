// One time that a plan is run. Kept as a row, with a row for each of its activities.
import type { Brand } from '@understudy/base/brand'
import type { FailureReport } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import { stateMachine } from '@understudy/base/state-machine'
import type { Direction } from '../protection/protection.ts'
import type { CutId } from '../recovery-points/recovery-point.ts'
import { isPlanRunKind, type ParameterValue, type PlanRunKind, type RecoveryPlan } from './plan.ts'
import type { ItemId, PlanId } from './plan-ids.ts'
import type { ActivityState, RunPurpose } from './schedule-plan.ts'

export type PlanRunId = Brand<'PlanRunId'>

/** What is done to all machines of a run afterwards. A run of its own, which has no steps. */
export type FollowUpKind = 'clean-up' | 'change-point' | 'roll-back' | 'commit' | 'reprotect'

export const followUpKinds: readonly FollowUpKind[] = [
  'clean-up',
  'change-point',
  'roll-back',
  'commit',
  'reprotect',
]

export type PlanRunState = 'running' | 'paused' | 'cancelling' | 'succeeded' | 'failed' | 'cancelled'

/**
 * Read a row as: from here, only there. `failed`: something that stops the plan has failed and nothing runs any more; to have it
 * tried again or skipped sets the run going again.
 */
export const planRunLife = stateMachine<PlanRunState>('plan run', {
  running: ['paused', 'cancelling', 'succeeded', 'failed'],
  paused: ['running', 'cancelling'],
  cancelling: ['cancelled'],
  failed: ['running', 'cancelling'],
  succeeded: [],
  cancelled: [],
})

/** In these a conductor has something to do, or will have. */
export const activePlanRunStates: readonly PlanRunState[] = ['running', 'paused', 'cancelling']

/**
 * One choice for all machines. `latest`: of each its newest one when its turn comes. `at`: of each the newest point that is not younger
 * than the instant. `latest-processed`: the same for the newest instant that all of them have reached when the run begins.
 */
export type PlanPointChoice = { readonly kind: 'latest-processed' } | SettledChoice

type SettledChoice =
  | { readonly kind: 'latest' }
  | { readonly kind: 'latest-application-consistent' }
  | { readonly kind: 'at'; readonly instant: Instant }

/**
 * By the id of the machine's protection: whatever becomes of its group, the run goes by what was chosen. Without a `cut` the points of the
 * machine could not be read then: it takes the newest that is not younger than the instant, which is that of the cut if it has it.
 */
export type PlanRunCuts = Readonly<Record<string, { readonly cut: CutId | null; readonly instant: Instant }>>
/** What a run goes by: the same for all its machines, however long it takes. */
export type PlanRunPoint = { readonly kind: 'latest-processed'; readonly instant: Instant } | SettledChoice

export type PlanRunSettings = {
  /** Answers beforehand what would be asked when a source cannot be proven off. Goes into the audit. */
  readonly acceptUnfenced: boolean
  /** Let a test use the networks of a failover where no isolated one is mapped. */
  readonly allowOpenNetworks: boolean
  /** Of each machine; null: as configured. */
  readonly shutDownTimeoutSeconds: number | null
  /** How long each guest has to answer; null: as configured. */
  readonly answerTimeoutSeconds: number | null
  /** Of a test that has passed; one that has failed is left for people to look at. */
  readonly cleanUp: 'by-hand' | 'when-done'
}

export type PlanRun = {
  readonly id: PlanRunId
  readonly planId: PlanId
  /** Outlives the plan. */
  readonly planName: string
  /** Of the plan when the run began. */
  readonly version: number
  readonly kind: PlanRunKind | FollowUpKind
  /** The run whose machines a follow-up is about, else null. */
  readonly followsUp: PlanRunId | null
  readonly direction: Direction
  readonly state: PlanRunState
  /** The plan as it is run: its own copy, which can be edited where nothing has started. */
  readonly plan: RecoveryPlan
  /** Rises with every edit of the copy. */
  readonly planRevision: number
  /** Rises with every change of one of its activities: whoever has read them knows by it whether they are still as they were. */
  readonly changes: number
  /** Of each machine that shares its consistency group with others of the plan: the instant that all of them boot from, chosen when the run began. */
  readonly cuts: PlanRunCuts
  readonly point: PlanRunPoint
  /** What was filled in at the start, without secrets. */
  readonly parameters: Readonly<Record<string, ParameterValue>>
  readonly settings: PlanRunSettings
  readonly startedBy: string
  /** The user behind that name, whatever token was used: nobody approves what he has asked for himself. Null: the server. */
  readonly starterId: string | null
  readonly startedAt: Instant
  readonly endedAt: Instant | null
  /** What has come of it, or what it was left with, for a person. */
  readonly note: string | null
}

/** Which of its steps it runs. A follow-up has none, so it makes no difference for what they would be meant. Pure. */
export const purposeOf = ({ kind, direction }: Pick<PlanRun, 'kind' | 'direction'>): RunPurpose => ({
  kind: isPlanRunKind(kind) ? kind : 'planned',
  direction,
})

/** From the site where the machines run to the other one, to stay there. Pure. */
export const isOneWay = (kind: PlanRun['kind']): boolean => kind === 'planned' || kind === 'unplanned'

/** What somebody has said to a manual action or an approval. */
export type ActivityAnswer = {
  readonly value: 'done' | 'failed'
  readonly by: string
  readonly at: Instant
  readonly comment: string
}

/** One machine or step of the plan in a run. */
export type PlanActivity = {
  readonly planRunId: PlanRunId
  readonly itemId: ItemId
  readonly state: ActivityState
  /** How often it has been started; 0: not yet. */
  readonly attempt: number
  /** Of this attempt, written down before the job is started. Null: it needs none, or has not begun. */
  readonly jobId: string | null
  /** The boot (RunId) that this attempt has made of a machine: what follows the run up is about that one and no other. */
  readonly bootId: string | null
  readonly startedAt: Instant | null
  readonly endedAt: Instant | null
  /** When this attempt is given up, or the wait is over; null: its job knows. */
  readonly deadline: Instant | null
  /** What has come of it, for a person. */
  readonly note: string | null
  readonly failure: FailureReport | null
  /** Of scripts and HTTP calls, bounded, with secrets masked. */
  readonly output: string | null
  readonly answer: ActivityAnswer | null
  /** Who has skipped it or had it tried again, else null. */
  readonly steeredBy: string | null
}

export const pendingActivity = (planRunId: PlanRunId, itemId: ItemId): PlanActivity => ({
  planRunId,
  itemId,
  state: 'pending',
  attempt: 0,
  jobId: null,
  bootId: null,
  startedAt: null,
  endedAt: null,
  deadline: null,
  note: null,
  failure: null,
  output: null,
  answer: null,
  steeredBy: null,
})
