// How each thing that can be done with a run asks before it acts, and what it will do to this run. Pure.
import type { PlanRun } from '@understudy/contract/recovery-plan'
import { titleOfRun } from './run-words.ts'

export type RunActionKind = PlanRun['actions'][number]['action']
/** Changing what has not started is the editor's. */
export type AskedRunAction = Exclude<RunActionKind, 'edit'>

export type RunAsk = {
  readonly title: string
  /** Sentences: what happens when it is confirmed. */
  readonly effects: readonly string[]
  readonly confirm: string
  readonly danger: boolean
  readonly choosesPoint: boolean
}

export const wordsOfRunAction: Record<RunActionKind, string> = {
  pause: 'Pause',
  resume: 'Resume',
  cancel: 'Cancel the run',
  edit: 'Edit what is to come',
  'clean-up': 'Clean up',
  'change-point': 'Change point',
  'roll-back': 'Roll back',
  commit: 'Commit',
  reprotect: 'Reprotect',
}

/** What most people do next, when it is allowed: the rest of what is offered stands beside it. */
const usualActions: readonly RunActionKind[] = ['resume', 'pause', 'clean-up', 'commit', 'reprotect']

export const usualAction = (
  offered: readonly { readonly action: RunActionKind; readonly reason: string | null }[],
): RunActionKind | undefined =>
  usualActions.find((action) => offered.some((one) => one.action === action && one.reason === null))

type Asked = Pick<PlanRun, 'kind' | 'planName' | 'activities'>

export function askOf(action: AskedRunAction, run: Asked): RunAsk {
  const machines = counted(upMachines(run).length, 'machine')
  const of = `of ${titleOfRun(run)}`
  switch (action) {
    case 'pause':
      return plain('Pause this run?', 'Pause', [
        'What runs now goes on to its end. Nothing new starts until somebody resumes it.',
      ])
    case 'resume':
      return plain('Resume this run?', 'Resume', ['It goes on where it was.'])
    case 'cancel':
      return {
        ...plain('Cancel this run?', 'Cancel the run', cancelEffects(run)),
        danger: true,
      }
    case 'clean-up':
      return plain(`Clean up ${of}`, 'Clean up', [
        `Switches off ${machines} of this test and removes everything that the test made.`,
        'What runs for your users is not touched.',
      ])
    case 'change-point':
      return {
        ...plain(`Change the point ${of}`, 'Boot this point instead', [
          `Switches off ${machines} and boots another point instead, group by group.`,
          'What they have written since the failover is thrown away.',
        ]),
        danger: true,
        choosesPoint: true,
      }
    case 'roll-back':
      return {
        ...plain(`Roll back ${of}`, 'Roll back', [
          `Switches off ${machines} at the target, throws away what they wrote, and goes on with the originals, group by group.`,
        ]),
        danger: true,
      }
    case 'commit':
      return plain(`Commit ${of}`, 'Commit', [
        `Keeps ${machines} where they run now.`,
        'Rolling back and changing the point are not possible afterwards; reprotect comes next.',
      ])
    case 'reprotect':
      return {
        ...plain(`Reprotect ${of}`, 'Reprotect', [
          `Replicates ${machines} in the other direction, from where they run now back to where they came from.`,
          'Once that works, the former replicas are removed with their recovery points.',
        ]),
        danger: true,
      }
  }
}

const plain = (title: string, confirm: string, effects: readonly string[]): RunAsk => ({
  title,
  effects,
  confirm,
  danger: false,
  choosesPoint: false,
})

/** Whom a person will find up when nothing more is done. */
const upMachines = ({ activities }: Asked): readonly string[] =>
  activities.flatMap(({ kind, state, name }) =>
    kind === 'machine' && (state === 'succeeded' || state === 'running') ? [name] : [],
  )

const shownNames = 5

/** What a cancel stops, what it cannot stop, and what is left standing after it. */
export function cancelEffects(run: Asked): readonly string[] {
  const { activities, kind } = run
  const running = activities.filter(({ state }) => state === 'running')
  const waiting = activities.filter(({ state }) => state === 'pending')
  const up = upMachines(run)
  return [
    waiting.length === 0
      ? 'Nothing else is left to be started.'
      : `${counted(waiting.length, 'item')} that ${waiting.length === 1 ? 'has' : 'have'} not begun will not start.`,
    ...(running.length === 0
      ? []
      : [
          `What runs now is told to stop (${listed(running.map(({ name }) => name))}). A machine past the point of no return ends its step by itself.`,
        ]),
    kind === 'test'
      ? 'As it is a test, everything that it made is then removed.'
      : up.length === 0
        ? 'No machine has come up, so none is left standing.'
        : `Left standing where they came up: ${listed(up)}. Afterwards you can roll them back, or keep them.`,
  ]
}

const counted = (count: number, word: string): string => (count === 1 ? `1 ${word}` : `${count} ${word}s`)

const listed = (names: readonly string[]): string =>
  names.length <= shownNames
    ? names.join(', ')
    : `${names.slice(0, shownNames).join(', ')} and ${names.length - shownNames} more`

/** Buttons in the order of how likely they are wanted. What can never be again is not offered: pausing a run that is over. */
export function offeredActions(run: Pick<PlanRun, 'actions' | 'state'>): {
  readonly steering: PlanRun['actions']
  readonly following: PlanRun['actions']
} {
  const isSteering = (action: RunActionKind): boolean =>
    action === 'pause' || action === 'resume' || action === 'cancel' || action === 'edit'
  return {
    steering: run.actions.filter(({ action, reason }) => isSteering(action) && reason === null),
    following: run.actions.filter(({ action }) => !isSteering(action)),
  }
}
