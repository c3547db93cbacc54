import { expect, test } from 'vitest'
import { checkPolicy, defaultPolicySettings, type PolicySettings } from './policy.ts'

const wrong: readonly (readonly [what: string, change: Partial<PolicySettings>, message: RegExp])[] = [
  [
    'a tier that is shorter than its step',
    { retention: [{ everySeconds: 3600, forSeconds: 60 }] },
    /keep nothing/,
  ],
  [
    'application-consistent points more often than points',
    { intervalSeconds: 60, lagTargetSeconds: 60, applicationConsistentEverySeconds: 5 },
    /more often than points/,
  ],
  ['a second to decide about a failover', { commitTimeoutSeconds: 1 }, /within 1 s/],
  ['a byte a second', { rateLimitBytesPerSecond: 1 }, /nothing would ever be replicated/],
  [
    'a lag target below the interval',
    { intervalSeconds: 60, lagTargetSeconds: 30 },
    /shorter than the interval/,
  ],
]

test.each(wrong)('a policy with %s is refused', (_what, change, message) => {
  expect(() => checkPolicy({ ...defaultPolicySettings, ...change })).toThrow(message)
})

test('the default policy is sensible, and so are no timer, no limit and no application-consistent points', () => {
  checkPolicy(defaultPolicySettings)
  checkPolicy({ ...defaultPolicySettings, applicationConsistentEverySeconds: 0 })
})
