// How each state of a run of a plan looks and reads. A new state does not compile until someone has chosen its words and tone.
import type { PlanActivity, PlanRun, PlanRunState } from '@understudy/contract/recovery-plan'
import type { WallActivity } from '@understudy/contract/wall'
import type { Tone } from '../../ui/tone.ts'

export const toneOfRun: Record<PlanRunState, Tone> = {
  running: 'busy',
  paused: 'at-risk',
  cancelling: 'at-risk',
  succeeded: 'good',
  failed: 'bad',
  cancelled: 'off',
}

export const wordsOfRun: Record<PlanRunState, string> = {
  running: 'Running',
  paused: 'Paused',
  cancelling: 'Being cancelled',
  succeeded: 'Succeeded',
  failed: 'Stopped by a failure',
  cancelled: 'Cancelled',
}

type EndedRun = Pick<PlanRun, 'state'> & {
  readonly note?: string | null
  readonly activities?: readonly Pick<WallActivity, 'state'>[]
}

/** Of one run. What went on although something had failed or was skipped, has not simply succeeded; a wall is told no notes. */
export const statusOfRun = ({
  state,
  note = null,
  activities = [],
}: EndedRun): { readonly tone: Tone; readonly words: string } =>
  state === 'succeeded' && (note !== null || activities.some((each) => isGap(each.state)))
    ? { tone: 'at-risk', words: 'Succeeded with reservations' }
    : { tone: toneOfRun[state], words: wordsOfRun[state] }

export const wordsOfRunKind: Record<PlanRun['kind'], string> = {
  test: 'Test',
  planned: 'Planned failover',
  unplanned: 'Unplanned failover',
  'fail-back': 'Fail back',
  'clean-up': 'Clean up',
  'change-point': 'Change point',
  'roll-back': 'Roll back',
  commit: 'Commit',
  reprotect: 'Reprotect',
}

type ActivityState = PlanActivity['state']

const isGap = (state: ActivityState): boolean => state === 'failed' || state === 'skipped'

export const toneOfActivity: Record<ActivityState, Tone> = {
  pending: 'off',
  running: 'busy',
  succeeded: 'good',
  failed: 'bad',
  skipped: 'at-risk',
  'left-out': 'off',
}

export const wordsOfActivity: Record<ActivityState, string> = {
  pending: 'To do',
  running: 'Running',
  succeeded: 'Done',
  failed: 'Failed',
  skipped: 'Skipped',
  'left-out': 'Left out',
}

export const wordsOfActivityKind: Record<PlanActivity['kind'], string> = {
  machine: 'Machine',
  script: 'Script',
  manual: 'Manual action',
  approval: 'Approval',
  wait: 'Wait',
  probe: 'Probe',
  http: 'HTTP call',
  dns: 'DNS update',
  'load-balancer': 'Load balancer',
  'traffic-manager': 'Traffic Manager',
  'azure-load-balancer': 'Azure load balancer',
  'azure-dns': 'Azure DNS',
  'azure-run-command': 'Azure run command',
}

const endsByItself: readonly PlanRunState[] = ['running', 'paused', 'cancelling']

/** Something of it is being done, or will be as soon as somebody resumes it. */
export const isActive = ({ state }: { readonly state: PlanRunState }): boolean => endsByItself.includes(state)

/** What the time of its end is called. One that a failure has stopped may go on. */
export function nameOfEnd(run: Pick<PlanRun, 'state'>): string {
  if (isActive(run)) return 'Expected end'
  return run.state === 'failed' ? 'Stopped' : 'Ended'
}

const movesProduction: readonly PlanRun['kind'][] = [
  'planned',
  'unplanned',
  'fail-back',
  'roll-back',
  'change-point',
]

/** What runs for the users is being moved: the room wants to know how it stands. */
export const isFailover = ({ kind }: Pick<PlanRun, 'kind'>): boolean => movesProduction.includes(kind)

/** `Unplanned failover of Web shop`. */
export const titleOfRun = ({ kind, planName }: Pick<PlanRun, 'kind' | 'planName'>): string =>
  `${wordsOfRunKind[kind]} of ${planName}`

/** What waits for a person reads otherwise than what works by itself. */
export function statusOfActivity({ state, asks }: Pick<WallActivity, 'state' | 'asks'>): {
  readonly tone: Tone
  readonly words: string
} {
  if (asks !== null && state === 'running') return { tone: 'at-risk', words: 'Waiting for you' }
  return { tone: toneOfActivity[state], words: wordsOfActivity[state] }
}
