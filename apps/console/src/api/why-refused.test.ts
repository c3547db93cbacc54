import { roleOf, roleOfAction, roleOfJob } from '@understudy/contract/roles'
import { expect, test } from 'vitest'
import { whyRefused } from './why-refused.ts'

test.each([
  ['a reader', 'reader', roleOfAction['test-failover'], 'Your role may only look'],
  ['nobody', null, roleOf.sites.list, 'Your role may only look'],
  ['an operator', 'operator', roleOfAction['unplanned-failover'], null],
  ['an operator', 'operator', roleOfAction.end, 'This needs the role contributor; you are operator'],
  ['an operator', 'operator', roleOfJob.protect, 'This needs the role contributor; you are operator'],
  ['a contributor', 'contributor', roleOf.protections.create, null],
  ['a contributor', 'contributor', roleOf.users.create, 'This needs the role owner; you are contributor'],
] as const)('%s is told beforehand what would be refused: %s and %s', (_, role, wanted, reason) => {
  expect(whyRefused(wanted, role)).toBe(reason)
})
