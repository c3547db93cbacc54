import { describe, expect, it } from 'vitest'
import { pointsOf, sharedStarts } from './bulk-points.ts'

const cut = {
  cut: 'c',
  instant: '2026-03-01T12:00:00.000Z',
  consistency: 'crash' as const,
  pauseMilliseconds: 3,
  members: [],
}
const groups = [
  { id: 'g1', name: 'Shop', newestWholeCut: cut },
  { id: 'g2', name: 'Mail', newestWholeCut: null },
  { id: 'g3', name: 'Alone', newestWholeCut: cut },
]
const target = (name: string, groupId: string | null) => ({ id: `m-${name}`, name, groupId })
const targets = [
  target('db', 'g1'),
  target('web', 'g1'),
  target('mail', 'g2'),
  target('spam', 'g2'),
  target('log', 'g3'),
  target('loose', null),
]

describe('machines that are tested together from the list', () => {
  it('start from the newest instant of their group, where it has one; alone, from their own newest point', () => {
    const at = { kind: 'at', instant: cut.instant }
    expect([...pointsOf(targets, groups)]).toEqual([
      ['m-db', at],
      ['m-web', at],
    ])
  })
  it('are told which start from one instant, and which cannot', () => {
    expect(sharedStarts(targets, groups)).toEqual([
      { group: 'Shop', machines: ['db', 'web'], instant: cut.instant },
      { group: 'Mail', machines: ['mail', 'spam'], instant: null },
    ])
  })
})
