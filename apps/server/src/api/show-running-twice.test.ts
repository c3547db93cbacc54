import type { ProtectionId } from '@understudy/domain/protection/protection'
import { expect, test } from 'vitest'
import { splitConfirmed } from './show-running-twice.ts'

const life = (id: string) => ({ protectionId: id as ProtectionId })
const ids = (...all: readonly string[]) => all as readonly ProtectionId[]

test('of the machines that run twice only those are switched off that somebody has confirmed', () => {
  const lives = [life('db'), life('web')]
  expect(splitConfirmed(lives, ids('db'))).toEqual({ found: [life('db')], gone: [] })
})

test('one that was confirmed and does not run twice any more is told once', () => {
  expect(splitConfirmed([life('web')], ids('db', 'web', 'db'))).toEqual({
    found: [life('web')],
    gone: ['db'],
  })
})
