// Machines whose recovery points are taken at one instant, so that what they say of each other fits together.
import { Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { GroupId, Protection } from './protection.ts'

export type ConsistencyGroup = {
  readonly id: GroupId
  readonly name: string
  readonly createdAt: Instant
}

/** Each machine more is one more that all others stand still for. */
export const MOST_MEMBERS = 32

type Member = Pick<
  Protection,
  'id' | 'name' | 'state' | 'groupId' | 'sourceSiteId' | 'targetSiteId' | 'policyId'
>

export type MembershipFacts = {
  readonly group: Pick<ConsistencyGroup, 'id' | 'name'>
  readonly candidate: Member
  /** Without the candidate. */
  readonly members: readonly Member[]
  readonly groupNameOf: (id: GroupId) => string
}

export type Obstacle = { readonly code: string; readonly message: string; readonly remedy: string }

/**
 * Why a machine cannot be in a group; null when it can. One platform takes the instant, so all replicate from one site; one beat and one
 * retention, so all have one policy. Pure.
 */
export function whyNotMember({ group, candidate, members, groupNameOf }: MembershipFacts): Obstacle | null {
  const { name } = candidate
  if (candidate.state === 'ending' || candidate.state === 'gone')
    return {
      code: 'group/ending',
      message: `The protection of ${name} is being ended`,
      remedy: 'Protect the machine anew, then add it.',
    }
  if (candidate.groupId !== null && candidate.groupId !== group.id)
    return {
      code: 'group/other-group',
      message: `${name} belongs to the group "${groupNameOf(candidate.groupId)}"`,
      remedy: 'Take it out of that group first.',
    }
  if (members.length >= MOST_MEMBERS)
    return {
      code: 'group/full',
      message: `"${group.name}" has ${MOST_MEMBERS} machines, which is the most that can stand still together`,
      remedy: 'Make another group for machines that do not need the same instant.',
    }
  const elsewhere = members.find(({ sourceSiteId }) => sourceSiteId !== candidate.sourceSiteId)
  if (elsewhere)
    return {
      code: 'group/other-site',
      message: `${name} runs at another site than ${elsewhere.name}: no instant can be taken of both`,
      remedy: 'Choose machines that run at one site, or bring them to one side first.',
    }
  const otherPolicy = members.find(({ policyId }) => policyId !== candidate.policyId)
  if (otherPolicy)
    return {
      code: 'group/other-policy',
      message: `${name} has another policy than ${otherPolicy.name}`,
      remedy: 'Give it the policy of the group, or the group its policy.',
    }
  return null
}

/** Throws what `whyNotMember` finds. */
export function checkMembership(facts: MembershipFacts): void {
  const obstacle = whyNotMember(facts)
  if (obstacle) throw new Refusal(obstacle)
}
