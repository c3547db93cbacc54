import type { PlanFinding } from '@understudy/contract/recovery-plan'
import { describe, expect, it } from 'vitest'
import { pointOf } from './point-draft.ts'
import { bodyOf, dryBodyOf, knownToBeDown, newDraft, placeFindings, withValue } from './start-draft.ts'

describe('what is sent to start a plan', () => {
  it('has no options of another kind of run', () => {
    const draft = { ...newDraft('planned'), acceptUnfenced: true, allowOpenNetworks: true }
    expect(bodyOf(draft)).toMatchObject({
      acceptUnfenced: false,
      allowOpenNetworks: false,
      cleanUp: 'by-hand',
      point: { kind: 'latest' },
    })
    expect(bodyOf({ ...draft, kind: 'unplanned' })).toMatchObject({ acceptUnfenced: true })
    expect(bodyOf(newDraft('test'))).toMatchObject({ cleanUp: 'when-done' })
  })
  it('waits for the instant that was announced', () => {
    const draft = { ...newDraft('test'), point: { kind: 'at', localTime: '' } as const }
    expect(bodyOf(draft)).toBeNull()
    const instant = pointOf({ kind: 'at', localTime: '2026-03-01T02:00:05' })
    expect(instant).toEqual({ kind: 'at', instant: new Date('2026-03-01T02:00:05').toISOString() })
  })
  it('leaves an emptied field to the default of the plan', () => {
    const filled = withValue(newDraft('test'), 'ticket', 'A-1')
    expect(bodyOf(filled)?.parameters).toEqual({ ticket: 'A-1' })
    expect(bodyOf(withValue(filled, 'ticket', ''))?.parameters).toEqual({})
    expect(bodyOf(withValue(filled, 'notify', false))?.parameters).toEqual({ ticket: 'A-1', notify: false })
  })
  it('keeps secrets out of what is only looked at beforehand', () => {
    const secret = {
      name: 'key',
      description: '',
      type: 'secret',
      choices: [],
      default: null,
      asked: true,
    } as const
    const draft = withValue(newDraft('test'), 'key', 'very secret')
    expect(JSON.stringify(dryBodyOf(draft, [{ ...secret, choices: [] }]))).not.toContain('very secret')
    expect(bodyOf(draft)?.parameters).toEqual({ key: 'very secret' })
  })
})

describe('findings before a run', () => {
  const finding = (at: PlanFinding['at'], level: PlanFinding['level'] = 'warning'): PlanFinding => ({
    at,
    level,
    code: 'x/y',
    message: 'm',
    remedy: 'r',
  })
  it('stand beside what they are about, blockers first', () => {
    const placed = placeFindings(
      [
        finding({ kind: 'item', id: 'one' }),
        finding({ kind: 'item', id: 'two' }, 'blocker'),
        finding({ kind: 'parameter', name: 'key' }, 'blocker'),
        finding({ kind: 'parameter', name: 'hidden' }),
        finding({ kind: 'plan' }),
      ],
      { asked: ['key'], nameOf: (id) => id.toUpperCase() },
    )
    expect(placed.places.map(({ name }) => name)).toEqual(['TWO', 'ONE'])
    expect([...placed.parameters.keys()]).toEqual(['key'])
    expect(placed.plan).toHaveLength(2)
    expect(placed.blockers).toBe(2)
  })
})

describe('whether the name has to be typed', () => {
  const members = [
    { machineId: 'a', siteId: 'north' },
    { machineId: 'b', siteId: 'north' },
  ]
  const seen = { offMachines: new Set(['a', 'b']), healthySites: new Set(['north']) }
  it('not when every machine is seen to be off at a site that answers', () => {
    expect(knownToBeDown(members, seen)).toBe(true)
  })
  it('when one may run, when its site does not answer, and when nothing is known', () => {
    expect(knownToBeDown(members, { ...seen, offMachines: new Set(['a']) })).toBe(false)
    expect(knownToBeDown(members, { ...seen, healthySites: new Set() })).toBe(false)
    expect(knownToBeDown([], seen)).toBe(false)
  })
})
