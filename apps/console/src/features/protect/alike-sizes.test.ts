import { expect, test } from 'vitest'
import { alikeSizes, nameFirst } from './alike-sizes.ts'

const machine = (id: string) => ({ id, name: `vm-${id}` })
const small = { name: 'B1s', why: '1 vCPU, 1 GiB' }

test('machines that get the same size for the same reason are one line', () => {
  const sizes = { a: small, b: { ...small, why: '2 disks' }, d: { ...small } }
  expect(alikeSizes(['a', 'b', 'c', 'd'].map(machine), sizes)).toEqual([
    { ...small, names: ['vm-a', 'vm-d'] },
    { ...small, why: '2 disks', names: ['vm-b'] },
  ])
})

test('of hundreds of machines the first ones are named', () => {
  const names = ['a', 'b', 'c', 'd', 'e']
  expect(nameFirst(names)).toBe('a, b, c, d, e')
  expect(nameFirst([...names, 'f'])).toBe('a, b, c, d and 2 more')
})
