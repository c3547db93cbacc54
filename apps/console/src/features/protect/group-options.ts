// Consistency groups to choose from while machines are protected: those that fit, and why the others do not. Pure.
import { type ConsistencyGroup, MOST_MEMBERS } from '@understudy/contract/consistency-group'

type Group = Pick<ConsistencyGroup, 'id' | 'name' | 'policyId' | 'policyName' | 'sourceSiteIds' | 'members'>

export type GroupOption = { readonly value: string; readonly label: string; readonly disabled: boolean }

type Wanted = {
  readonly siteId: string
  readonly policyId: string | null
  /** How many machines would come in. */
  readonly count: number
}

export const groupOptions = (groups: readonly Group[], wanted: Wanted): readonly GroupOption[] =>
  groups
    .map((group) => ({ group, why: whyNot(group, wanted) }))
    .toSorted((left, right) => Number(left.why !== null) - Number(right.why !== null))
    .map(({ group, why }) => ({
      value: group.id,
      label: why === null ? group.name : `${group.name}: ${why}`,
      disabled: why !== null,
    }))

function whyNot(group: Group, { siteId, policyId, count }: Wanted): string | null {
  if (group.sourceSiteIds.some((id) => id !== siteId)) return 'its machines run at another site'
  if (group.policyId !== null && group.policyId !== policyId)
    return `its machines have the policy ${group.policyName ?? 'of the group'}`
  // The server has the last word.
  if (group.members.length + count > MOST_MEMBERS) return `it can have ${MOST_MEMBERS} machines at most`
  return null
}
