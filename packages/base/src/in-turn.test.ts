import { expect, test } from 'vitest'
import { inTurn } from './in-turn.ts'

test('works come one after the other, also after one that failed', async () => {
  const turn = inTurn()
  const order: string[] = []
  const work = (name: string, failure: Error | null) => async () => {
    order.push(`${name} begins`)
    await Promise.resolve()
    order.push(`${name} ends`)
    if (failure !== null) throw failure
    return name
  }
  const first = turn(work('first', new Error('no room')))
  const second = turn(work('second', null))
  await expect(first).rejects.toThrow('no room')
  expect(await second).toBe('second')
  expect(order).toEqual(['first begins', 'first ends', 'second begins', 'second ends'])
})
