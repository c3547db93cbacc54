import { sampleJob } from '@understudy/simulator/sample-rows'
import { expect, test } from 'vitest'
import { showJob } from './show-job.ts'

test.each([
  ['test-failover', true],
  ['export-seed', false],
  ['import-seed', false],
  ['plan-step', false],
] as const)('a %s that failed is offered for a retry: %s', (kind, canRetry) => {
  expect(showJob(sampleJob({ kind, state: 'failed' })).canRetry).toBe(canRetry)
})
