import { describe, expect, test } from 'vitest'
import { flag, number, oneOf, searchParams, text } from './search-params.ts'

const read = searchParams({ search: text, cycle: number, register: flag, tab: oneOf('disks', 'jobs') })

describe('what a page reads from its address', () => {
  test('is what the page knows, each part as it was written', () => {
    expect(read({ search: 'web', register: true, tab: 'jobs' })).toEqual({
      search: 'web',
      register: true,
      tab: 'jobs',
    })
  })
  test('a number stays one, so that the address stays as it was written', () => {
    expect(read({ cycle: 30 })).toEqual({ cycle: 30 })
    expect(read({ cycle: 'soon' })).toEqual({})
  })
  test('a machine that is called 42 is found by that name', () => {
    expect(read({ search: 42 })).toEqual({ search: '42' })
  })
  test('a wrong part is left out and the others stay', () => {
    expect(read({ search: 'web', register: 'perhaps', tab: 'elsewhere', more: 1 })).toEqual({ search: 'web' })
  })
})
