// The tests of a plan in one list: those that began by themselves, those that could not, and those that somebody has started. Pure.
import type { ScheduledTest } from '@understudy/contract/plan-tests'
import type { PlanRunSummary } from '@understudy/contract/recovery-plan'
import type { Tone } from '../../ui/tone.ts'

export type TestRow = {
  readonly key: string
  readonly at: string
  readonly by: string
  readonly run: PlanRunSummary | null
  readonly tone: Tone
  readonly words: string
  readonly note: string | null
}

const active: readonly PlanRunSummary['state'][] = ['running', 'paused', 'cancelling']

/** From new to old. */
export function testRows(
  scheduled: readonly ScheduledTest[],
  runs: readonly PlanRunSummary[],
): readonly TestRow[] {
  const byRun = new Map(runs.map((run) => [run.id, run]))
  const known = new Set(scheduled.flatMap(({ planRunId }) => planRunId ?? []))
  const rows = [
    ...scheduled.map((test) => rowOfScheduled(test, byRun.get(test.planRunId ?? '') ?? null)),
    ...runs.filter(({ id, kind }) => kind === 'test' && !known.has(id)).map(rowOfRun),
  ]
  return rows.toSorted((one, other) => Date.parse(other.at) - Date.parse(one.at))
}

function rowOfScheduled(test: ScheduledTest, run: PlanRunSummary | null): TestRow {
  const { dueAt, state, passed, note } = test
  const row = { key: dueAt, at: dueAt, by: 'schedule', run, note }
  switch (state) {
    case 'beginning':
    case 'running':
      return { ...row, tone: 'busy', words: 'Under way' }
    case 'skipped':
      return { ...row, tone: 'at-risk', words: 'Skipped' }
    case 'missed':
      return { ...row, tone: 'bad', words: 'Missed' }
    case 'done':
      return passed
        ? { ...row, tone: 'good', words: 'Passed', note: null }
        : { ...row, tone: 'bad', words: 'Not passed' }
  }
}

function rowOfRun(run: PlanRunSummary): TestRow {
  const row = { key: run.id, at: run.startedAt, by: run.startedBy, run, note: run.note }
  if (active.includes(run.state)) return { ...row, tone: 'busy', words: 'Under way' }
  const passed = run.state === 'succeeded' && run.note === null
  return passed ? { ...row, tone: 'good', words: 'Passed' } : { ...row, tone: 'bad', words: 'Not passed' }
}
