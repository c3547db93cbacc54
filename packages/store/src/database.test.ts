import { Outage } from '@understudy/base/errors'
import { expect, test } from 'vitest'
import { withFailures } from './database.ts'

const failing = (error: Error) =>
  withFailures({
    list: async () => {
      throw error
    },
  })

test.each([
  ['53100', /disk of the database is full/],
  ['53200', /does not answer/],
  ['58030', /does not answer/],
  ['57P03', /does not answer/],
])('what PostgreSQL says with %s may work later: an outage, not our own fault', async (code, message) => {
  const error = Object.assign(new Error('could not extend file'), { code })
  const failure = await failing(error)
    .list()
    .catch((thrown: unknown) => thrown)
  expect(failure).toBeInstanceOf(Outage)
  expect((failure as Outage).message).toMatch(message)
})

test('an error that is none of the database is passed on as it is', async () => {
  const error = new RangeError('odd')
  await expect(failing(error).list()).rejects.toBe(error)
})
