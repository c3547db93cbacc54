import { expect, it } from 'vitest'
import { groupOptions } from './group-options.ts'

const group = (name: string, more: object = {}) => ({
  id: name,
  name,
  policyId: 'gold',
  policyName: 'Gold',
  sourceSiteIds: ['harbour'],
  members: [],
  ...more,
})

it('offers groups that fit first, and says why the others do not', () => {
  const member = { protectionId: 'p', name: 'p', state: 'protected', covered: true, note: null } as const
  const groups = [
    group('far', { sourceSiteIds: ['hillside'] }),
    group('slow', { policyId: 'silver', policyName: 'Silver' }),
    group('full', { members: Array.from({ length: 31 }, () => member) }),
    group('shop'),
    group('empty', { policyId: null, policyName: null, sourceSiteIds: [] }),
  ]
  expect(groupOptions(groups, { siteId: 'harbour', policyId: 'gold', count: 2 })).toEqual([
    { value: 'shop', label: 'shop', disabled: false },
    { value: 'empty', label: 'empty', disabled: false },
    { value: 'far', label: 'far: its machines run at another site', disabled: true },
    { value: 'slow', label: 'slow: its machines have the policy Silver', disabled: true },
    { value: 'full', label: 'full: it can have 32 machines at most', disabled: true },
  ])
})
