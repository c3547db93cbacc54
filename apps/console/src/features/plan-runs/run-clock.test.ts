import type { PlanActivity } from '@understudy/contract/recovery-plan'
import { describe, expect, it } from 'vitest'
import { clockText } from '../../lib/clock.ts'
import { elapsedSeconds, outlookOf, progressWords } from './run-clock.ts'

const start = Date.parse('2026-03-01T02:00:00Z')
const run = {
  state: 'running',
  startedAt: '2026-03-01T02:00:00Z',
  endedAt: null,
  predictedSeconds: 100,
  spreadSeconds: 20,
  targetRtoSeconds: 200,
} as const

describe('the clock of a run', () => {
  it('stops at the end of the run and never runs backwards', () => {
    expect(elapsedSeconds(run, start + 5000)).toBe(5)
    expect(elapsedSeconds({ ...run, endedAt: '2026-03-01T02:00:30Z' }, start + 99_000)).toBe(30)
    expect(elapsedSeconds(run, start - 5000)).toBe(0)
  })
  it('shows hours only when there are any', () => {
    expect([0, 59.9, 61, 3600, 3729].map(clockText)).toEqual(['0:00', '0:59', '1:01', '1:00:00', '1:02:09'])
  })
})

it('what has failed is over, but never counted as done', () => {
  const activities = [{ state: 'succeeded' }, { state: 'failed' }] as PlanActivity[]
  expect(progressWords({ doneItems: 2, totalItems: 2, activities })).toBe('1 of 2, 1 failed')
})

describe('the outlook of a run', () => {
  const verdict = (change: Partial<Parameters<typeof outlookOf>[0]>, seconds: number) =>
    outlookOf({ ...run, ...change }, start + seconds * 1000).verdict
  it('compares what is expected, and its spread, with the target', () => {
    expect(verdict({}, 10)?.tone).toBe('good')
    expect(verdict({ predictedSeconds: 190 }, 10)).toEqual({ tone: 'at-risk', words: 'may be missed' })
    expect(verdict({ predictedSeconds: 230 }, 10)).toEqual({ tone: 'bad', words: 'expected 30 s too late' })
    expect(verdict({}, 215)).toEqual({ tone: 'bad', words: 'passed 15 s ago' })
    expect(verdict({ targetRtoSeconds: null }, 10)).toBeNull()
  })
  it('never expects the end in the past', () => {
    expect(outlookOf(run, start + 150_000)).toMatchObject({ totalSeconds: 150, endsAt: start + 150_000 })
  })
  it('says of a run that is over whether the target was kept, and nothing when it came to no end', () => {
    const over = { endedAt: '2026-03-01T02:03:40Z' }
    expect(verdict({ ...over, state: 'succeeded' }, 999)).toEqual({ tone: 'bad', words: 'missed by 20 s' })
    expect(verdict({ ...over, state: 'cancelled' }, 999)).toBeNull()
  })
})
