import type { MachineRef } from '@understudy/domain/machines/machine'
import { expect, test } from 'vitest'
import { ownEnds } from './own-ends.ts'
import { testHost } from './test-host.ts'

const ref = 'web' as MachineRef
const [one, two] = [testHost('one', '/one'), testHost('two', '/two')]

test('our doing is an end for the host where it was, for a day, until the machine is seen again', () => {
  let now = 0
  const ends = ownEnds(() => now)
  expect(ends.holds(ref, one)).toBe(false)
  ends.note(ref, one)
  expect([ends.holds(ref, one), ends.holds(ref, two)]).toEqual([true, false])
  now = 24 * 3_600_000
  expect(ends.holds(ref, one)).toBe(true)
  now += 1
  expect(ends.holds(ref, one)).toBe(false)
  ends.note(ref, one)
  ends.forget(ref)
  expect(ends.holds(ref, one)).toBe(false)
})
