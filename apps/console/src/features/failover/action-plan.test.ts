import { type AllowedAction, ProtectionAction } from '@understudy/contract/protection'
import { describe, expect, test } from 'vitest'
import { arrangeActions, asksForName } from './action-plan.ts'

const actions = (...allowed: readonly ProtectionAction[]): AllowedAction[] =>
  ProtectionAction.options.map((action) => ({
    action,
    allowed: allowed.includes(action),
    reason: allowed.includes(action) ? null : 'not now',
    remedy: allowed.includes(action) ? null : 'Wait.',
  }))
const namesOf = (list: readonly AllowedAction[]): string[] => list.map(({ action }) => action)

describe('the buttons of a machine', () => {
  test.each([
    ['protected', actions('test-failover', 'planned-failover', 'unplanned-failover', 'pause')],
    ['with a test up', actions('clean-up-test', 'unplanned-failover')],
    ['failed over', actions('commit', 'change-point', 'roll-back')],
    ['failed over with a test up', actions('commit', 'change-point', 'roll-back', 'clean-up-test')],
    ['committed', actions('reprotect')],
    ['reversed', actions('test-failover', 'planned-failover', 'unplanned-failover', 'fail-back')],
    ['busy', actions()],
  ])('%s: every action of the server is drawn exactly once', (_, list) => {
    const { buttons, more } = arrangeActions(list)
    expect([...namesOf(buttons), ...namesOf(more)].sort()).toEqual([...namesOf(list)].sort())
  })
  test('after a failover the buttons are the decision about it', () => {
    const { buttons } = arrangeActions(actions('commit', 'change-point', 'roll-back'))
    expect(namesOf(buttons)).toEqual(['commit', 'change-point', 'roll-back'])
  })
  test('a test that is up is cleaned up where it was started', () => {
    const { buttons } = arrangeActions(actions('clean-up-test', 'unplanned-failover'))
    expect(namesOf(buttons)).toEqual(['clean-up-test', 'planned-failover', 'unplanned-failover'])
  })
})

describe('typing the name', () => {
  test.each(['running', 'paused', 'unknown', 'unreachable', null] as const)(
    'an unplanned failover asks for it while the source is %s',
    (power) => {
      expect(asksForName('unplanned-failover', power)).toBe(true)
    },
  )
  test('a source that is known to be off needs no typing', () => {
    expect(asksForName('unplanned-failover', 'off')).toBe(false)
  })
  test('a test and a planned failover are one click; ending is not', () => {
    expect(asksForName('test-failover', 'running')).toBe(false)
    expect(asksForName('planned-failover', 'running')).toBe(false)
    expect(asksForName('end', 'off')).toBe(true)
  })
})
