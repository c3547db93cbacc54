// What is wrong with a plan as things stand: its machines, their points, and the networks they would come up in.
import { type Instant, secondsBetween } from '@understudy/base/instant'
import { runsAtTarget } from '../protection/active-site.ts'
import type { AdapterMapping, ProtectionId, ProtectionState } from '../protection/protection.ts'
import type { SiteId } from '../sites/site.ts'
import type { PlanMachine, PlanRunKind, RecoveryPlan } from './plan.ts'
import { atItem, blocker, findingsWhere, type PlanFinding, warning } from './plan-finding.ts'
import { machinesOf } from './plan-items.ts'
import { isOneWay } from './plan-run.ts'

export type MemberFacts = {
  readonly name: string
  readonly state: ProtectionState
  /** Instant of the newest sealed point; null: none. */
  readonly newestInstant: Instant | null
  readonly lagTargetSeconds: number
  readonly targetSiteId: SiteId
  /** Its target site keeps replicas only; null: machines can run there. */
  readonly noTarget?: { readonly message: string; readonly remedy: string } | null
  /** Keys of the machine's adapters. */
  readonly adapterKeys: readonly string[]
  readonly mappings: readonly AdapterMapping[]
  /** Fixed addresses that its guest is known to use, for it brings them along. */
  readonly addresses: readonly { readonly adapterKey: string; readonly address: string }[]
  /** Its consistency group, if it is in one, with everybody in it. */
  readonly group?: {
    readonly name: string
    readonly members: readonly { readonly id: ProtectionId; readonly name: string }[]
  }
}

/** It serves at its target, whoever has brought it there, and its direction is not about to turn. */
export const isUpAtTarget = (state: ProtectionState): boolean =>
  runsAtTarget(state) && state !== 'reprotecting'

/** Machines without facts are validatePlan's to tell. Pure. */
export function validateAgainst(
  plan: RecoveryPlan,
  facts: ReadonlyMap<ProtectionId, MemberFacts>,
  {
    now,
    kind,
    broughtUp = [],
  }: {
    readonly now: Instant
    readonly kind: PlanRunKind
    /** By other plans of the same failover: where these are all, the steps are left to be done. */
    readonly broughtUp?: readonly ProtectionId[]
  },
): readonly PlanFinding[] {
  const members = machinesOf(plan).flatMap((machine) => {
    const known = facts.get(machine.protectionId)
    return known ? [{ machine, facts: known }] : []
  })
  // Where all of them are up there is nothing left to do.
  const isPartly =
    isOneWay(kind) &&
    members.some(
      ({ machine, facts: { state } }) =>
        verdictOf[state] !== 'moved' || broughtUp.includes(machine.protectionId),
    )
  return [
    ...members.flatMap((member) => [
      ...(isPartly && isThereSoon(member.facts) ? [upAlready(member)] : checkState(member)),
      ...checkTarget(member),
      ...checkPoint(member, now),
      ...checkNetworks(member),
    ]),
    ...checkGroups(members),
    ...checkAddresses(members, 'failoverNetworkId'),
    ...checkAddresses(members, 'testNetworkId'),
  ]
}

type Member = { readonly machine: PlanMachine; readonly facts: MemberFacts }

const MOST_NAMED = 3

/** Machines that share instants belong together: whoever fails over a part of them is told, once for each group. */
function checkGroups(members: readonly Member[]): readonly PlanFinding[] {
  const inPlan = new Set(members.map(({ machine }) => machine.protectionId))
  const seen = new Set<string>()
  return members.flatMap(({ machine, facts: { group } }) => {
    if (group === undefined || seen.has(group.name)) return []
    seen.add(group.name)
    const outside = group.members.filter(({ id }) => !inPlan.has(id)).map(({ name }) => name)
    if (outside.length === 0) return []
    const more = outside.length > MOST_NAMED ? ` and ${outside.length - MOST_NAMED} more` : ''
    return [
      warning(atItem(machine.id), {
        code: 'part-of-group',
        message: `The consistency group "${group.name}" is only partly in the plan: ${outside.slice(0, MOST_NAMED).join(', ')}${more} would stay behind`,
        remedy:
          'Add them to the plan, or take the machines of the plan out of the group if they do not belong together.',
      }),
    ]
  })
}

type StateVerdict = 'ready' | 'unprotected' | 'stalled' | 'moved'

/** What a state means for a failover of the plan now. Without a first point checkPoint says the rest. */
const verdictOf: Record<ProtectionState, StateVerdict> = {
  enabling: 'ready',
  seeding: 'ready',
  awaitingSeed: 'stalled',
  protected: 'ready',
  resyncing: 'ready',
  paused: 'stalled',
  broken: 'stalled',
  failingOver: 'moved',
  failedOver: 'moved',
  rollingBack: 'moved',
  committing: 'moved',
  committed: 'moved',
  reprotecting: 'moved',
  ending: 'unprotected',
  gone: 'unprotected',
}

const isThereSoon = ({ state }: MemberFacts): boolean => state === 'failingOver' || isUpAtTarget(state)

