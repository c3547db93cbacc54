import { describe, expect, test } from 'vitest'
import { findOutdated } from './install-packages.mjs'

const wanted = {
  '': { version: '0.1.0' },
  'packages/base': { version: '0.1.0' },
  'node_modules/@understudy/base': { link: true },
  'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
  'node_modules/b-windows': { version: '1.0.0', integrity: 'sha512-b', optional: true },
}
const { 'node_modules/b-windows': _forWindows, ...installed } = wanted

describe('comparing the lock file with what is installed', () => {
  test('the same packages need no installation, whatever npm left out for other platforms', () => {
    expect(findOutdated(wanted, installed)).toEqual([])
  })

  test('without node_modules everything that is not optional is missing', () => {
    expect(findOutdated(wanted, {})).toEqual(['node_modules/@understudy/base', 'node_modules/a'])
  })

  test.each([
    ['another version', { version: '1.0.1', integrity: 'sha512-a' }],
    ['another content', { version: '1.0.0', integrity: 'sha512-z' }],
  ])('%s is outdated', (_what, present) => {
    expect(findOutdated(wanted, { ...installed, 'node_modules/a': present })).toEqual(['node_modules/a'])
  })
})
