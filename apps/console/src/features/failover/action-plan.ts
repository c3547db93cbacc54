// Which of the server's actions are buttons and which are in the menu; and how each asks before it acts. Pure.
import type { AllowedAction, ProtectionAction } from '@understudy/contract/protection'

const always: readonly ProtectionAction[] = ['test-failover', 'planned-failover', 'unplanned-failover']
const whileFailedOver: readonly ProtectionAction[] = ['commit', 'change-point', 'roll-back']

/** Every action exactly once: what this moment is about as buttons, the rest behind "More". */
export function arrangeActions(actions: readonly AllowedAction[]): {
  readonly buttons: readonly AllowedAction[]
  readonly more: readonly AllowedAction[]
} {
  const may = (action: ProtectionAction): boolean =>
    actions.some((each) => each.action === action && each.allowed)
  const undecided = whileFailedOver.some(may)
  const chosen: ProtectionAction[] = undecided
    ? [...whileFailedOver]
    : may('reprotect')
      ? ['reprotect']
      : [...always]
  if (may('clean-up-test')) chosen.splice(undecided ? chosen.length : 0, undecided ? 0 : 1, 'clean-up-test')
  if (may('fail-back')) chosen.push('fail-back')
  if (may('resume')) chosen.push('resume')
  for (const action of ['import-seed', 'give-up-seed'] as const) if (may(action)) chosen.push(action)
  const buttons = chosen.flatMap((action) => actions.find((each) => each.action === action) ?? [])
  return { buttons, more: actions.filter((each) => !chosen.includes(each.action)) }
}

export type ActionPlan = {
  readonly title: string
  /** What it does, in one or two sentences. */
  readonly effect: string
  readonly confirm: string
  readonly danger: boolean
  /** The kind that the server previews; null when there is nothing to foresee. */
  readonly preview: 'test' | 'planned' | 'unplanned' | 'fail-back' | null
  readonly choosesPoint: boolean
}

export const planOf: Record<ProtectionAction, ActionPlan> = {
  'test-failover': {
    title: 'Test failover',
    effect:
      'Boots a copy in the isolated network. The machine goes on running and replicating; nothing it does is touched.',
    confirm: 'Start the test',
    danger: false,
    preview: 'test',
    choosesPoint: true,
  },
  'clean-up-test': {
    title: 'Clean up the test',
    effect: 'Switches the test copy off and removes everything that the test made.',
    confirm: 'Clean up',
    danger: false,
    preview: null,
    choosesPoint: false,
  },
  'planned-failover': {
    title: 'Planned failover',
    effect:
      'Shuts the machine down with proof, ships what it wrote last, and starts it at the target. Nothing is lost; until it runs there, any error brings it back. A server with an agent is held still for its last point and switches itself off at it; nobody can start it from here.',
    confirm: 'Fail over',
    danger: true,
    preview: 'planned',
    choosesPoint: false,
  },
  'unplanned-failover': {
    title: 'Unplanned failover',
    effect:
      'Starts the machine at the target from a recovery point, without any help of the source site. What was written after that point is lost. It can be rolled back until it is committed.',
    confirm: 'Fail over now',
    danger: true,
    preview: 'unplanned',
    choosesPoint: true,
  },
  'change-point': {
    title: 'Change the recovery point',
    effect:
      'Switches the failed-over machine off and boots another point instead. What it wrote since the failover is thrown away.',
    confirm: 'Boot this point instead',
    danger: true,
    preview: null,
    choosesPoint: true,
  },
  'start-replica': {
    title: 'Start the replica',
    effect:
      'Starts the failed-over machine again where it is, if it is off. It goes on with everything that it has written.',
    confirm: 'Start it',
    danger: false,
    preview: null,
    choosesPoint: false,
  },
  commit: {
    title: 'Commit the failover',
    effect:
      'Keeps the machine at the target for good. Rolling back and changing the point are not possible afterwards; reprotect comes next.',
    confirm: 'Commit',
    danger: false,
    preview: null,
    choosesPoint: false,
  },
  'roll-back': {
    title: 'Roll back the failover',
    effect:
      'Switches the copy at the target off, throws away what it wrote, and goes on with the original machine as if nothing had happened.',
    confirm: 'Roll back',
    danger: true,
    preview: null,
    choosesPoint: false,
  },
  reprotect: {
    title: 'Reprotect',
    effect:
      'Replicates in the other direction, from where the machine runs now back to where it came from. Once that works, the former replica is removed with its recovery points; only the one that the failover came from goes along, as the first of the new ones.',
    confirm: 'Reprotect',
    danger: true,
    preview: null,
    choosesPoint: false,
  },
  'fail-back': {
    title: 'Fail back',
    effect:
      'Brings the original up to date while the machine still serves, shuts the machine down with proof, ships what it wrote last, and starts the original where it came from. Nothing is lost.',
    confirm: 'Fail back',
    danger: true,
    preview: 'fail-back',
    choosesPoint: false,
  },
  'replicate-now': {
    title: 'Replicate now',
    effect:
      'Makes a recovery point as soon as there is room, without waiting for the next turn or for the pause after an outage.',
    confirm: 'Replicate now',
    danger: false,
    preview: null,
    choosesPoint: false,
  },
  resync: {
    title: 'Resynchronise',
    effect: 'Compares everything in the next cycle and copies what differs. The recovery points stay.',
    confirm: 'Resynchronise',
    danger: false,
    preview: null,
    choosesPoint: false,
  },
  pause: {
    title: 'Pause replication',
    effect:
      'No new recovery points until it is resumed. Those that exist stay, and a failover stays possible.',
    confirm: 'Pause',
    danger: false,
    preview: null,
    choosesPoint: false,
  },
  resume: {
    title: 'Resume replication',
    effect: 'Goes on replicating.',
    confirm: 'Resume',
    danger: false,
    preview: null,
    choosesPoint: false,
  },
  'export-seed': {
    title: 'Seed by disk',
    effect:
      'Writes the first copy, encrypted, to a folder of the server instead of sending it over the line. Carry the disk to the other side and import it there; changes since then follow over the line. An export that stopped goes on where it was.',
    confirm: 'Export',
    danger: false,
    preview: null,
    choosesPoint: false,
  },
  'import-seed': {
    title: 'Import the seed',
    effect:
      'Makes the first recovery point of what was exported, then goes on with the changes since then over the line. A seed that is not whole, or of another machine, is refused.',
    confirm: 'Import',
    danger: false,
    preview: null,
    choosesPoint: false,
  },
  'give-up-seed': {
    title: 'Give up the seed',
    effect:
      'The first copy goes over the line after all, from the beginning; of a machine that was paused, once it is resumed. What was exported is of no use any more.',
    confirm: 'Give up the seed',
    danger: true,
    preview: null,
    choosesPoint: false,
  },
  edit: {
    title: 'Edit',
    effect: '',
    confirm: 'Save',
    danger: false,
    preview: null,
    choosesPoint: false,
  },
  end: {
    title: 'End the protection',
    effect: 'Stops replicating this machine. The machine itself is not touched.',
    confirm: 'End the protection',
    danger: true,
    preview: null,
    choosesPoint: false,
  },
}

/** Whether the name has to be typed: where two copies could run at once, or recovery points are thrown away. */
export function asksForName(
  action: ProtectionAction,
  sourcePower: 'running' | 'paused' | 'off' | 'unknown' | 'unreachable' | null,
): boolean {
  if (action === 'end') return true
  // Null: the server has not said yet. Until it has, nothing is known to be down.
  return action === 'unplanned-failover' && sourcePower !== 'off'
}
