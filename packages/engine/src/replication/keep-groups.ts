// The groups of which this mover holds machines, brought up to what the stores say, and put into the hands of one mover where they lie in
// those of several.
import type { Instant } from '@understudy/base/instant'
import {
  type GroupId,
  type Protection,
  type ProtectionId,
  replicatingStates,
} from '@understudy/domain/protection/protection'
import type { EngineParts } from '../engine-parts.ts'
import { type GroupSlot, newGroupSlot } from './group-slot.ts'

/** Oldest first: by it all movers agree which machine of a group comes first. */
export function membersByGroup(
  protections: readonly Protection[],
): ReadonlyMap<GroupId, readonly Protection[]> {
  const found = new Map<GroupId, Protection[]>()
  for (const protection of protections)
    if (protection.groupId !== null)
      found.set(protection.groupId, [...(found.get(protection.groupId) ?? []), protection])
  for (const members of found.values())
    members.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))
  return found
}

/** Nothing is asked of the stores while no machine that is held here belongs to a group. */
export async function refreshGroups(
  parts: EngineParts,
  slots: Map<GroupId, GroupSlot>,
  members: ReadonlyMap<GroupId, readonly Protection[]>,
  held: ReadonlySet<ProtectionId>,
): Promise<void> {
  const mine = new Map([...members].filter(([, some]) => some.some(({ id }) => held.has(id))))
  for (const id of slots.keys()) if (!mine.has(id)) slots.delete(id)
  if (mine.size === 0) return
  const groups = await parts.stores.groups.list()
  const isNew = groups.some(({ id }) => mine.has(id) && !slots.has(id))
  const summaries = isNew ? await parts.stores.groups.summaries() : null
  for (const group of groups) {
    const some = mine.get(group.id)
    if (!some) continue
    const known = slots.get(group.id)
    const summary = summaries?.get(group.id) ?? { newestCut: null, newestWholeCut: null, apart: null }
    if (known) Object.assign(known, { group, members: some })
    else slots.set(group.id, newGroupSlot(group, some, summary))
  }
}

export type Scattered = {
  /** Held here, and better in the hands of the mover that has the first machine of their group. */
  readonly toLetGo: ReadonlySet<ProtectionId>
  /** So many have nobody, and their group is here. */
  readonly toClaim: number
}

/**
 * What to do about groups whose machines lie in several hands: whoever holds the first one that replicates gets the others. Machines that
 * are failed over stay where they are, for somebody serves them their disks.
 */
export async function findScattered(
  parts: EngineParts,
  members: ReadonlyMap<GroupId, readonly Protection[]>,
  held: ReadonlySet<ProtectionId>,
  now: Instant,
): Promise<Scattered> {
  const replicating = [...members.values()].map((some) =>
    some.filter(({ state }) => replicatingStates.includes(state)),
  )
  const partly = replicating.filter(
    (some) => some.some(({ id }) => held.has(id)) && some.some(({ id }) => !held.has(id)),
  )
  if (partly.length === 0) return { toLetGo: new Set(), toClaim: 0 }
  const holders = await parts.stores.leases.groupHolders(now)
  const { moverId } = parts.config
  const ownerOf = (some: readonly Protection[]): string | undefined =>
    some.map(({ id }) => holders.get(id)).find((holder) => holder !== undefined)
  const toLetGo = partly
    .filter((some) => (ownerOf(some) ?? moverId) !== moverId)
    .flatMap((some) => some.filter(({ id }) => held.has(id)).map(({ id }) => id))
  const toClaim = partly
    .filter((some) => ownerOf(some) === moverId)
    .flatMap((some) => some.filter(({ id }) => !holders.has(id))).length
  return { toLetGo: new Set(toLetGo), toClaim }
}
