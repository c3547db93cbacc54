import type { ScheduledTest } from '@understudy/contract/plan-tests'
import type { PlanRunSummary } from '@understudy/contract/recovery-plan'
import { expect, test } from 'vitest'
import { testRows } from './test-rows.ts'

const run = (id: string, more: Partial<PlanRunSummary> = {}): PlanRunSummary => ({
  id,
  planId: 'plan',
  planName: 'Shop',
  version: 1,
  kind: 'test',
  followsUp: null,
  direction: 'forward',
  state: 'succeeded',
  startedBy: 'ada',
  startedAt: '2026-05-01T10:00:00Z',
  endedAt: '2026-05-01T10:05:00Z',
  note: null,
  doneItems: 1,
  totalItems: 1,
  waitingForPeople: 0,
  evidence: null,
  ...more,
})
const scheduled = (dueAt: string, more: Partial<ScheduledTest> = {}): ScheduledTest => ({
  planId: 'plan',
  dueAt,
  state: 'done',
  planRunId: null,
  note: null,
  passed: true,
  settledAt: null,
  ...more,
})

test('tests by schedule and by hand are one list, each once, from new to old', () => {
  const rows = testRows(
    [
      scheduled('2026-05-03T03:00:00Z', { state: 'missed', note: 'No server' }),
      scheduled('2026-05-02T03:00:00Z', { planRunId: 'r2' }),
    ],
    [
      run('r2', { startedAt: '2026-05-02T03:00:01Z', startedBy: 'the schedule' }),
      run('r1', { note: '1 skipped' }),
      run('c1', { kind: 'clean-up', followsUp: 'r1' }),
      run('r3', { state: 'running', startedAt: '2026-05-04T03:00:00Z' }),
    ],
  )
  expect(rows.map(({ by, words, run: of }) => [by, words, of?.id ?? null])).toEqual([
    ['ada', 'Under way', 'r3'],
    ['schedule', 'Missed', null],
    ['schedule', 'Passed', 'r2'],
    ['ada', 'Not passed', 'r1'],
  ])
})
