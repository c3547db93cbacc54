import { expect, test } from 'vitest'
import { holds } from './holds.ts'

function newMachine(name: string) {
  const machine = { isHeld: false, name, stop: async () => void set(true), goOn: async () => void set(false) }
  const set = (is: boolean): boolean => (machine.isHeld = is)
  return machine
}

test('a machine is held during both of two works that overlap, and goes on afterwards, though one fails', async () => {
  const hold = holds()
  const machine = newMachine('web')
  const first = Promise.withResolvers<void>()
  const seen: boolean[] = []
  const works = [
    hold(machine, async () => {
      await first.promise
      seen.push(machine.isHeld)
      throw new Error('no room')
    }),
    hold(machine, async () => {
      await new Promise(setImmediate)
      seen.push(machine.isHeld)
    }),
  ]
  await new Promise(setImmediate)
  first.resolve()
  const [failed, done] = await Promise.allSettled(works)
  expect([failed?.status, done?.status]).toEqual(['rejected', 'fulfilled'])
  expect(seen).toEqual([true, true])
  expect(machine.isHeld).toBe(false)
})

test('machines do not wait for each other', async () => {
  const hold = holds()
  const never = Promise.withResolvers<void>()
  void hold(newMachine('web'), () => never.promise)
  await hold(newMachine('db'), async () => {})
})
