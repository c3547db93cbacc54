import { expect, test } from 'vitest'
import { clearNames } from './clear-names.ts'

const [harbour, hillside] = [{ name: 'Harbour' }, { name: 'Hillside' }]
const at = (
  id: string,
  name: string,
  direction: 'forward' | 'reverse',
  source = harbour,
  target = hillside,
) => ({
  id,
  name,
  direction,
  source,
  target,
})

test('a name that several machines have is told with the first site of each, whichever way it is replicated now', () => {
  const names = clearNames([
    at('one', 'db', 'forward'),
    at('two', 'db', 'reverse'),
    at('three', 'web', 'forward'),
  ])
  expect([...names.values()]).toEqual(['db (Harbour)', 'db (Hillside)', 'web'])
  expect(clearNames(undefined).size).toBe(0)
})
