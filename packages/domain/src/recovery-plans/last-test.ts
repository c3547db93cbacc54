// What the tests of a plan have shown.
import { activePlanRunStates, type PlanRun } from './plan-run.ts'
import type { LastTest } from './readiness.ts'

/** Everything of it succeeded. What went on although something had failed, or was skipped, proves less. Pure. */
export const hasPassed = ({ state, note }: Pick<PlanRun, 'state' | 'note'>): boolean =>
  state === 'succeeded' && note === null

/** The newest one that came to an end, of runs from new to old. Null: none. Pure. */
export function lastTestOf(runs: readonly PlanRun[]): (LastTest & { readonly run: PlanRun }) | null {
  const run = runs.find(({ kind, state }) => kind === 'test' && !activePlanRunStates.includes(state))
  return run ? { run, at: run.endedAt ?? run.startedAt, passed: hasPassed(run) } : null
}
