import type { PlanFinding } from '@understudy/contract/recovery-plan'
import { expect, test } from 'vitest'
import { findingsBySpot, joinFindings, wordsOfFindings } from './joined-findings.ts'

const finding = (code: string, id: string, level: PlanFinding['level'] = 'blocker'): PlanFinding => ({
  at: { kind: 'item', id },
  level,
  code,
  message: `${code} of ${id}`,
  remedy: 'Mend it.',
})
const noName = finding('no-name', 'a')
const noPoint = finding('no-point', 'b')
const noTimeout = finding('no-timeout', 'c')

test('what our rules and the server both say stands there once', () => {
  expect(joinFindings({ own: [noName], ownThen: [noName], servers: [noName, noPoint] })).toEqual([
    noName,
    noPoint,
  ])
})

test('what was mended since the server was asked is gone at once, and what only it can know stays', () => {
  expect(joinFindings({ own: [], ownThen: [noName], servers: [noName, noPoint] })).toEqual([noPoint])
})

test('what is new since the server was asked is there at once', () => {
  expect(joinFindings({ own: [noTimeout], ownThen: [], servers: [noPoint] })).toEqual([noTimeout, noPoint])
})

test('each lies at its own spot', () => {
  const bySpot = findingsBySpot([noName, finding('no-address', 'a'), noPoint])
  expect([bySpot.get('item a')?.length, bySpot.get('item b')?.length, bySpot.get('plan')]).toEqual([
    2,
    1,
    undefined,
  ])
})

test.each([
  [[], null],
  [[noName], '1 blocker'],
  [[noName, noPoint, finding('old', 'c', 'warning')], '2 blockers, 1 warning'],
])('counted in words', (findings, words) => {
  expect(wordsOfFindings(findings)).toBe(words)
})
