// A plan with several machines of a consistency group boots them from one instant that all of them have, whatever point was asked for.
import { Refusal } from '@understudy/base/errors'
import { type Instant, secondsBetween, toIso } from '@understudy/base/instant'
import type { ConsistencyGroup } from '@understudy/domain/protection/consistency-group'
import type { Protection } from '@understudy/domain/protection/protection'
import type { PlanRunKind, RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import { atItem, type PlanFinding, warning, wholePlan } from '@understudy/domain/recovery-plans/plan-finding'
import { machinesOf } from '@understudy/domain/recovery-plans/plan-items'
import { type ChosenPoint, choiceOf, type MemberPoints } from '@understudy/domain/recovery-plans/plan-points'
import type {
  FollowUpKind,
  PlanRun,
  PlanRunCuts,
  PlanRunPoint,
} from '@understudy/domain/recovery-plans/plan-run'
import { findPoint } from '@understudy/domain/recovery-points/choose-point'
import {
  type CommonCut,
  type CutChoice,
  chooseCut,
  commonCuts,
} from '@understudy/domain/recovery-points/common-cuts'
import type { RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import type { EngineParts } from '../engine-parts.ts'
import { type PointReader, pointReader } from './member-points.ts'

type Wanted = {
  readonly kind: PlanRunKind | FollowUpKind
  /** Default: latest. */
  readonly point?: PlanRunPoint
  readonly read: PointReader
}

type Cuts = { readonly cuts: PlanRunCuts; readonly findings: readonly PlanFinding[] }

/** What is booted from a point that was sealed before. A planned failover makes its own when all is off. */
const bootsFromPoint: readonly Wanted['kind'][] = ['test', 'unplanned', 'change-point']

/** Beyond this a cut is told as old, beside what its machines have by themselves: something keeps the group apart. */
const OLD_SECONDS = 900

/** The cuts of a run that begins, a group without any left out; and what whoever answers for it must know of them: a run that nobody has tried beforehand too. */
export async function settleCuts(parts: EngineParts, plan: RecoveryPlan, wanted: Wanted): Promise<Cuts> {
  const looks = await lookAtGroups(parts, plan, wanted)
  return { cuts: cutsOf(looks), findings: looks.flatMap(cutDoubts) }
}

const cutsOf = (looks: readonly GroupLook[]): PlanRunCuts => Object.fromEntries(looks.flatMap(cutsOfMachines))

const cutsOfMachines = ({ inPlan, read, cut, onlyYounger }: GroupLook) =>
  cut === null
    ? []
    : inPlan.flatMap(({ id }) => {
        // Nothing of it is as old as that: it boots as if it were in no group.
        if (onlyYounger.some((one) => one.id === id)) return []
        const isRead = read.some((one) => one.id === id)
        return [[id, { cut: isRead ? cut.cut : null, instant: cut.instant }] as const]
      })

/**
 * The cuts of a run with those of machines that an edit brings in beside others of their group. Refuses one that has no point there: it
 * would not fit what the others have been booted from.
 */
export async function cutsWithAdded(
  parts: EngineParts,
  run: PlanRun,
  plan: RecoveryPlan,
): Promise<PlanRunCuts> {
  const before = new Set(machinesOf(run.plan).map(({ protectionId }) => protectionId))
  const after = new Set(machinesOf(plan).map(({ protectionId }) => protectionId))
  const protections = await parts.stores.protections.list()
  const cuts = new Map(Object.entries(run.cuts))
  const read = pointReader(parts)
  for (const protection of protections) {
    const { id, groupId } = protection
    if (!after.has(id) || before.has(id) || groupId === null || cuts.has(id)) continue
    const mate = protections.find((other) => other.groupId === groupId && run.cuts[other.id])
    const shared = mate && run.cuts[mate.id]
    if (shared) cuts.set(id, await sameCut(read, protection, shared))
  }
  return Object.fromEntries(cuts)
}

async function sameCut(
  read: PointReader,
  protection: Protection,
  shared: PlanRunCuts[string],
): Promise<PlanRunCuts[string]> {
  const { points } = await read(protection)
  if (points === null) return { cut: null, instant: shared.instant }
  const fits = points.some(({ group, instant }) =>
    shared.cut === null ? instant === shared.instant : group?.cut === shared.cut,
  )
  if (fits) return shared
  throw new Refusal({
    code: 'recovery-plan/no-common-point',
    message: `${protection.name} has no recovery point at ${toIso(shared.instant)}, from which this run boots the others of its group`,
    remedy: 'Leave it out of this run and fail it over by itself, or take it out of its group first.',
  })
}

/** Before a run: also which instant it would be, and what of a group would not be in it. */
export async function foreseeCuts(parts: EngineParts, plan: RecoveryPlan, wanted: Wanted): Promise<Cuts> {
  const now = parts.clock.now()
  const looks = await lookAtGroups(parts, plan, wanted)
  return {
    cuts: cutsOf(looks),
    findings: [
      ...looks.flatMap((look) => (look.cut ? [cutFound(look, look.cut.instant, now)] : [])),
      ...looks.flatMap(cutDoubts),
      ...(await matesLeftOut(parts, plan)),
    ],
  }
}

type Chosen = {
  readonly chosen: readonly ChosenPoint[]
  readonly members: readonly MemberPoints[]
  readonly point: PlanRunPoint
  readonly cuts: PlanRunCuts
}

/** What each machine would be booted from, those of a group from their cut. */
export function withCuts(
  plan: RecoveryPlan,
  { chosen, members, point, cuts }: Chosen,
): readonly ChosenPoint[] {
  if (Object.keys(cuts).length === 0) return chosen
  const cutOf = new Map(machinesOf(plan).map(({ id, protectionId }) => [id, cuts[protectionId]?.cut]))
  return chosen.map((one) => {
    const cut = cutOf.get(one.itemId)
    const points = members.find(({ itemId }) => itemId === one.itemId)?.points ?? []
    const shared = cut == null ? undefined : points.find(({ group }) => group?.cut === cut)
    if (!shared) return one
    const ageSeconds = 'instant' in point ? secondsBetween(shared.instant, point.instant) : null
    return { ...one, point: shared, ageSeconds }
  })
}

function cutFound({ group, inPlan }: GroupLook, instant: Instant, now: Instant): PlanFinding {
  const age = Math.round(secondsBetween(instant, now))
  return warning(wholePlan, {
    code: 'common-point',
    message: `${namesOf(inPlan)} of the group "${group.name}" boot from the point that they share: ${toIso(instant)}, ${age} s ago`,
    remedy: 'Nothing needs to be done. A machine that is failed over alone may use a newer point of its own.',
  })
}

function cutDoubts(look: GroupLook): readonly PlanFinding[] {
  if (!look.cut) return [cutMissing(look)]
  const { failure, behindSeconds, newcomers } = look
  return [
    ...(newcomers.length === 0 ? [] : [cutBeforeNewcomers(look)]),
    ...(failure === null ? [] : [cutInPart(look, failure)]),
    ...(behindSeconds > OLD_SECONDS ? [cutOld(look)] : []),
  ]
}

const cutBeforeNewcomers = ({ group, newcomers }: GroupLook): PlanFinding =>
  warning(wholePlan, {
    code: 'common-point-in-part',
    message: `${namesOf(newcomers)} came into the group "${group.name}" later: the others boot from the point that they share, ${newcomers.length === 1 ? 'it' : 'each of these'} from one of its own`,
    remedy: 'Wait for the first point that all of them share, or choose a younger one.',
  })

const cutInPart = ({ group, inPlan, read, newcomers }: GroupLook, failure: string): PlanFinding =>
  warning(wholePlan, {
    code: 'common-point-in-part',
    message: `The points of ${namesOf(inPlan.filter((one) => !read.includes(one) && !newcomers.includes(one)))} of the group "${group.name}" cannot be read now (${failure}): whether they have the point of the others is not known`,
    remedy:
      'See to the store of that machine. Its turn comes with the newest point that is not younger than that.',
  })

const cutOld = ({ group, behindSeconds }: GroupLook): PlanFinding =>
  warning(wholePlan, {
    code: 'common-point-old',
    message: `The point that the machines of the group "${group.name}" share is ${Math.round(behindSeconds / 60)} min older than what each of them has by itself`,
    remedy:
      'Look at the group for what keeps its machines apart. Failed over alone, each may use a newer point of its own.',
  })

const cutMissing = ({ group, inPlan, failure }: GroupLook): PlanFinding =>
  warning(wholePlan, {
    code: 'no-common-point',
    message: `${namesOf(inPlan)} of the group "${group.name}" have no such point in common${failure === null ? '' : ` that can be read now (${failure})`}: each would boot from its own`,
    remedy:
      'Wait for a common point, or choose another one; look at the group for what keeps its machines apart.',
  })

const namesOf = (some: readonly Protection[]): string => some.map(({ name }) => name).join(', ')

/** A group of which the plan has a part is not failed over as a whole. */
async function matesLeftOut(parts: EngineParts, plan: RecoveryPlan): Promise<readonly PlanFinding[]> {
  const protections = await parts.stores.protections.list()
  const items = machinesOf(plan)
  const inPlan = new Set(items.map(({ protectionId }) => protectionId))
  const groups = new Map((await parts.stores.groups.list()).map((group) => [group.id, group]))
  return items.flatMap(({ id, protectionId }) => {
    const groupId = protections.find((protection) => protection.id === protectionId)?.groupId ?? null
    const group = groupId === null ? undefined : groups.get(groupId)
    const left = protections.filter((other) => other.groupId === group?.id && !inPlan.has(other.id))
    if (!group || left.length === 0) return []
    const finding = warning(atItem(id), {
      code: 'group-in-part',
      message: `The group "${group.name}" is in the plan in part only: without ${namesOf(left)}`,
      remedy: 'Add the missing machines to the plan, or take them out of the group.',
    })
    return [finding]
  })
}

type GroupLook = {
  readonly group: ConsistencyGroup
  readonly inPlan: readonly Protection[]
  /** Those whose points could be read. */
  readonly read: readonly Protection[]
  /** The one that those have in common. */
  readonly cut: CommonCut | null
  /** How much older it is than the points of that kind that each of them has by itself. */
  readonly behindSeconds: number
  /** Those that have none of the group's points of that time: they came in later. */
  readonly newcomers: readonly Protection[]
  /** Of those the ones without any point that is as old as the cut. */
  readonly onlyYounger: readonly Protection[]
  /** Why the points of the others could not be read, else null. */
  readonly failure: string | null
}

async function lookAtGroups(
  parts: EngineParts,
  plan: RecoveryPlan,
  { kind, point = { kind: 'latest' }, read }: Wanted,
): Promise<readonly GroupLook[]> {
  if (!bootsFromPoint.includes(kind)) return []
  const ids = new Set(machinesOf(plan).map(({ protectionId }) => protectionId))
  const members = (await parts.stores.protections.list()).filter(
    ({ id, groupId }) => ids.has(id) && groupId !== null,
  )
  const several = [...Map.groupBy(members, ({ groupId }) => groupId)].filter(([, some]) => some.length > 1)
  if (several.length === 0) return []
  const groups = await parts.stores.groups.list()
  return await Promise.all(
    several.flatMap(([groupId, inPlan]) => {
      const group = groups.find(({ id }) => id === groupId)
      return group ? [lookAtGroup(group, inPlan, point, read)] : []
    }),
  )
}

const choiceOfCut = (point: PlanRunPoint): CutChoice =>
  point.kind === 'latest-processed' ? { kind: 'at', instant: point.instant } : point

/** In a disaster a replica that cannot be read must keep the others neither from booting nor from the instant that they share. */
async function lookAtGroup(
  group: ConsistencyGroup,
  inPlan: readonly Protection[],
  point: PlanRunPoint,
  readPoints: PointReader,
): Promise<GroupLook> {
  const looks = await Promise.all(
    inPlan.map(async (protection) => ({ protection, ...(await readPoints(protection)) })),
  )
  const readable = looks.flatMap(({ protection, points }) =>
    points === null ? [] : [{ protection, points }],
  )
  const had = readable.filter(({ points }) => hadCut(points, choiceOfCut(point)))
  // What one of several has marked it shares with none of them, perhaps with somebody who left long ago.
  const read = had.length === 1 && readable.length > 1 ? readable : had
  const cut = chooseCut(commonCuts(read.map(({ points }) => points)), choiceOfCut(point))
  const newcomers = readable.filter((one) => !read.includes(one))
  const isYounger = ({ instant }: RecoveryPoint): boolean => cut !== null && instant > cut.instant
  return {
    group,
    inPlan,
    newcomers: newcomers.map(({ protection }) => protection),
    onlyYounger: newcomers
      .filter(({ points }) => points.every(isYounger))
      .map(({ protection }) => protection),
    read: read.map(({ protection }) => protection),
    cut,
    behindSeconds: cut === null ? 0 : secondsBehind(cut, read, point),
    failure: looks.find(({ why }) => why !== null)?.why ?? null,
  }
}

/** Whoever had not come in by then keeps the others from none of their points. */
const hadCut = (points: readonly RecoveryPoint[], choice: CutChoice): boolean =>
  chooseCut(commonCuts([points]), choice.kind === 'at' ? choice : { kind: 'latest' }) !== null

function secondsBehind(
  cut: CommonCut,
  read: readonly { readonly points: readonly RecoveryPoint[] }[],
  point: PlanRunPoint,
): number {
  const own = read.map(({ points }) => findPoint(points, choiceOf(point))?.instant ?? cut.instant)
  return secondsBetween(cut.instant, Math.min(...own))
}
