// A consistency group with machines in the hands of this mover: which of them are opened together next, and what has come of it.
import { toFailureReport } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { ConsistencyGroup } from '@understudy/domain/protection/consistency-group'
import { type GroupId, type Protection, replicatingStates } from '@understudy/domain/protection/protection'
import { retryDelaySeconds } from '@understudy/domain/replication/next-cycle'
import { planGroupCycle } from '@understudy/domain/replication/plan-group-cycle'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import type { GroupSummary, SealedCut } from '../ports/stores.ts'
import { intervalSecondsOf, isInStep, type Slot } from './slot.ts'

export type GroupSlot = {
  readonly id: GroupId
  /** As of the last look. */
  group: ConsistencyGroup
  /** All of them, also those that another mover has. */
  members: readonly Protection[]
  summary: GroupSummary
  /** These could not be opened together, though each of them alone: not tried again before. */
  apart: { readonly members: string; until: Instant; readonly failures: number } | null
  /** Null: not known yet to this mover. */
  lagRaised: boolean | null
  /** Since when the group is held against the target, and with which machines. */
  lagCountsFrom: { readonly terms: string; readonly since: Instant } | null
}

export const newGroupSlot = (
  group: ConsistencyGroup,
  members: readonly Protection[],
  summary: GroupSummary,
): GroupSlot => ({
  id: group.id,
  group,
  members,
  summary,
  apart: null,
  lagRaised: null,
  lagCountsFrom: null,
})

/** What can run next: one machine alone, or several of a group at one instant. */
export type Work = {
  readonly slots: readonly Slot[]
  readonly group: GroupSlot | null
  readonly dueAt: Instant
  /** 1 to 9, higher first. */
  readonly priority: number
  readonly intervalSeconds: number
}

/** Of everything that replicates and is idle. */
export function worksOf(
  slots: readonly Slot[],
  groups: ReadonlyMap<GroupId, GroupSlot>,
  now: Instant,
): readonly Work[] {
  const replicating = slots.filter(
    // Infinite: its lease has gone, and its mates must not take it along.
    ({ protection, dueAt }) =>
      replicatingStates.includes(protection.state) && dueAt !== Number.POSITIVE_INFINITY,
  )
  const inGroups = new Map<string, Slot[]>()
  const alone: Slot[] = []
  for (const slot of replicating) {
    const { groupId, sourceSiteId } = slot.protection
    if (groupId === null || !groups.has(groupId) || !isInStep(slot)) alone.push(slot)
    else {
      // An instant is taken by one site: after a failover some of them may run at another one.
      const key = `${groupId} ${sourceSiteId}`
      inGroups.set(key, [...(inGroups.get(key) ?? []), slot])
    }
  }
  return [
    ...alone.filter(({ running }) => running === null).map(workAlone),
    ...[...inGroups.values()].flatMap((members) => worksOfGroup(members, groups, now)),
  ]
}

const workAlone = (slot: Slot): Work => ({
  slots: [slot],
  group: null,
  dueAt: slot.dueAt,
  priority: slot.policy.priority,
  intervalSeconds: intervalSecondsOf(slot),
})

function worksOfGroup(
  members: readonly Slot[],
  groups: ReadonlyMap<GroupId, GroupSlot>,
  now: Instant,
): readonly Work[] {
  const [first] = members
  const group = first && groups.get(first.protection.groupId ?? ('' as GroupId))
  if (!first || !group) return []
  // All have one policy, but for the moment in which somebody gives them another one.
  const intervalSeconds = Math.min(...members.map(intervalSecondsOf))
  const { dueAt, together } = planGroupCycle({
    members: members.map((slot) => ({
      slot,
      inStep: true,
      busySince: slot.running?.since ?? null,
      dueAt: slot.dueAt,
    })),
    intervalSeconds,
    lagTargetSeconds: first.policy.lagTargetSeconds,
  })
  const slots = together.map(({ slot }) => slot)
  if (slots.length < 2 || isApart(group, slots, now)) return slots.map(workAlone)
  return [{ slots, group, dueAt, priority: first.policy.priority, intervalSeconds }]
}

const keyOf = (slots: readonly Slot[]): string =>
  slots
    .map(({ id }) => id)
    .sort()
    .join(' ')

const isApart = ({ apart }: GroupSlot, slots: readonly Slot[], now: Instant): boolean =>
  apart !== null && now < apart.until && apart.members === keyOf(slots)

/** What the opening of these together has come to: null when it went well. */
export function noteOpened(
  parts: EngineParts,
  group: GroupSlot,
  slots: readonly Slot[],
  failure: unknown,
): void {
  const former = group.summary.apart
  if (failure === null) {
    group.apart = null
    if (former === null) return
    group.summary = { ...group.summary, apart: null }
    inBackground(parts, group, () => saveSummary(parts, group, { apart: null }))
    return
  }
  const members = keyOf(slots)
  const failures = group.apart?.members === members ? group.apart.failures + 1 : 1
  const delaySeconds = retryDelaySeconds(failures, parts.config.retryDelaysSeconds)
  group.apart = { members, until: parts.clock.now() + delaySeconds * 1000, failures }
  const { message: reason, remedy } = toFailureReport(failure)
  if (former?.reason === reason) return
  const apart = { since: former?.since ?? parts.clock.now(), reason, remedy }
  group.summary = { ...group.summary, apart }
  inBackground(parts, group, async () => {
    await saveSummary(parts, group, { apart })
    await recordEvent(parts, {
      severity: 'warning',
      code: 'group/opened-apart',
      message: `The machines of "${group.group.name}" could not be opened at one instant, so each was opened alone: ${reason}`,
      subject: { id: group.id, name: group.group.name },
      facts: { remedy, machines: slots.map(({ protection }) => protection.name) },
    })
  })
}

/** After all cycles of one opening have ended: who has the cut. */
export async function recordCut(
  parts: EngineParts,
  group: GroupSlot,
  sealed: readonly { readonly slot: Slot; readonly cut: Slot['sealedCut'] }[],
): Promise<void> {
  const [first] = sealed.flatMap(({ cut }) => cut ?? [])
  if (!first) return
  const members = sealed.flatMap(({ slot, cut }) => (cut?.cut === first.cut ? [slot.id] : []))
  if (members.length < 2) return
  const cut: SealedCut = { ...first, members }
  // One that was waited for too long may seal after a newer one is told.
  const isNewest = (known: SealedCut | null): boolean => known === null || known.instant < cut.instant
  const change: Partial<GroupSummary> = {
    ...(isNewest(group.summary.newestCut) ? { newestCut: cut } : {}),
    ...(isNewest(group.summary.newestWholeCut) && hasAll(cut, group.members) ? { newestWholeCut: cut } : {}),
  }
  if (Object.keys(change).length === 0) return
  group.summary = { ...group.summary, ...change }
  await saveSummary(parts, group, change)
}

export const hasAll = (cut: SealedCut, members: readonly Pick<Protection, 'id'>[]): boolean =>
  members.every(({ id }) => cut.members.includes(id))

async function saveSummary(
  parts: EngineParts,
  { id }: GroupSlot,
  change: Partial<GroupSummary>,
): Promise<void> {
  await parts.stores.groups.updateSummary(id, change)
  parts.live.changed('groups', id)
}

/** What is shown of a group is no reason to stop replicating it. */
function inBackground(parts: EngineParts, { id }: GroupSlot, work: () => Promise<void>): void {
  work().catch((error: unknown) => parts.log('error', 'a group could not be recorded', { group: id, error }))
}
