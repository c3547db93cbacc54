// A run of a plan begins: everything that could be wrong is looked for first, then the run and all its activities are written down in one act.
import { Refusal } from '@understudy/base/errors'
import type { Direction, Protection, ProtectionId } from '@understudy/domain/protection/protection'
import { followUpRun } from '@understudy/domain/recovery-plans/follow-up-plan'
import { resolveParameters } from '@understudy/domain/recovery-plans/parameters'
import { isPlanRunKind, type PlanRunKind, type RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import type { PlanFinding } from '@understudy/domain/recovery-plans/plan-finding'
import { itemsOf, machinesOf } from '@understudy/domain/recovery-plans/plan-items'
import {
  activePlanRunStates,
  type FollowUpKind,
  type PlanActivity,
  type PlanRun,
  type PlanRunId,
  type PlanRunSettings,
  pendingActivity,
} from '@understudy/domain/recovery-plans/plan-run'
import { type MemberFacts, validateAgainst } from '@understudy/domain/recovery-plans/validate-against'
import { validatePlan } from '@understudy/domain/recovery-plans/validate-plan'
import { validateSites } from '@understudy/domain/recovery-plans/validate-sites'
import { lagTargetAt } from '@understudy/domain/replication/carried-pace'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import type { FollowUpRequest, StartPlanRequest } from '../requests.ts'
import { noTargets } from '../sites/no-target.ts'
import { activitiesOfFollowUp, NOT_COMMITTED } from './boots-of-run.ts'
import { cloudFindings } from './cloud-findings.ts'
import { wordsOfRun } from './conduct-run.ts'
import { settleCuts } from './group-cuts.ts'
import { pointReader, settlePoint } from './member-points.ts'
import { siteFacts } from './program-sites.ts'
import { loadPlan } from './save-plan.ts'
import { loadRun } from './steer-run.ts'

export const defaultRunSettings: PlanRunSettings = {
  acceptUnfenced: false,
  allowOpenNetworks: false,
  shutDownTimeoutSeconds: null,
  answerTimeoutSeconds: null,
  cleanUp: 'by-hand',
}

const latest = { kind: 'latest' } as const

/** A move on purpose ships what was written last, and needs no point. */
export const choosesPoint = (kind: PlanRunKind): boolean => kind === 'test' || kind === 'unplanned'

/** Repeatable with the same run id: the first request counts. `broughtUp`: see validateAgainst. */
export async function beginRun(
  parts: EngineParts,
  request: StartPlanRequest,
  broughtUp: readonly ProtectionId[] = [],
): Promise<PlanRun> {
  const id = request.planRunId ?? (parts.newId() as PlanRunId)
  const known = await parts.stores.planRuns.find(id)
  if (known) return known
  const { plan, version } = await loadPlan(parts, request.planId)
  const { findings, directions } = await lookAt(parts, plan, { kind: request.kind, broughtUp })
  const wished = choosesPoint(request.kind) ? (request.point ?? latest) : latest
  const read = pointReader(parts)
  const { point, findings: pointless } = await settlePoint(parts, plan, { choice: wished, read })
  refuseBlocked(plan, [...findings, ...pointless])
  const { parameters, secrets } = await fillIn(parts, plan, request.parameters ?? {})
  const { cuts, findings: doubts } = await settleCuts(parts, plan, { kind: request.kind, point, read })
  const run: PlanRun = {
    id,
    planId: plan.id,
    planName: plan.name,
    version,
    kind: request.kind,
    followsUp: null,
    direction: directions[0] ?? 'forward',
    state: 'running',
    plan,
    planRevision: 1,
    changes: 0,
    point,
    cuts,
    parameters,
    settings: { ...defaultRunSettings, ...request.settings },
    startedBy: request.by,
    starterId: request.byId ?? null,
    startedAt: parts.clock.now(),
    endedAt: null,
    note: null,
  }
  const activities = itemsOf(run.plan).map(({ item }) => pendingActivity(run.id, item.id))
  return await writeDown(parts, run, { activities, secrets, doubts })
}

/** The same for all machines of a run that is over, or has stopped. */
export async function beginFollowUp(parts: EngineParts, request: FollowUpRequest): Promise<PlanRun> {
  const id = request.planRunId ?? (parts.newId() as PlanRunId)
  const known = await parts.stores.planRuns.find(id)
  if (known) return known
  const former = await loadRun(parts, request.followsUp)
  refuseFollowUp(former, request.kind)
  const wished = request.kind === 'change-point' ? (request.point ?? latest) : latest
  const read = pointReader(parts)
  const { point, findings } = await settlePoint(parts, former.plan, { choice: wished, read })
  refuseBlocked(former.plan, findings)
  const { cuts, findings: doubts } = holdsFinalPoints(former, request.kind, point)
    ? { cuts: {}, findings: [] }
    : await settleCuts(parts, former.plan, { kind: request.kind, point, read })
  const run = followUpRun(former, {
    id,
    kind: request.kind,
    point,
    cuts,
    startedBy: request.by,
    starterId: request.byId ?? null,
    startedAt: parts.clock.now(),
  })
  const activities = await activitiesOfFollowUp(parts, run)
  refuseIdle(run, activities)
  return await writeDown(parts, run, {
    activities,
    secrets: {},
    doubts,
  })
}

function refuseIdle(run: PlanRun, activities: readonly PlanActivity[]): void {
  if (activities.some(({ state }) => state === 'pending')) return
  if (activities.some(({ note }) => note === NOT_COMMITTED))
    throw new Refusal({
      code: 'plan-run/not-committed',
      message: `The failover of "${run.planName}" is not committed: until then replication cannot turn round`,
      remedy: 'Commit it first, or roll it back.',
    })
  throw new Refusal({
    code: 'plan-run/nothing-left',
    message: `Nothing of "${run.planName}" is left for "${run.kind}": no machine stands as that run has left it`,
    remedy: 'See what followed the run, and what each machine allows now.',
  })
}

/** After a move on purpose the newest points are those of all machines shut down: no cut is newer, and they fit each other. */
const holdsFinalPoints = (former: PlanRun, kind: FollowUpKind, point: PlanRun['point']): boolean =>
  kind === 'change-point' &&
  point.kind === 'latest' &&
  (former.kind === 'planned' || former.kind === 'fail-back')

/** What may follow what: a test is cleaned up, a failover is everything else. */
export const followersOf: Record<PlanRunKind, readonly FollowUpKind[]> = {
  test: ['clean-up'],
  planned: ['change-point', 'roll-back', 'commit', 'reprotect'],
  unplanned: ['change-point', 'roll-back', 'commit', 'reprotect'],
  'fail-back': ['change-point', 'roll-back', 'commit', 'reprotect'],
}

function refuseFollowUp(former: PlanRun, kind: FollowUpKind): void {
  const possible = former.followsUp === null && isPlanRunKind(former.kind) ? followersOf[former.kind] : []
  if (!possible.includes(kind))
    throw new Refusal({
      code: 'plan-run/not-allowed',
      message: `${wordsOfRun(former)} cannot be followed by "${kind}"`,
      remedy:
        possible.length === 0
          ? 'Ask for it at the run that brought the machines up.'
          : `What can follow it: ${possible.join(', ')}.`,
    })
  if (activePlanRunStates.includes(former.state))
    throw new Refusal({
      code: 'plan-run/not-over',
      message: `${wordsOfRun(former)} is still ${former.state}`,
      remedy: 'Wait for its end, or cancel it first.',
    })
}

/** Everything that is wrong with a run of this kind now. Touches nothing. */
export const findingsOf = async (
  parts: EngineParts,
  plan: RecoveryPlan,
  kind: PlanRunKind,
): Promise<readonly PlanFinding[]> => (await lookAt(parts, plan, { kind })).findings

type Look = {
  readonly findings: readonly PlanFinding[]
  /** Of its machines; of a plan that can be run all have the same. */
  readonly directions: readonly Direction[]
}

async function lookAt(
  parts: EngineParts,
  plan: RecoveryPlan,
  { kind, broughtUp = [] }: { readonly kind: PlanRunKind; readonly broughtUp?: readonly ProtectionId[] },
): Promise<Look> {
  const protections = await parts.stores.protections.list()
  const ids = new Set(machinesOf(plan).map(({ protectionId }) => protectionId))
  const members = protections.filter(({ id }) => ids.has(id))
  const directions = [...new Set(members.map(({ direction }) => direction))]
  return {
    directions,
    findings: [
      ...validatePlan(plan, new Map(protections.map(({ id, name }) => [id, name]))),
      ...validateAgainst(plan, await memberFacts(parts, members, protections), {
        now: parts.clock.now(),
        kind,
        broughtUp,
      }),
      ...validateSites(plan, await siteFacts(parts, plan)),
      ...(await cloudFindings(parts, plan, members)),
      ...directionFindings(directions, kind),
    ],
  }
}

function directionFindings(directions: readonly Direction[], kind: PlanRunKind): readonly PlanFinding[] {
  const finding = (code: string, message: string, remedy: string): PlanFinding => ({
    at: { kind: 'plan' },
    level: 'blocker',
    code: `recovery-plan/${code}`,
    message,
    remedy,
  })
  if (directions.length > 1)
    return [
      finding(
        'both-directions',
        'Some machines of the plan run at their first site, and some at the second one',
        'Bring them to one side first: fail the others over, or back, and reprotect them.',
      ),
    ]
  if (kind === 'fail-back' && directions[0] === 'forward')
    return [
      finding(
        'at-home',
        'The machines of the plan run at their first site: there is nothing to fail back from',
        'Use a planned failover to move them to the second site.',
      ),
    ]
  return []
}

async function memberFacts(
  parts: EngineParts,
  members: readonly Protection[],
  all: readonly Protection[],
): Promise<ReadonlyMap<ProtectionId, MemberFacts>> {
  const { stores } = parts
  const [summaries, policies, groups, obstacles] = await Promise.all([
    stores.protections.summaries(),
    stores.policies.list(),
    stores.groups.list(),
    noTargets(
      parts,
      members.map(({ targetSiteId }) => targetSiteId),
    ),
  ])
  const groupNames = new Map(groups.map(({ id, name }) => [id, name]))
  const byGroup = Map.groupBy(all, ({ groupId }) => groupId)
  const groupOf = ({ groupId }: Protection): Pick<MemberFacts, 'group'> => {
    const name = groupId === null ? undefined : groupNames.get(groupId)
    const mates = (byGroup.get(groupId) ?? []).map((mate) => ({ id: mate.id, name: mate.name }))
    return name === undefined ? {} : { group: { name, members: mates } }
  }
  const policyOf = new Map(policies.map((policy) => [policy.id, policy]))
  const lagTargetOf = ({ id, policyId }: Protection): number => {
    const policy = policyOf.get(policyId)
    return policy ? lagTargetAt(policy, summaries.get(id)?.pace) : Number.POSITIVE_INFINITY
  }
  return new Map(
    members.map((protection) => [
      protection.id,
      {
        name: protection.name,
        state: protection.state,
        newestInstant: summaries.get(protection.id)?.newestPoint?.instant ?? null,
        lagTargetSeconds: lagTargetOf(protection),
        targetSiteId: protection.targetSiteId,
        noTarget: obstacles.get(protection.targetSiteId) ?? null,
        adapterKeys: protection.hardware.adapters.map(({ key }) => key),
        mappings: protection.adapters,
        addresses: [],
        ...groupOf(protection),
      },
    ]),
  )
}

function refuseBlocked(plan: RecoveryPlan, findings: readonly PlanFinding[]): void {
  const blockers = findings.filter(({ level }) => level === 'blocker')
  const [first] = blockers
  if (!first) return
  throw new Refusal({
    code: 'recovery-plan/not-ready',
    message:
      blockers.length === 1
        ? `"${plan.name}" cannot be run: ${first.message}`
        : `"${plan.name}" cannot be run, for ${blockers.length} reasons. The first: ${first.message}`,
    remedy: first.remedy,
    facts: { findings: blockers },
  })
}

/** The values of a run, secrets apart. Refuses with everything that is wrong with them. */
export async function fillIn(
  parts: EngineParts,
  plan: RecoveryPlan,
  given: Readonly<Record<string, unknown>>,
): Promise<{
  readonly parameters: PlanRun['parameters']
  readonly secrets: Readonly<Record<string, string>>
}> {
  const keptSecrets = await parts.stores.plans.secrets(plan.id)
  const resolved = resolveParameters(plan.parameters, { given, keptSecrets })
  if (resolved.kind === 'refused') {
    const [first] = resolved.findings
    throw new Refusal({
      code: 'recovery-plan/parameters',
      message: resolved.findings.map(({ message }) => message).join('; '),
      remedy: first?.remedy ?? 'Fill in the parameters.',
      facts: { findings: resolved.findings },
    })
  }
  const isSecret = new Set(plan.parameters.filter(({ type }) => type === 'secret').map(({ name }) => name))
  const values = [...resolved.values]
  return {
    parameters: Object.fromEntries(values.filter(([name]) => !isSecret.has(name))),
    secrets: Object.fromEntries(
      values.filter(([name]) => isSecret.has(name)).map(([name, value]) => [name, String(value)]),
    ),
  }
}

async function writeDown(
  parts: EngineParts,
  run: PlanRun,
  {
    activities,
    secrets,
    doubts,
  }: {
    readonly activities: readonly PlanActivity[]
    readonly secrets: Readonly<Record<string, string>>
    readonly doubts: readonly PlanFinding[]
  },
): Promise<PlanRun> {
  await parts.stores.planRuns.create(run, activities, secrets)
  parts.live.changed('plan-runs', run.id)
  await recordEvent(parts, {
    severity: run.kind === 'test' || run.kind === 'clean-up' ? 'info' : 'warning',
    code: 'plan-run/started',
    message: `${wordsOfRun(run)} was started by ${run.startedBy}`,
    subject: { id: run.planId, name: run.planName },
    facts: {
      planRunId: run.id,
      kind: run.kind,
      version: run.version,
      settings: run.settings,
      ...(Object.keys(run.cuts).length === 0 ? {} : { cuts: run.cuts }),
    },
  })
  for (const { code, message } of doubts)
    await recordEvent(parts, {
      severity: 'warning',
      code: `plan-run/${code.replace('recovery-plan/', '')}`,
      message: `${wordsOfRun(run)}: ${message}`,
      subject: { id: run.planId, name: run.planName },
      facts: { planRunId: run.id },
    })
  return run
}
