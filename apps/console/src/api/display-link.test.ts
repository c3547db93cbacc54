import { expect, it } from 'vitest'
import { secretOf } from './display-link.ts'

it('opens the wall with what stands behind the #, and no other page', () => {
  expect(secretOf({ pathname: '/wall/plans', hash: '#display=ud_abc' })).toBe('ud_abc')
  expect(secretOf({ pathname: '/wall', hash: '#display=ud_abc' })).toBe('ud_abc')
  expect(secretOf({ pathname: '/wall', hash: '' })).toBeNull()
  for (const pathname of ['/', '/settings', '/wallet'])
    expect(secretOf({ pathname, hash: '#display=ud_abc' })).toBeNull()
})
