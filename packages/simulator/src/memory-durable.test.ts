import type { Durable } from '@understudy/engine/ports/durable'
import { expect, test } from 'vitest'
import { durableContract } from './contracts/durable-contract.ts'
import { type DurableCrash, durableLog, memoryDurable } from './memory-durable.ts'
import { virtualClock } from './virtual-clock.ts'

durableContract('memory', async () => {
  const log = durableLog()
  const clock = virtualClock()
  let current = memoryDurable({ log, clock })
  return {
    async open(register) {
      current = memoryDurable({ log, clock })
      register(current)
      await current.launch()
      return current
    },
    kill: async () => current.kill(),
    pass: (milliseconds) => clock.advance(milliseconds),
    close: async () => {},
  }
})

/** Moves money in three steps that may each be repeated, with a rest in between. */
const transfer = (accounts: Map<string, number>, log: string[]) => (process: Durable) =>
  process.register<{ amount: number }>('transfer', async (context, { amount }) => {
    const before = await context.step('read', async () => accounts.get('a') ?? 0)
    await context.step('take', async () => {
      accounts.set('a', before - amount)
    })
    await context.sleep(1_000)
    await context.step('give', async () => {
      accounts.set('b', amount)
    })
    log.push('end')
  })

test('a workflow ends the same wherever a crash hits it', async () => {
  const moments: DurableCrash['moment'][] = ['before', 'after', 'kept']
  let crashes = 0
  for (const moment of moments)
    for (let act = 1; act <= 4; act += 1) {
      const log = durableLog()
      const clock = virtualClock()
      const accounts = new Map([['a', 100]])
      const ends: string[] = []
      const first = memoryDurable({ log, clock, crash: { act, moment } })
      transfer(accounts, ends)(first)
      await first.launch()
      await first.start('transfer', 'job', { amount: 30 })
      await clock.until(first.whenOver('job'))
      expect(first.dead).toBe(true)
      crashes += 1
      const second = memoryDurable({ log, clock })
      transfer(accounts, ends)(second)
      await second.launch()
      await clock.until(second.whenOver('job'))
      expect(Object.fromEntries(accounts)).toEqual({ a: 70, b: 30 })
      expect(ends).toEqual(['end'])
      expect(second.failures()).toEqual([])
    }
  expect(crashes).toBe(12)
})

test('a workflow whose steps come in another order after a restart is found out', async () => {
  const log = durableLog()
  const clock = virtualClock()
  let name = 'first'
  const register = (process: Durable) =>
    process.register('odd', async (context) => {
      await context.step(name, async () => {})
      await context.sleep(1_000)
    })
  const first = memoryDurable({ log, clock })
  register(first)
  await first.launch()
  await first.start('odd', 'job', null)
  await clock.advance(10)
  first.kill()
  name = 'second'
  const second = memoryDurable({ log, clock })
  register(second)
  await second.launch()
  await clock.until(second.whenOver('job'))
  expect(second.failures().join()).toContain('repeats "first", not "second"')
})
