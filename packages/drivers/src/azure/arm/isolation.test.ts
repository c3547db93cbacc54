import type { SecurityRule } from '@azure/arm-network'
import { expect, test } from 'vitest'
import { isIsolated } from './isolation.ts'

const any = {
  protocol: '*',
  sourceAddressPrefix: '*',
  sourcePortRange: '*',
  destinationAddressPrefix: '*',
  destinationPortRange: '*',
} as const
const deny = (change: Partial<SecurityRule> = {}): SecurityRule => ({
  ...any,
  access: 'Deny',
  direction: 'Outbound',
  priority: 200,
  ...change,
})
const allow = (change: Partial<SecurityRule>): SecurityRule => ({
  ...deny(),
  access: 'Allow',
  priority: 100,
  ...change,
})
const subnet = { addressPrefix: '10.1.2.0/24' }
const judge = (...securityRules: SecurityRule[]) => isIsolated(subnet, { securityRules })

test('a subnet without a security group, or with one that says nothing, lets everything out', () => {
  expect(isIsolated(subnet, null)).toBe(false)
  expect(judge()).toBe(false)
})

test('a rule against everything closes it, whatever allows more comes after it', () => {
  expect(judge(deny())).toBe(true)
  expect(judge(deny(), allow({ priority: 300 }))).toBe(true)
  expect(judge(deny({ direction: 'Inbound' }))).toBe(false)
})

test.each([
  ['a protocol', { protocol: 'Tcp' as const }],
  ['a destination', { destinationAddressPrefix: 'Internet' }],
  ['a port', { destinationPortRange: '443' }],
  ['a source', { sourceAddressPrefix: '10.1.2.4' }],
])('a rule against one thing alone, %s, closes nothing', (_what, change) => {
  expect(judge(deny(change))).toBe(false)
})

test('what is allowed before must stay inside the subnet', () => {
  expect(judge(allow({ destinationAddressPrefix: '10.1.2.128/25' }), deny())).toBe(true)
  expect(judge(allow({ destinationAddressPrefix: '10.1.0.0/16' }), deny())).toBe(false)
  expect(judge(allow({ destinationAddressPrefix: 'VirtualNetwork' }), deny())).toBe(false)
  expect(
    judge(
      allow({ destinationAddressPrefix: '', destinationAddressPrefixes: ['10.1.2.4', '8.8.8.8'] }),
      deny(),
    ),
  ).toBe(false)
})

test('an address of another kind is not understood, and so it is open', () => {
  expect(judge(allow({ destinationAddressPrefix: 'fd00::/8' }), deny())).toBe(false)
})
