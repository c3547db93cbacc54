import { expect, test } from 'vitest'
import { fromCheckpoint, reasonOfLoss, toCheckpoint } from './checkpoint.ts'

const mark = { bootId: 'a65c-1', generation: '591029fd-02ea', round: 12 }

test('a checkpoint names its boot, its tracking and its number', () => {
  expect(fromCheckpoint(toCheckpoint(mark))).toEqual(mark)
  for (const foreign of ['', 'us-1-7', 'linux:a:b', 'linux:a:b:c', 'kvm:a:b:1'])
    expect(fromCheckpoint(foreign)).toBeNull()
})

test.each([
  ['us-1-7', mark, 'linux/foreign-mark'],
  [toCheckpoint(mark), { ...mark, bootId: 'ffff' }, 'linux/restarted'],
  [toCheckpoint(mark), { ...mark, generation: 'aaaa' }, 'linux/tracking-restarted'],
  [toCheckpoint(mark), { ...mark, generation: null }, 'linux/tracking-restarted'],
  [toCheckpoint(mark), mark, 'linux/stale-mark'],
] as const)('%s against %j is told as what it is', (since, now, code) => {
  const reason = reasonOfLoss(since, now)
  expect(reason.code).toBe(code)
  expect(reason.message).toMatch(/newest point/)
})
