import { expect, it } from 'vitest'
import { fixedOf, startedOf } from './run-fixed.ts'

const activities = [
  { itemId: 'announce', state: 'succeeded' },
  { itemId: 'only-in-tests', state: 'left-out' },
  { itemId: 'db', state: 'running' },
  { itemId: 'smoke', state: 'pending' },
] as const

it('locks what has started with how it stands, and no group behind it', () => {
  const groups = ['data', 'front'].map((id) => ({
    id,
    name: id,
    start: 'in-order' as const,
    before: [],
    machines: [],
    after: [],
  }))
  const fixed = fixedOf({ activities, plan: { groups: groups as never } }, 0)
  expect([...fixed.items]).toEqual([
    ['announce', 'Done'],
    ['db', 'Running'],
  ])
  expect([...fixed.groups]).toEqual(['data'])
  expect([...startedOf(activities)]).toEqual(['announce', 'db'])
})
