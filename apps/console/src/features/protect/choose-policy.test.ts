import type { Policy } from '@understudy/contract/policy'
import { expect, test } from 'vitest'
import { choosePolicy } from './choose-policy.ts'

const policy = (name: string, intervalSeconds: number) => ({ name, intervalSeconds }) as Policy

test('the policy with the shortest interval is offered first, not the first by name', () => {
  const policies = [policy('Every 5 minutes', 300), policy('Every minute', 60), policy('Every 5 seconds', 5)]
  expect(choosePolicy(policies)?.name).toBe('Every 5 seconds')
  expect(choosePolicy([policy('b', 5), policy('a', 5)])?.name).toBe('a')
  expect(choosePolicy([])).toBeUndefined()
})
