import { secondsBetween, toIso } from '@understudy/base/instant'
import type { ConsistencyGroup as ShownGroup } from '@understudy/contract/consistency-group'
import type { ConsistencyGroup } from '@understudy/domain/protection/consistency-group'
import type { Policy } from '@understudy/domain/protection/policy'
import type { Protection, ProtectionState } from '@understudy/domain/protection/protection'
import { lagTargetAt, type Pace } from '@understudy/domain/replication/carried-pace'
import type { GroupSummary, SealedCut } from '@understudy/engine/ports/stores'

/** Everything around a group that its row shows. */
export type GroupSurroundings = {
  readonly members: readonly Protection[]
  readonly policy: Policy | undefined
  readonly summary: GroupSummary | undefined
  /** Of each member that is slower than its policy wants. */
  readonly paces: readonly Pace[]
  readonly now: number
}

/** A consistency group as the API shows it. Pure. */
export function showGroup(group: ConsistencyGroup, around: GroupSurroundings): ShownGroup {
  const { members, policy, summary, paces, now } = around
  const newestCut = summary?.newestCut ?? null
  // One that came in since has none of the older cuts. While its first copy is made it hides none of them: it comes in with its end.
  const counted = members.filter(({ state }) => !isFirstCopy(state))
  const whole = [newestCut, summary?.newestWholeCut ?? null].find(
    (cut) => cut != null && counted.length > 0 && counted.every(({ id }) => cut.members.includes(id)),
  )
  const lagSeconds = whole ? Math.max(0, secondsBetween(whole.instant, now)) : null
  // A common point is as old as the slowest of them lets it be.
  const lagTargetSeconds = policy
    ? Math.max(...[null, ...paces].map((pace) => lagTargetAt(policy, pace)))
    : null
  const apart = summary?.apart ?? null
  return {
    id: group.id,
    name: group.name,
    createdAt: toIso(group.createdAt),
    policyId: policy?.id ?? null,
    policyName: policy?.name ?? null,
    sourceSiteIds: [...new Set(members.map(({ sourceSiteId }) => sourceSiteId))],
    members: members.map((member) => {
      const covered = newestCut?.members.includes(member.id) === true && member.state === 'protected'
      return {
        protectionId: member.id,
        name: member.name,
        state: member.state,
        covered,
        note: covered ? null : noteOf(member, members),
      }
    }),
    newestCut: newestCut && showCut(newestCut),
    newestWholeCut: whole ? showCut(whole) : null,
    lagSeconds,
    lagTargetSeconds,
    health: healthOf(members, lagSeconds, lagTargetSeconds),
    apart: apart && { ...apart, since: toIso(apart.since) },
  }
}

const showCut = ({ instant, members, ...cut }: SealedCut) => ({
  ...cut,
  instant: toIso(instant),
  members: [...members],
})

/** At risk: a common point is expected and older than the target, or there is none. Off: nothing is expected of so few machines. */
function healthOf(
  members: readonly Protection[],
  lagSeconds: number | null,
  lagTargetSeconds: number | null,
): ShownGroup['health'] {
  if (members.length < 2) return 'off'
  return lagSeconds !== null && lagTargetSeconds !== null && lagSeconds <= lagTargetSeconds
    ? 'good'
    : 'at-risk'
}

const isFirstCopy = (state: ProtectionState): boolean =>
  ['enabling', 'seeding', 'awaitingSeed'].includes(state)

const notes: Record<ProtectionState, string> = {
  enabling: 'It is being set up; it comes in with its first copy.',
  awaitingSeed: 'Its first copy travels on a disk; it comes in when that is imported.',
  seeding: 'Its first copy is being made; it comes in when that is done.',
  protected: 'It is opened alone until it has caught up.',
  resyncing: 'It is being compared with its source; it comes in again when that is done.',
  paused: 'It is paused.',
  broken: 'Its replication stopped; resynchronise it.',
  failingOver: 'It is being failed over.',
  failedOver: 'It is failed over.',
  rollingBack: 'Its failover is being rolled back.',
  committing: 'Its failover is being committed.',
  committed: 'It runs at the other site and does not replicate; reprotect it.',
  reprotecting: 'It is being reprotected.',
  ending: 'Its protection is being ended.',
  gone: 'Its protection has ended.',
}

function noteOf(member: Protection, members: readonly Protection[]): string {
  if (member.state !== 'protected') return notes[member.state]
  if (members.length < 2) return 'It is the only machine of the group.'
  const elsewhere = members.some(({ sourceSiteId }) => sourceSiteId !== member.sourceSiteId)
  return elsewhere ? 'Some machines of the group run at another site than it.' : notes.protected
}
