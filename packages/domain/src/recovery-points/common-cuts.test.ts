import { describe, expect, test } from 'vitest'
import type { GroupId } from '../protection/protection.ts'
import { chooseCut, commonCuts, sharesOf } from './common-cuts.ts'
import type { Consistency, CutId, PointId } from './recovery-point.ts'

const id = 'g1' as GroupId
let points = 0
/** A number is a cut at that instant; a negative one a point taken alone. */
const machine = (...instants: readonly number[]) =>
  instants.map((instant) => {
    points += 1
    return {
      id: `point-${points}` as PointId,
      instant: Math.abs(instant),
      consistency: (instant % 10 === 0 ? 'application' : 'crash') as Consistency,
      ...(instant < 0 ? {} : { group: { id, cut: `cut-${instant}` as CutId } }),
    }
  })
const instantsOf = (...machines: readonly ReturnType<typeof machine>[]) =>
  commonCuts(machines).map(({ instant }) => instant)

describe('the instants that machines have in common', () => {
  test('are those that are sealed in every one of them', () => {
    expect(instantsOf(machine(1, 2, 3), machine(2, 3, 4), machine(1, 3))).toEqual([3])
  })
  test('do not count points that only happen to be of one instant', () => {
    expect(instantsOf(machine(1, -2), machine(1, -2))).toEqual([1])
    const other = machine(5).map((point) => ({ ...point, group: { id, cut: 'another' as CutId } }))
    expect(instantsOf(machine(5), other)).toEqual([])
  })
  test('a machine without points has none with others, and none are there without machines', () => {
    expect(instantsOf(machine(1), machine())).toEqual([])
    expect(instantsOf()).toEqual([])
  })
  test('name the point of each machine, in the order in which they were given', () => {
    const [a, b] = [machine(1, 2), machine(-1, 2)]
    expect(commonCuts([b, a]).map((cut) => cut.points)).toEqual([[b[1]?.id, a[1]?.id]])
  })
})

test('the cut that is chosen is the newest, the newest application-consistent one, or one not younger than an instant', () => {
  const cuts = commonCuts([machine(10, 15, 20, 25)])
  const instant = (choice: Parameters<typeof chooseCut>[1]) => chooseCut(cuts, choice)?.instant
  expect(instant({ kind: 'latest' })).toBe(25)
  expect(instant({ kind: 'latest-application-consistent' })).toBe(20)
  expect(instant({ kind: 'at', instant: 19 })).toBe(15)
  expect(instant({ kind: 'at', instant: 20 })).toBe(20)
  expect(chooseCut(cuts, { kind: 'at', instant: 9 })).toBeNull()
  expect(chooseCut([], { kind: 'latest' })).toBeNull()
})

test('retention hears how many machines have each cut', () => {
  const shares = sharesOf([machine(1, 2, -3), machine(2), machine(2, 1)])
  expect([...shares].sort()).toEqual([
    ['cut-1', 2],
    ['cut-2', 3],
  ])
})