/** As with a machine that several plans need: the first of them brings it up. */
const upAlready = ({ machine, facts: { name } }: Member): PlanFinding =>
  warning(atItem(machine.id), {
    code: 'up-already',
    message: `"${name}" has been failed over already, or is about to be: the run takes it as done once it is up`,
    remedy:
      'Nothing is to be done, if its point suits the others. It is committed or rolled back by itself, or by the run that brought it up.',
  })

const checkState = ({ machine, facts }: Member): readonly PlanFinding[] => {
  const found = findingOfState(facts)
  return found === null ? [] : [{ ...found, at: atItem(machine.id) }]
}

/** What the state of a protection means for a failover now; null: nothing stands in the way. Pure. */
export function findingOfState({
  name,
  state,
}: Pick<MemberFacts, 'name' | 'state'>): Omit<PlanFinding, 'at'> | null {
  switch (verdictOf[state]) {
    case 'ready':
      return null
    case 'stalled':
      return {
        level: 'warning',
        code: 'recovery-plan/not-replicating',
        message: `"${name}" is ${state}: its newest point only grows older`,
        remedy:
          state === 'paused' ? 'Resume its protection.' : 'Resynchronise it; its note says what broke it.',
      }
    case 'moved':
      return {
        level: 'blocker',
        code: 'recovery-plan/failed-over',
        message: `"${name}" has been failed over, or is about to be, and is not protected from there yet`,
        remedy: 'Commit or roll back its failover, then reprotect it.',
      }
    case 'unprotected':
      return {
        level: 'blocker',
        code: 'recovery-plan/not-protected',
        message: `"${name}" is not protected any more`,
        remedy: 'Protect it anew and choose it again, or remove it from the plan.',
      }
  }
}

const checkTarget = ({ machine, facts }: Member): readonly PlanFinding[] =>
  facts.noTarget ? [blocker(atItem(machine.id), { ...facts.noTarget, code: 'no-target' })] : []

function checkPoint({ machine, facts }: Member, now: Instant): readonly PlanFinding[] {
  const at = atItem(machine.id)
  if (verdictOf[facts.state] === 'unprotected' || verdictOf[facts.state] === 'moved') return []
  if (facts.newestInstant === null)
    return [
      blocker(at, {
        code: 'no-point',
        message: `"${facts.name}" has no recovery point yet`,
        remedy: 'Wait for the first one, or leave the machine out until then.',
      }),
    ]
  const lag = Math.round(secondsBetween(facts.newestInstant, now))
  return findingsWhere([
    [
      lag > facts.lagTargetSeconds,
      warning(at, {
        code: 'point-too-old',
        message: `The newest point of "${facts.name}" is ${lag} s old; its policy allows ${facts.lagTargetSeconds} s`,
        remedy: 'Look at its protection for what holds it up; a failover now loses that much.',
      }),
    ],
  ])
}

function checkNetworks({ machine, facts }: Member): readonly PlanFinding[] {
  if (facts.noTarget) return []
  const at = atItem(machine.id)
  const unmapped = (use: 'failoverNetworkId' | 'testNetworkId'): boolean =>
    facts.adapterKeys.some((key) => mappingOf(facts, key)?.[use] == null)
  return findingsWhere([
    [
      unmapped('failoverNetworkId'),
      warning(at, {
        code: 'no-network',
        message: `An adapter of "${facts.name}" has no network at the target: it comes up unplugged`,
        remedy: 'Edit the protection and choose a failover network.',
      }),
    ],
    [
      unmapped('testNetworkId'),
      warning(at, {
        code: 'no-test-network',
        message: `An adapter of "${facts.name}" has no network for tests: nothing can reach it there`,
        remedy: 'Edit the protection and choose an isolated test network.',
      }),
    ],
  ])
}

const mappingOf = ({ mappings }: MemberFacts, key: string): AdapterMapping | undefined =>
  mappings.find(({ adapterKey }) => adapterKey === key)

/** Two machines with one address in one network: whichever answers, it is the wrong one half of the time. */
function checkAddresses(
  members: readonly Member[],
  use: 'failoverNetworkId' | 'testNetworkId',
): readonly PlanFinding[] {
  const taken = new Map<string, Member>()
  return members.flatMap((member) =>
    member.facts.addresses.flatMap(({ adapterKey, address }) => {
      const network = mappingOf(member.facts, adapterKey)?.[use]
      if (network == null) return []
      const place = JSON.stringify([member.facts.targetSiteId, network, address.toLowerCase()])
      const other = taken.get(place) ?? member
      taken.set(place, other)
      return findingsWhere([
        [
          other.machine.id !== member.machine.id,
          blocker(atItem(member.machine.id), {
            code: 'address-conflict',
            message: `"${member.facts.name}" and "${other.facts.name}" both have the address ${address} and would share a ${use === 'testNetworkId' ? 'test network' : 'network'}`,
            remedy: 'Choose another network for one of them, or give one another address.',
          }),
        ],
      ])
    }),
  )
}
