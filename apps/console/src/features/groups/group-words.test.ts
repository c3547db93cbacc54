import type { ConsistencyGroup } from '@understudy/contract/consistency-group'
import { expect, test } from 'vitest'
import { wordsOfGroup, wordsOfPause } from './group-words.ts'

const member = { protectionId: 'p', name: 'web', state: 'protected' as const, covered: true, note: null }
const cut = {
  cut: 'c',
  instant: '2026-01-01T12:00:00.000Z',
  consistency: 'crash' as const,
  pauseMilliseconds: 3,
  members: ['p'],
}
const group: ConsistencyGroup = {
  id: 'g',
  name: 'shop',
  createdAt: '2026-01-01T12:00:00.000Z',
  policyId: null,
  policyName: null,
  sourceSiteIds: ['a'],
  members: [member, member],
  newestCut: cut,
  newestWholeCut: cut,
  lagSeconds: 3,
  lagTargetSeconds: 30,
  health: 'at-risk',
  apart: null,
}

test.each<[Partial<ConsistencyGroup>, string]>([
  [{ members: [] }, 'No machines yet'],
  [{ members: [member] }, 'One machine: nothing to share'],
  [{ health: 'good' }, 'Common points on time'],
  [{ sourceSiteIds: ['a', 'b'] }, 'Its machines run at two sites'],
  [{ newestWholeCut: null }, 'No common point yet'],
  [{}, 'Newest common point is late'],
])('a group says how it stands: %j', (change, words) => {
  expect(wordsOfGroup({ ...group, ...change })).toBe(words)
})

test('a pause is told in whole milliseconds', () => {
  expect(wordsOfPause(12.4)).toBe('held still for 12 ms')
  expect(wordsOfPause(0.2)).toBe('held still for less than 1 ms')
})
