import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cyclesOf, type DependencyGraph, sortGraph } from './dependency-graph.ts'

const graph = (needs: Record<string, readonly string[]>): DependencyGraph => new Map(Object.entries(needs))

test('each comes after everything it needs, otherwise in the order given', () => {
  expect(sortGraph(graph({ web: ['db', 'cache'], db: [], cache: ['db'], mail: [] }))).toEqual({
    kind: 'order',
    order: ['db', 'mail', 'cache', 'web'],
  })
})

test('a cycle is told as the way round, without what only leads to it', () => {
  expect(sortGraph(graph({ before: ['a'], a: ['b'], b: ['c'], c: ['b'] }))).toEqual({
    kind: 'cycle',
    cycle: ['b', 'c'],
  })
})

test('two cycles are both told, and one that needs itself is a cycle of one', () => {
  expect(cyclesOf(graph({ a: ['b'], b: ['a'], c: ['c'], d: ['a'] }))).toEqual([['a', 'b'], ['c']])
})

test('a chain of twenty thousand is sorted without running out of stack', () => {
  const chain = new Map(
    Array.from({ length: 20_000 }, (_, index) => [`${index}`, index === 0 ? [] : [`${index - 1}`]]),
  )
  const sorted = sortGraph(chain)
  expect(sorted.kind === 'order' && sorted.order.at(-1)).toBe('19999')
})

const anyGraph = fc.array(fc.tuple(fc.nat(9), fc.nat(9)), { maxLength: 25 }).map((pairs): DependencyGraph => {
  const needs = Array.from({ length: 10 }, (_, index) => [`${index}`, [] as string[]] as const)
  for (const [one, other] of pairs) needs[one]?.[1].push(`${other}`)
  return new Map(needs)
})

test('any graph gives either an order that keeps every need, or a cycle whose needs are all there', () => {
  fc.assert(
    fc.property(anyGraph, (needs) => {
      const sorted = sortGraph(needs)
      if (sorted.kind === 'order') {
        expect(new Set(sorted.order)).toEqual(new Set(needs.keys()))
        for (const [node, before] of needs)
          for (const need of before)
            expect(sorted.order.indexOf(need)).toBeLessThan(sorted.order.indexOf(node))
        expect(cyclesOf(needs)).toEqual([])
      } else {
        for (const cycle of cyclesOf(needs))
          cycle.forEach((node, index) => {
            expect(needs.get(node)).toContain(cycle[(index + 1) % cycle.length])
          })
        expect(cyclesOf(needs)[0]).toEqual(sorted.cycle)
      }
    }),
  )
})
