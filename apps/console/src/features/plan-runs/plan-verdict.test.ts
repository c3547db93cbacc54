import { describe, expect, it } from 'vitest'
import { planVerdict } from './plan-verdict.ts'

const fine = {
  blockers: 0,
  warnings: 0,
  predictedSeconds: 100,
  targetRtoSeconds: 200,
  worstLagSeconds: 5,
  lastTest: { runId: 'r', at: '2026-03-01T02:00:00Z', passed: true },
}

describe('the verdict on a plan', () => {
  it('is good only after a test that passed', () => {
    expect(planVerdict(fine)).toEqual({ tone: 'good', words: 'its last test passed' })
    expect(planVerdict({ ...fine, lastTest: null }).words).toBe('never tested')
    expect(planVerdict({ ...fine, lastTest: { ...fine.lastTest, passed: false } }).tone).toBe('bad')
  })
  it('names the gravest thing', () => {
    expect(planVerdict({ ...fine, blockers: 2, lastTest: null }).words).toBe('cannot be run: 2 blockers')
    expect(planVerdict({ ...fine, predictedSeconds: 230 }).words).toBe('30 s beyond its target')
  })
})
