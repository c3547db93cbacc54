// From which point each machine of a choice starts: those of one consistency group belong together, so they start from one instant. Pure.
import type { ConsistencyGroup } from '@understudy/contract/consistency-group'
import type { InstantChoice } from './run-action.ts'

type Target = {
  readonly id: string
  readonly name: string
  readonly groupId: string | null
}
type Group = Pick<ConsistencyGroup, 'id' | 'name' | 'newestWholeCut'>

/** Several chosen machines of one group. */
export type SharedStart = {
  readonly group: string
  readonly machines: readonly string[]
  /** The newest that all machines of the group have; null: there is none, so each starts from its own newest point. */
  readonly instant: string | null
}

/** Of each group with more than one of the machines. One that nobody knows any more is told like one without a common instant. */
export function sharedStarts(targets: readonly Target[], groups: readonly Group[]): readonly SharedStart[] {
  return [...matesOf(targets)].map(([groupId, mates]) => {
    const group = groups.find(({ id }) => id === groupId)
    return {
      group: group?.name ?? groupId,
      machines: mates.map(({ name }) => name),
      instant: group?.newestWholeCut?.instant ?? null,
    }
  })
}

/** By the id of the machine. Those that are not in it start from their newest point. */
export function pointsOf(
  targets: readonly Target[],
  groups: readonly Group[],
): ReadonlyMap<string, InstantChoice> {
  return new Map(
    [...matesOf(targets)].flatMap(([groupId, mates]) => {
      const cut = groups.find(({ id }) => id === groupId)?.newestWholeCut
      return cut ? mates.map(({ id }) => [id, { kind: 'at', instant: cut.instant }] as const) : []
    }),
  )
}

function matesOf(targets: readonly Target[]): ReadonlyMap<string, readonly Target[]> {
  const byGroup = Map.groupBy(
    targets.filter(({ groupId }) => groupId !== null),
    ({ groupId }) => groupId ?? '',
  )
  return new Map([...byGroup].filter(([, mates]) => mates.length > 1))
}
