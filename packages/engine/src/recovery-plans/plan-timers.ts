// The timer of a plan that was failed over and not committed. The machines' own ones are set by it and leave what is to be done to it: one half of an
// application rolled back and the other committed would be worse than either.
import { Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { Run, RunId } from '@understudy/domain/failover/failover'
import type { Policy } from '@understudy/domain/protection/policy'
import type { Protection } from '@understudy/domain/protection/protection'
import { activePlanRunStates, type PlanRun, type PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import { type PlanTimer, planTimerOf, type TimedMember } from '@understudy/domain/recovery-plans/plan-timer'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert } from '../events/report.ts'
import { AGAIN_AFTER_MILLISECONDS, UNCOMMITTED_ALERT } from '../failover/uncommitted.ts'
import { createRecurring, type Recurring } from '../recurring.ts'
import { beginFollowUp } from './begin-run.ts'
import { followUpsOf } from './boots-of-run.ts'

const EVERY_MILLISECONDS = 10_000

type Member = { readonly boot: Run; readonly protection: Protection }

/** A run whose machines wait to be committed, and the timer of all of them. */
export type TimedPlan = {
  /** The one that brought them up, which a follow-up names. */
  readonly run: PlanRun
  readonly members: readonly Member[]
  /** Null: it goes on, or none of its machines has one. */
  readonly timer: PlanTimer | null
}

export const createPlanTimers = (parts: EngineParts): Recurring =>
  createRecurring(
    parts,
    { name: 'the timers of plans', everyMilliseconds: EVERY_MILLISECONDS },
    async (signal) => {
      for (const plan of await timedPlans(parts)) {
        if (signal.aborted) return
        await lookAt(parts, plan)
      }
    },
  )

/** Of one run, when its machines wait to be decided about. */
export const planTimer = async (parts: EngineParts, id: PlanRunId): Promise<PlanTimer | null> =>
  (await timedPlans(parts)).find(({ run }) => run.id === id)?.timer ?? null

export async function timedPlans(parts: EngineParts): Promise<readonly TimedPlan[]> {
  const { stores } = parts
  const boots = (await stores.runs.active()).filter(({ kind }) => kind !== 'test')
  if (boots.length === 0) return []
  const planOf = await stores.planRuns.ofBoots(boots.map(({ id }) => id))
  if (planOf.size === 0) return []
  const [protections, policies] = await Promise.all([stores.protections.list(), stores.policies.list()])
  const roots = await rootsOf(parts, [...new Set(planOf.values())])
  const protectionById = new Map(protections.map((each) => [each.id, each]))
  const policyById = new Map(policies.map((each) => [each.id, each]))
  const membersOf = new Map<PlanRunId, Member[]>()
  for (const boot of boots) {
    const root = rootOf(roots, planOf, boot.id)
    const protection = protectionById.get(boot.protectionId)
    if (root && protection?.state === 'failedOver')
      membersOf.set(root.id, [...(membersOf.get(root.id) ?? []), { boot, protection }])
  }
  const plans = new Map([...roots.values()].map((run) => [run.id, run]))
  return await Promise.all(
    [...membersOf].flatMap(([id, members]) => {
      const run = plans.get(id)
      return run ? [timedPlan(parts, { run, members, policyById })] : []
    }),
  )
}

/** By the run that has made a boot the one that it follows up, or itself. */
async function rootsOf(
  { stores }: EngineParts,
  ids: readonly PlanRunId[],
): Promise<ReadonlyMap<PlanRunId, PlanRun>> {
  const found = await Promise.all(
    ids.map(async (id) => {
      const run = await stores.planRuns.find(id)
      const root = run?.followsUp ? await stores.planRuns.find(run.followsUp) : run
      return [id, root] as const
    }),
  )
  return new Map(found.flatMap(([id, root]) => (root ? [[id, root] as const] : [])))
}

function rootOf(
  roots: ReadonlyMap<PlanRunId, PlanRun>,
  planOf: ReadonlyMap<RunId, PlanRunId>,
  boot: RunId,
): PlanRun | null {
  const maker = planOf.get(boot)
  return maker === undefined ? null : (roots.get(maker) ?? null)
}

type Gathered = Pick<TimedPlan, 'run' | 'members'> & { readonly policyById: ReadonlyMap<string, Policy> }

async function timedPlan(parts: EngineParts, { run, members, policyById }: Gathered): Promise<TimedPlan> {
  const all = [run, ...(await followUpsOf(parts, run))]
  if (all.some(({ state }) => activePlanRunStates.includes(state))) return { run, members, timer: null }
  // Another point begins the time anew, as it does for a machine alone. A commit that failed does not: it is tried again.
  const counted = all.filter(({ followsUp, kind }) => followsUp === null || kind === 'change-point')
  const endedAt = Math.max(...counted.map((each) => each.endedAt ?? each.startedAt))
  const timed = members.map(({ boot, protection }) => timedMember(boot, policyById.get(protection.policyId)))
  return { run, members, timer: planTimerOf(timed, endedAt) }
}

const timedMember = ({ commitDeadline }: Run, policy: Policy | undefined): TimedMember => {
  const timeoutSeconds = policy?.commitTimeoutSeconds ?? 0
  const action = timeoutSeconds > 0 ? (policy?.uncommittedAction ?? 'commit') : 'none'
  return { deadline: commitDeadline, timeoutSeconds, action }
}

/** Repeatable. Each machine shows the time that counts; a machine without a timer of its own is decided about as well, and shows it too. */
async function lookAt(parts: EngineParts, { run, members, timer }: TimedPlan): Promise<void> {
  if (timer === null) return
  for (const { boot } of members)
    if (boot.commitDeadline !== null && boot.commitDeadline !== timer.deadline) {
      await parts.stores.runs.update(boot.id, { commitDeadline: timer.deadline })
      parts.live.changed('runs', boot.id)
    }
  const now = parts.clock.now()
  if (now < timer.deadline) return
  if (timer.action === 'undecided') return await tellUndecided(parts, { run, members, timer })
  await act(parts, { run, members, timer, action: timer.action })
}

type Due = Pick<TimedPlan, 'run' | 'members'> & { readonly timer: PlanTimer }

async function act(
  parts: EngineParts,
  { run, members, timer, action }: Due & { readonly action: 'commit' | 'roll-back' },
): Promise<void> {
  const now = parts.clock.now()
  const attempt = Math.floor((now - timer.deadline) / AGAIN_AFTER_MILLISECONDS)
  // One for this time and attempt, whoever looks and however often.
  const planRunId = `timer-${run.id}-${timer.deadline}-${attempt}` as PlanRunId
  if ((await parts.stores.planRuns.find(planRunId)) !== null) return
  if (attempt > 0) await tellOverdue(parts, { run, members, timer })
  const by = `policy (${Math.round((now - run.startedAt) / 1000)} s after the failover)`
  try {
    await beginFollowUp(parts, { by, planRunId, followsUp: run.id, kind: action })
  } catch (error) {
    // Somebody was quicker, or tests the plan at this very moment: the next look sees how that ended.
    if (error instanceof Refusal) return
    throw error
  }
}

const tellUndecided = (parts: EngineParts, due: Due): Promise<void> =>
  tellMembers(parts, due, {
    why: (at) =>
      `the plan "${due.run.planName}" has one timer, which was up at ${at}; but the policies of its machines say different things, so nothing was done`,
    remedy:
      'Commit the run of the plan, or roll it back, as a whole. To have it done by itself, give the machines of a plan one policy.',
  })

const tellOverdue = (parts: EngineParts, due: Due): Promise<void> =>
  tellMembers(parts, due, {
    why: (at) =>
      `what the policy says of the plan "${due.run.planName}" was to be done at ${at} and did not succeed`,
    remedy:
      'See the run of the plan, then commit it or roll it back yourself. The policy tries again every ten minutes.',
  })

/** At each machine, for the alert ends with what is uncommitted there. */
async function tellMembers(
  parts: EngineParts,
  { members, timer }: Due,
  { why, remedy }: { readonly why: (at: string) => string; readonly remedy: string },
): Promise<void> {
  for (const { protection } of members)
    await raiseAlert(parts, {
      severity: 'critical',
      code: UNCOMMITTED_ALERT,
      message: `${protection.name} is failed over: ${why(isoOf(timer.deadline))}`,
      remedy,
      subject: { id: protection.id, name: protection.name },
    })
}

const isoOf = (at: Instant): string => new Date(at).toISOString()
