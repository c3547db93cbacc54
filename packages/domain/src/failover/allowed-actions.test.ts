import { expect, test } from 'vitest'
import { protectionLife } from '../protection/protection.ts'
import { type ActionFacts, allowedActions } from './allowed-actions.ts'

const endOf = (state: ActionFacts['protection']['state'], busyWith: string | null = null) =>
  allowedActions({
    protection: { state, direction: 'forward', originalRef: null },
    hasPoint: true,
    test: null,
    busyWith,
  }).find(({ action }) => action === 'end')

test('a protection can be ended in every state but when it has ended', () => {
  for (const state of protectionLife.states) expect(endOf(state)?.allowed, state).toBe(state !== 'gone')
})

test('an end that stopped early can be begun again, one that is at work cannot', () => {
  expect(endOf('ending')?.allowed).toBe(true)
  expect(endOf('ending', 'End protection')?.reason).toBe('It is already ending')
  expect(endOf('protected', 'Planned failover')?.allowed).toBe(true)
})
