import { expect, test } from 'vitest'
import { knownPower } from './power-words.ts'

test('the power of a machine that is gone, or whose site does not answer, is not known', () => {
  expect(knownPower({ power: 'running', present: true }, 'healthy')).toBe('running')
  expect(knownPower({ power: 'off', present: true }, undefined)).toBe('off')
  expect(knownPower({ power: 'running', present: false }, 'healthy')).toBe('unknown')
  expect(knownPower({ power: 'running', present: true }, 'unreachable')).toBe('unknown')
})
