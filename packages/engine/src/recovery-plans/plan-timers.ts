// The timer of a plan that was failed over and not committed. The machines' own ones are set by it and leave what is to be done to it: one half of an
// application rolled back and the other committed would be worse than either.
import { Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import { checkCommitTimer } from '@understudy/domain/failover/commit-timer'
import type { Run, RunId } from '@understudy/domain/failover/failover'
import { activeJobStates, type Job, type JobId } from '@understudy/domain/jobs/job'
import type { Policy } from '@understudy/domain/protection/policy'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import { machinesOf } from '@understudy/domain/recovery-plans/plan-items'
import {
  activePlanRunStates,
  type PlanActivity,
  type PlanRun,
  type PlanRunId,
} from '@understudy/domain/recovery-plans/plan-run'
import {
  type PlanTimer,
  planTimerOf,
  type SettlingAction,
  type TimedMember,
} from '@understudy/domain/recovery-plans/plan-timer'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert } from '../events/report.ts'
import { ROLLED_BACK } from '../failover/roll-back.ts'
import { AGAIN_AFTER_MILLISECONDS, UNCOMMITTED_ALERT } from '../failover/uncommitted.ts'
import type { Page } from '../ports/page.ts'
import { createRecurring, type Recurring } from '../recurring.ts'
import { beginFollowUp } from './begin-run.ts'
import { followUpsOf, isBootOf, plansOfBoots } from './boots-of-run.ts'
import { someAtOnce } from './some-at-once.ts'

const EVERY_MILLISECONDS = 10_000

type Member = { readonly boot: Run; readonly protection: Protection }

