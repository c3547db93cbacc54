import { expect, test } from 'vitest'
import { type SourcePower, withFreshPower } from './source-power.ts'

const seen = (sourcePower: SourcePower) => ({
  sourcePower,
  expectedLossSeconds: 3,
  expectedRecoverySeconds: null,
  expectedRecoveryBasis: '',
  findings: [],
})

test('what is known of the power of an original that has left its site is nothing', () => {
  expect(withFreshPower(seen('running'), true).sourcePower).toBe('running')
  expect(withFreshPower(seen('running'), false).sourcePower).toBe('unknown')
  expect(withFreshPower(seen('off'), false).sourcePower).toBe('unknown')
  expect(withFreshPower(seen('unreachable'), false).sourcePower).toBe('unreachable')
})
