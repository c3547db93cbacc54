// What a site that is down takes with it, in ticks and words. Pure.
import type { PlanRunSummary, SiteFailover, SiteOutlook } from '@understudy/contract/recovery-plan'
import type { Tone } from '../../ui/tone.ts'
import { isActive, statusOfRun } from './run-words.ts'
import { type Filled, valueIn } from './start-draft.ts'

type PlanHere = SiteOutlook['plans'][number]

/** Nothing that is known stands in its way. Whoever ticks another one is told by the server. */
export const canBegin = ({ blockers, activeRun }: Pick<PlanHere, 'blockers' | 'activeRun'>): boolean =>
  blockers.length === 0 && activeRun === null

/** Machines that serve elsewhere would be switched off: whoever wants that ticks the plan by hand. */
export const movesAlong = ({ machinesElsewhere }: Pick<PlanHere, 'machinesElsewhere'>): boolean =>
  machinesElsewhere.length > 0

/** Of what it asks for the names of what has no value yet. A default or a kept secret is one. */
export const missingOf = (
  { asked, keptSecrets }: Pick<PlanHere, 'asked' | 'keptSecrets'>,
  { values }: Filled,
): readonly string[] =>
  asked
    .filter((parameter) => valueIn(parameter, { values }) === null && !keptSecrets.includes(parameter.name))
    .map(({ name }) => name)

/** Plans ticked as well that have machines of it: those are brought up once. */
export const tickedSharers = (
  { sharedWith }: Pick<PlanHere, 'sharedWith'>,
  ticked: readonly string[],
): PlanHere['sharedWith'] => sharedWith.filter(({ planId }) => ticked.includes(planId))

/** Ticked at first: what can be begun, and touches nothing that runs elsewhere; all of it. */
export const startTicks = (plans: readonly PlanHere[]): readonly string[] =>
  plans.filter((plan) => canBegin(plan) && !movesAlong(plan)).map(({ planId }) => planId)

const shownNames = 12

export function uncoveredWords({
  uncovered,
  unprotected,
}: Pick<SiteOutlook, 'uncovered' | 'unprotected'>): readonly string[] {
  const names = uncovered.slice(0, shownNames).map(({ name }) => name)
  const more = uncovered.length - names.length
  return [
    ...(uncovered.length === 0
      ? []
      : [
          `Protected, but in no plan: ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}. Fail ${uncovered.length === 1 ? 'it' : 'them'} over from the list of machines.`,
        ]),
    ...(unprotected === 0
      ? []
      : [
          `${unprotected === 1 ? '1 machine' : `${unprotected} machines`} of the site ${unprotected === 1 ? 'is' : 'are'} not protected at all and cannot be brought back from here.`,
        ]),
  ]
}

/** What of it says how it stands: the wall knows no more. */
type SitePlan = {
  readonly state: SiteFailover['plans'][number]['state']
  readonly run: Pick<PlanRunSummary, 'state' | 'waitingForPeople'> | null
}

/** How one of its plans stands. */
export function statusOfSitePlan({ state, run }: SitePlan): {
  readonly tone: Tone
  readonly words: string
} {
  switch (state) {
    case 'waiting':
      return { tone: 'off', words: 'Waits for its turn' }
    case 'refused':
      return { tone: 'bad', words: 'Could not begin' }
    case 'left-out':
      return { tone: 'off', words: 'Left out' }
    case 'begun':
      if (run === null) return { tone: 'busy', words: 'Beginning' }
      if (run.waitingForPeople > 0 && isActive(run)) return { tone: 'at-risk', words: 'Waiting for you' }
      return statusOfRun(run)
  }
}

/** A question, or a failure that somebody decides about. */
const asksSomebody = ({
  state,
  waitingForPeople,
}: Pick<PlanRunSummary, 'state' | 'waitingForPeople'>): boolean =>
  waitingForPeople > 0 && (isActive({ state }) || state === 'failed')

export type SiteProgress = {
  readonly up: number
  readonly total: number
  readonly troubled: number
  readonly waiting: number
}

/** How far the whole of it is: `total` without what somebody has left out. */
export function progressOf(plans: readonly SitePlan[]): SiteProgress {
  const counted = plans.filter(({ state }) => state !== 'left-out')
  const count = (holds: (plan: SitePlan) => boolean): number => counted.filter(holds).length
  return {
    total: counted.length,
    up: count(({ run }) => run?.state === 'succeeded'),
    troubled: count(
      ({ state, run }) => state === 'refused' || run?.state === 'failed' || run?.state === 'cancelled',
    ),
    waiting: count(({ run }) => run !== null && asksSomebody(run)),
  }
}
