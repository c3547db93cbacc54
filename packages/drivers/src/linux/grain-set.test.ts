import { describe, expect, test } from 'vitest'
import { GRAIN_BYTES, grainSet } from './grain-set.ts'

describe('a set of grains', () => {
  test('grows what it is given to grains, joins neighbours and forgets nothing', () => {
    const set = grainSet(100 * GRAIN_BYTES)
    for (const [offset, bytes] of [
      [5 * GRAIN_BYTES - 1, 2],
      [20 * GRAIN_BYTES, GRAIN_BYTES],
      [19 * GRAIN_BYTES + 7, 1],
      [63 * GRAIN_BYTES, 10 * GRAIN_BYTES],
    ] as const)
      set.add({ offset, bytes })
    expect(set.extents()).toEqual([
      { offset: 4 * GRAIN_BYTES, bytes: 2 * GRAIN_BYTES },
      { offset: 19 * GRAIN_BYTES, bytes: 2 * GRAIN_BYTES },
      { offset: 63 * GRAIN_BYTES, bytes: 10 * GRAIN_BYTES },
    ])
    expect(set.changedBytes).toBe(14 * GRAIN_BYTES)
  })

  test('equals a plain list of flags, whatever comes', () => {
    const grains = 203
    const set = grainSet(grains * GRAIN_BYTES)
    const flags = Array.from({ length: grains }, () => false)
    let state = 7
    const next = (below: number): number => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31
      return state % below
    }
    for (let turn = 0; turn < 60; turn += 1) {
      const [first, count] = [next(grains), 1 + next(4)]
      set.add({ offset: first * GRAIN_BYTES, bytes: count * GRAIN_BYTES })
      flags.fill(true, first, Math.min(grains, first + count))
      const found = set
        .extents()
        .flatMap(({ offset, bytes }) =>
          Array.from({ length: bytes / GRAIN_BYTES }, (_, index) => offset / GRAIN_BYTES + index),
        )
      expect(found).toEqual([...flags.keys()].filter((grain) => flags[grain]))
    }
  })

  test('ends with the disk, which need not end with a grain', () => {
    const set = grainSet(GRAIN_BYTES + 512)
    set.add({ offset: GRAIN_BYTES, bytes: 10 * GRAIN_BYTES })
    expect(set.extents()).toEqual([{ offset: GRAIN_BYTES, bytes: 512 }])
  })
})

test('gaps are whole grains in which nothing was added, and lie wholly within', () => {
  const set = grainSet(10 * GRAIN_BYTES + 512)
  set.add({ offset: 3 * GRAIN_BYTES + 1, bytes: 1 })
  set.add({ offset: 6 * GRAIN_BYTES, bytes: 2 * GRAIN_BYTES })
  expect([...set.gaps({ offset: 1, bytes: 20 * GRAIN_BYTES })]).toEqual([
    { offset: GRAIN_BYTES, bytes: 2 * GRAIN_BYTES },
    { offset: 4 * GRAIN_BYTES, bytes: 2 * GRAIN_BYTES },
    { offset: 8 * GRAIN_BYTES, bytes: 2 * GRAIN_BYTES },
  ])
  expect([...set.gaps({ offset: 6 * GRAIN_BYTES, bytes: 2 * GRAIN_BYTES })]).toEqual([])
})
