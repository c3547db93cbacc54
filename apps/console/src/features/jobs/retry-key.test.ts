import { expect, test } from 'vitest'
import { retryKey } from './retry-key.ts'

test('a double click is one retry, and a job that failed again can be retried again', () => {
  const failed = { id: 'job-1', endedAt: '2026-01-01T12:00:00.000Z' }
  expect(retryKey(failed)).toBe(retryKey({ ...failed }))
  expect(retryKey({ ...failed, endedAt: '2026-01-01T12:05:00.000Z' })).not.toBe(retryKey(failed))
})
