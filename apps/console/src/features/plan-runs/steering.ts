// When a machine or step of a run can be tried again or skipped, and what that means. Pure; the server has the last word.
import type { PlanActivity, PlanRun } from '@understudy/contract/recovery-plan'

export type Steering = 'retry' | 'skip'

/** Why not; null: it can be. */
export function steeringOf(
  run: Pick<PlanRun, 'state' | 'followsUp'>,
  activity: Pick<PlanActivity, 'state'>,
): Readonly<Record<Steering, string | null>> {
  const goesOn = run.state === 'running' || run.state === 'paused' || run.state === 'failed'
  if (!goesOn) return { retry: 'The run is over', skip: 'The run is over' }
  switch (activity.state) {
    case 'failed':
      return { retry: null, skip: null }
    case 'pending':
    case 'running':
      return { retry: 'It has not failed', skip: null }
    case 'succeeded':
      return { retry: 'It is done', skip: 'It is done' }
    case 'skipped':
      return { retry: 'It is skipped', skip: 'It is skipped' }
    case 'left-out':
      return { retry: 'It is not part of this run', skip: 'It is not part of this run' }
  }
}

export function steeringWords(
  what: Steering,
  { run, activity }: { readonly run: Pick<PlanRun, 'state'>; readonly activity: PlanActivity },
): { readonly title: string; readonly effect: string; readonly confirm: string } {
  const again = run.state === 'failed' ? ' The run, which has stopped, goes on with it.' : ''
  if (what === 'retry')
    return {
      title: `Try ${activity.name} again?`,
      effect: `Attempt ${activity.attempt + 1} begins at once.${again}`,
      confirm: 'Try again',
    }
  const begun =
    activity.kind === 'machine' && activity.state === 'running'
      ? ' The machine is on its way already: its job goes on by itself, only nobody waits for it.'
      : ''
  return {
    title: `Skip ${activity.name}?`,
    effect: `Whatever needs it starts without it, as if it had been done.${begun}${again} It is written down who skipped it.`,
    confirm: 'Skip it',
  }
}
