import { expect, it } from 'vitest'
import { isFilled } from './library-draft.ts'

const role = (name: string, many = false) => ({ name, title: name, description: '', many })

it('wants a machine for every role, and no machine in two of them', () => {
  const wanted = [role('db'), role('web', true)]
  expect(isFilled(wanted, {})).toBe(false)
  expect(isFilled(wanted, { db: ['1'], web: [] })).toBe(false)
  expect(isFilled(wanted, { db: ['1'], web: ['2', '1'] })).toBe(false)
  expect(isFilled(wanted, { db: ['1'], web: ['2', '3'] })).toBe(true)
})
