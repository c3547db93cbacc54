import { describe, expect, test } from 'vitest'
import { type CopySight, mayBeKept, sightOfCopy, titleOfDecision } from './copy-sight.ts'

const run = { answeredAt: '2026-11-30T10:00:00.000Z' }
const site = { health: 'healthy', checkedAt: '2026-11-30T10:05:00.000Z', canBeSource: true } as const
const copy = { power: 'running', present: true } as const

describe('what is known of a copy that was failed over to', () => {
  test.each<[string, Parameters<typeof sightOfCopy>[0], CopySight]>([
    ['it is seen on', { run, site, copy }, 'runs'],
    [
      'its site does not answer, whatever was read before',
      { run, site: { ...site, health: 'unreachable' }, copy },
      'silent-site',
    ],
    ['it is seen off', { run, site, copy: { ...copy, power: 'off' } }, 'off'],
    ['it is not in an inventory that was read after it had answered', { run, site, copy: null }, 'missing'],
    ['it has gone from the inventory', { run, site, copy: { ...copy, present: false } }, 'missing'],
    [
      'the inventory is older than the copy',
      { run, site: { ...site, checkedAt: '2026-11-30T09:59:00.000Z' }, copy: null },
      'not-asked',
    ],
    ['it has not answered yet', { run: { answeredAt: null }, site, copy: null }, 'not-asked'],
    [
      'its site tells nobody of its machines',
      { run, site: { ...site, canBeSource: false }, copy: null },
      'runs',
    ],
    ['nothing is loaded yet', { run, site: undefined, copy: undefined }, 'runs'],
  ])('%s', (_, known, sight) => {
    expect(sightOfCopy(known)).toBe(sight)
  })

  test('only one that nothing speaks against is called running, and offered to be kept first', () => {
    const machine = {
      name: 'web',
      target: { id: 'b', name: 'Azure', platform: 'azure', emulated: false, runsMachines: true },
    }
    const sights: readonly CopySight[] = ['runs', 'not-asked', 'silent-site', 'off', 'missing']
    expect(sights.map((sight) => [mayBeKept(sight), titleOfDecision(machine, sight)])).toEqual([
      [true, 'web runs at Azure: keep it, or go back?'],
      [true, 'web runs at Azure: keep it, or go back?'],
      [false, 'web was failed over to Azure, which does not answer: keep it, or go back?'],
      [false, 'web was failed over to Azure and is off there: keep it, or go back?'],
      [false, 'web was failed over to Azure and is not found there: keep it, or go back?'],
    ])
  })
})