/** A run whose machines wait to be committed, and the timer of all of them. */
export type TimedPlan = {
  /** The one that brought them up, which a follow-up names. */
  readonly run: PlanRun
  readonly members: readonly Member[]
  /** Null: it goes on, or none of its machines has one. */
  readonly timer: PlanTimer | null
  /** What was begun with any of its machines, or of those of plans that share some with it. */
  readonly begun: ReadonlySet<SettlingAction>
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
  (await timedPlans(parts, id)).find(({ run }) => run.id === id)?.timer ?? null

/** `only`: with those that are decided about together with this one; nothing when nothing of it waits. */
export async function timedPlans(parts: EngineParts, only?: PlanRunId): Promise<readonly TimedPlan[]> {
  const { stores } = parts
  const boots = (await stores.runs.active()).filter(({ kind }) => kind !== 'test')
  if (boots.length === 0) return []
  const planOf = await plansOfBoots(parts, boots)
  if (planOf.size === 0) return []
  const roots = await rootsOf(parts, [...new Set(planOf.values())])
  if (only !== undefined && [...roots.values()].every(({ id }) => id !== only)) return []
  const facts = await factsOf(parts, boots)
  const membersOf = new Map<PlanRunId, Member[]>()
  for (const boot of boots) {
    const root = rootOf(roots, planOf, boot.id)
    const protection = facts.protections.get(boot.protectionId)
    if (root && protection?.state === 'failedOver')
      membersOf.set(root.id, [...(membersOf.get(root.id) ?? []), { boot, protection }])
  }
  const waiting = [...new Map([...roots.values()].map((run) => [run.id, run])).values()]
  const gathered = await Promise.all(
    (only === undefined ? waiting : sharingWith(only, waiting)).flatMap((run) => {
      const members = membersOf.get(run.id)
      return members ? [gather(parts, { run, members, facts })] : []
    }),
  )
  return overlapping(gathered).flatMap((together) => timedTogether(together, facts))
}

/** The run, and those that share a machine with it, or with one of these. A boot of a run is one of a machine of its plan. Pure. */
function sharingWith(id: PlanRunId, runs: readonly PlanRun[]): readonly PlanRun[] {
  const idsOf = ({ plan }: PlanRun): readonly ProtectionId[] =>
    machinesOf(plan).map(({ protectionId }) => protectionId)
  const found = new Set(runs.filter((run) => run.id === id))
  const machines = new Set([...found].flatMap(idsOf))
  for (let before = -1; before < found.size; ) {
    before = found.size
    for (const run of runs) {
      if (found.has(run) || !idsOf(run).some((each) => machines.has(each))) continue
      found.add(run)
      for (const each of idsOf(run)) machines.add(each)
    }
  }
  return [...found]
}

/** What is read once for all plans. */
type Facts = {
  readonly boots: readonly Run[]
  readonly protections: ReadonlyMap<ProtectionId, Protection>
  readonly policies: ReadonlyMap<string, Policy>
  /** Machines that a run which goes on is about, or will be. */
  readonly busy: ReadonlySet<ProtectionId>
  /** What a job of the machine does to it now: a commit may wait for hours before it shows in the state. */
  readonly begun: ReadonlyMap<string, SettlingAction>
}

async function factsOf(parts: EngineParts, boots: readonly Run[]): Promise<Facts> {
  const { stores } = parts
  const [protections, policies, active, begun] = await Promise.all([
    stores.protections.list(),
    stores.policies.list(),
    stores.planRuns.active(),
    settlingJobs(parts),
  ])
  const going = active.filter(({ kind }) => kind !== 'test' && kind !== 'clean-up')
  return {
    boots,
    protections: new Map(protections.map((each) => [each.id, each])),
    policies: new Map(policies.map((each) => [each.id, each])),
    busy: new Set(going.flatMap(({ plan }) => machinesOf(plan).map(({ protectionId }) => protectionId))),
    begun,
  }
}

async function settlingJobs({ stores }: EngineParts): Promise<Facts['begun']> {
  const begun = new Map<string, SettlingAction>()
  const filter = { states: activeJobStates, kinds: ['commit', 'roll-back'] }
  let cursor: string | null = null
  do {
    const page: Page<Job> = await stores.jobs.list(filter, { limit: 500, cursor })
    for (const { subjectId, kind } of page.rows)
      begun.set(subjectId, kind === 'commit' ? 'commit' : 'roll-back')
    cursor = page.next
  } while (cursor !== null)
  return begun
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

type Gathered = Pick<TimedPlan, 'run' | 'members'> & {
  /** Every boot that the application consists of: those that wait, those that somebody has seen to, and what another plan has brought up for it. */
  readonly boots: readonly Run[]
  readonly endedAt: Instant
  readonly goesOn: boolean
  readonly begun: ReadonlySet<SettlingAction>
}

async function gather(
  parts: EngineParts,
  { run, members, facts }: Pick<TimedPlan, 'run' | 'members'> & { readonly facts: Facts },
): Promise<Gathered> {
  const all = [run, ...(await followUpsOf(parts, run))]
  const activities = (await someAtOnce(all, ({ id }) => parts.stores.planRuns.activities(id))).flat()
  const boots = await bootsOf(parts, { run, members, activities, facts })
  // Another point begins the time anew, as it does for a machine alone. A commit that failed does not: it is tried again.
  const counted = all.filter(({ followsUp, kind }) => followsUp === null || kind === 'change-point')
  const followed = all.flatMap(({ kind }) => (kind === 'commit' || kind === 'roll-back' ? [kind] : []))
  const byMachine = boots.map((boot) => begunOf(boot, facts)).filter((each) => each !== null)
  return {
    run,
    members,
    boots: boots.filter((boot) => !boot.over || begunOf(boot, facts) !== null),
    endedAt: Math.max(...counted.map((each) => each.endedAt ?? each.startedAt)),
    goesOn: all.some(({ state }) => activePlanRunStates.includes(state)),
    begun: new Set([...followed, ...byMachine]),
  }
}

async function bootsOf(
  parts: EngineParts,
  {
    run,
    members,
    activities,
    facts,
  }: Pick<TimedPlan, 'run' | 'members'> & {
    readonly activities: readonly PlanActivity[]
    readonly facts: Facts
  },
): Promise<readonly Run[]> {
  const active = new Map(facts.boots.map((boot) => [boot.id, boot]))
  const ids = activities.flatMap(({ bootId }) => (bootId === null ? [] : [bootId as RunId]))
  const found = await someAtOnce(
    [...new Set(ids)],
    async (id) => active.get(id) ?? parts.stores.runs.find(id),
  )
  const machines = new Map(machinesOf(run.plan).map((each) => [each.id, each.protectionId]))
  const unwritten = activities.filter(({ bootId }) => bootId === null)
  const others = await someAtOnce(unwritten, async (activity) => {
    const protectionId = machines.get(activity.itemId)
    return protectionId === undefined
      ? null
      : await unwrittenBoot(parts, protectionId, { run, activity, facts })
  })
  const own = members.map(({ boot }) => boot)
  const boots = [...own, ...found, ...others].filter((boot) => boot !== null && boot.kind !== 'test')
  return [...new Map(boots.flatMap((boot) => (boot ? [[boot.id, boot] as const] : []))).values()]
}

/** Of one that was up already when its turn came: what another failover had brought up. Of one that was skipped at work: what its job made all the same. */
async function unwrittenBoot(
  { stores }: EngineParts,
  protectionId: ProtectionId,
  {
    run,
    activity: { planRunId, state, jobId, endedAt },
    facts,
  }: { readonly run: PlanRun; readonly activity: PlanActivity; readonly facts: Facts },
): Promise<Run | null> {
  const wasUp = planRunId === run.id && state === 'succeeded'
  const job = state === 'skipped' && jobId !== null ? await stores.jobs.find(jobId as JobId) : null
  if (!wasUp && job === null) return null
  const isIt = (boot: Run): boolean => {
    if (boot.protectionId !== protectionId || boot.kind === 'test') return false
    return job === null ? boot.startedAt <= (endedAt ?? 0) : isBootOf(boot, job)
  }
  const active = facts.boots.find(isIt)
  if (active) return active
  const before = (await stores.runs.history(protectionId, 50)).filter(isIt)
  return before.toSorted((a, b) => b.startedAt - a.startedAt)[0] ?? null
}

/** What somebody does, or has done, about it. Null: nothing. */
function begunOf(boot: Run, { protections, begun }: Facts): SettlingAction | null {
  if (boot.over) {
    if (boot.failure === null) return 'commit'
    return boot.failure === ROLLED_BACK ? 'roll-back' : null
  }
  const state = protections.get(boot.protectionId)?.state
  if (state === 'committing') return 'commit'
  if (state === 'rollingBack') return 'roll-back'
  return begun.get(boot.protectionId) ?? null
}

/** Plans that stand on one machine are decided about together: rolled back under the other, it would take that one's application along. */
function overlapping(plans: readonly Gathered[]): readonly (readonly Gathered[])[] {
  let parties: readonly (readonly Gathered[])[] = []
  for (const plan of plans) {
    const ids = new Set(plan.boots.map(({ id }) => id))
    const isMet = (party: readonly Gathered[]): boolean =>
      party.some(({ boots }) => boots.some(({ id }) => ids.has(id)))
    parties = [...parties.filter((party) => !isMet(party)), [...parties.filter(isMet).flat(), plan]]
  }
  return parties
}

function timedTogether(together: readonly Gathered[], facts: Facts): readonly TimedPlan[] {
  const goesOn = together.some(
    (plan) =>
      plan.goesOn || plan.boots.some(({ over, protectionId }) => !over && facts.busy.has(protectionId)),
  )
  const runs = together.map(({ boots, endedAt }) => ({
    members: boots.map((boot) => timedMember(boot, facts)),
    endedAt,
  }))
  const begun = new Set(together.flatMap((plan) => [...plan.begun]))
  const timer = goesOn ? null : planTimerOf(runs, begun)
  return together.map(({ run, members }) => ({ run, members, timer, begun }))
}

const timedMember = (
  { commitDeadline, protectionId }: Run,
  { protections, policies }: Facts,
): TimedMember => {
  const policy = policies.get(protections.get(protectionId)?.policyId ?? '')
  const timeoutSeconds = policy?.commitTimeoutSeconds ?? 0
  const action = timeoutSeconds > 0 ? (policy?.uncommittedAction ?? 'commit') : 'none'
  return { deadline: commitDeadline, timeoutSeconds, action }
}

/** Repeatable. Each machine shows the time that counts; a machine without a timer of its own is decided about as well, and shows it too. */
async function lookAt(parts: EngineParts, { run, members, timer, begun }: TimedPlan): Promise<void> {
  if (timer === null) return
  for (const { boot } of members)
    if (boot.commitDeadline !== null && boot.commitDeadline !== timer.deadline) {
      await parts.stores.runs.update(boot.id, { commitDeadline: timer.deadline })
      parts.live.changed('runs', boot.id)
    }
  const verdict = checkCommitTimer({
    deadline: timer.deadline,
    warnSeconds: parts.config.commitWarningSeconds,
    warned: false,
    now: parts.clock.now(),
  })
  if (verdict === 'wait') return
  if (verdict === 'warn') return await warn(parts, { run, members, timer }, begun)
  if (timer.action === 'undecided') return await tellUndecided(parts, { run, members, timer }, begun)
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
    if (!(error instanceof Refusal)) throw error
    // Somebody was quicker, or tests the plan at this very moment: the next look sees how that ended.
    if (error.code === 'recovery-plan/running' || error.code === 'plan-run/not-over') return
    await tellRefused(parts, { run, members, timer }, error)
  }
}

async function warn(parts: EngineParts, due: Due, begun: ReadonlySet<SettlingAction>): Promise<void> {
  const { run, timer } = due
  const plan = `the plan "${run.planName}"`
  const then: Record<PlanTimer['action'], string> = {
    commit: `the policy will commit ${plan} at ${isoOf(timer.deadline)}`,
    'roll-back': `the policy will roll back ${plan} at ${isoOf(timer.deadline)}`,
    undecided: `nothing will be done by itself when the time of ${plan} is up at ${isoOf(timer.deadline)}, for ${whyUndecided(begun)}`,
  }
  await tellMembers(parts, due, {
    severity: 'warning',
    why: then[timer.action],
    remedy: 'Commit the run of the plan, or roll it back, before then.',
  })
}

/** Of those that wait still: one that was settled meanwhile has closed its alert. */
async function tellRefused(parts: EngineParts, due: Due, { message, remedy }: Refusal): Promise<void> {
  const found = await someAtOnce(due.members, ({ protection }) =>
    parts.stores.protections.find(protection.id),
  )
  const waiting = new Set(found.flatMap((each) => (each?.state === 'failedOver' ? [each.id] : [])))
  const members = due.members.filter(({ protection }) => waiting.has(protection.id))
  await tellMembers(
    parts,
    { ...due, members },
    {
      severity: 'critical',
      why: `what the policy says of the plan "${due.run.planName}" was to be done at ${isoOf(due.timer.deadline)} and was refused: ${message}`,
      remedy,
    },
  )
}

const tellUndecided = (parts: EngineParts, due: Due, begun: ReadonlySet<SettlingAction>): Promise<void> =>
  tellMembers(parts, due, {
    severity: 'critical',
    why: `the plan "${due.run.planName}" has one timer, which was up at ${isoOf(due.timer.deadline)}; but ${whyUndecided(begun)}, so nothing was done`,
    remedy:
      'Commit the run of the plan, or roll it back, as a whole. To have it done by itself, give the machines of a plan one policy.',
  })

const whyUndecided = (begun: ReadonlySet<SettlingAction>): string =>
  begun.size === 0
    ? 'the policies of its machines say different things'
    : `to ${[...begun].join(' and to ')} was begun with some machines already, and the policies do not all say the same`

const tellOverdue = (parts: EngineParts, due: Due): Promise<void> =>
  tellMembers(parts, due, {
    severity: 'critical',
    why: `what the policy says of the plan "${due.run.planName}" was to be done at ${isoOf(due.timer.deadline)} and did not succeed`,
    remedy:
      'See the run of the plan, then commit it or roll it back yourself. The policy tries again every ten minutes.',
  })

type Told = {
  readonly severity: 'warning' | 'critical'
  readonly why: string
  readonly remedy: string
}

/** At each machine, for the alert ends with what is uncommitted there. */
async function tellMembers(
  parts: EngineParts,
  { members }: Due,
  { severity, why, remedy }: Told,
): Promise<void> {
  for (const { protection } of members)
    await raiseAlert(parts, {
      severity,
      code: UNCOMMITTED_ALERT,
      message: `${protection.name} is failed over and not committed: ${why}`,
      remedy,
      subject: { id: protection.id, name: protection.name },
    })
}

const isoOf = (at: Instant): string => new Date(at).toISOString()
