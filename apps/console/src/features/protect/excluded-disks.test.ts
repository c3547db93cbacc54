import type { Machine } from '@understudy/contract/machine'
import { expect, test } from 'vitest'
import { excludedOf, machineLeftEmpty } from './excluded-disks.ts'

const machine = (id: string, keys: readonly string[]) =>
  ({ id, hardware: { disks: keys.map((key) => ({ key })) } }) as unknown as Machine
const web = machine('web', ['root'])
const db = machine('db', ['root', 'data'])

test('a machine of which every disk is left out is found, one with a disk left is not', () => {
  expect(machineLeftEmpty([web, db], { db: ['data'] })).toBeUndefined()
  expect(machineLeftEmpty([web, db], { db: ['data', 'root'] })).toBe(db)
})
test('a machine without any disk is not said to be left empty by choice', () => {
  expect(machineLeftEmpty([machine('diskless', [])], {})).toBeUndefined()
})
test('only choices for machines that are still chosen are sent', () => {
  expect(excludedOf([db], { web: ['root'], db: ['data'] })).toEqual({ db: ['data'] })
  expect(excludedOf([web, db], { web: [] })).toEqual({})
})
