import { expect, test } from 'vitest'
import { sourcePowerOf } from './preview-failover.ts'

test.each([
  ['healthy', { power: 'running', present: true }, 'running'],
  ['healthy', { power: 'running', present: false }, 'unknown'],
  ['healthy', null, 'unknown'],
  ['unreachable', { power: 'off', present: true }, 'unreachable'],
] as const)('of a %s site, a machine last seen as %o is shown as %s', (health, machine, power) => {
  expect(sourcePowerOf({ health }, machine)).toBe(power)
})
