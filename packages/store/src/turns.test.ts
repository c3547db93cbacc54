import { expect, test } from 'vitest'
import { openTurns } from './turns.ts'

const gate = () => Promise.withResolvers<void>()

test('works of one key follow each other in order, those of another do not wait for them', async () => {
  const turns = openTurns()
  const [first, second] = [gate(), gate()]
  const done: string[] = []
  const work = (name: string, until: Promise<void>) => async () => {
    done.push(`${name} begins`)
    await until
    done.push(`${name} ends`)
    return name
  }
  const a = turns('one', work('a', first.promise))
  const b = turns('one', work('b', second.promise))
  expect(await turns('two', work('c', Promise.resolve()))).toBe('c')
  expect(done).toEqual(['a begins', 'c begins', 'c ends'])
  second.resolve()
  first.resolve()
  expect(await Promise.all([a, b])).toEqual(['a', 'b'])
  expect(done.slice(3)).toEqual(['a ends', 'b begins', 'b ends'])
})

test('a work that fails is told to who asked for it, and the next one begins', async () => {
  const turns = openTurns()
  const fails = turns('one', async () => {
    throw new RangeError('odd')
  })
  const next = turns('one', async () => 'done')
  await expect(fails).rejects.toThrow('odd')
  expect(await next).toBe('done')
})
