import { expect, test } from 'vitest'
import { missingRightsIn, nameRights } from './missing-right.ts'

const right = (name: string) => ({ right: name, scope: 'the subscription', purpose: 'to look' })

test('a sentence names the first rights and counts the others', () => {
  expect(nameRights([right('a')])).toBe('a in the subscription')
  expect(nameRights(['a', 'b', 'c', 'd', 'e'].map(right))).toBe(
    'a in the subscription, b in the subscription, c in the subscription and 2 more',
  )
})

test('facts that are something else are no rights', () => {
  expect(missingRightsIn({ missingRights: [right('a'), { right: 'b' }, 'c', null] })).toEqual([right('a')])
  expect(missingRightsIn({ missing: ['a'] })).toEqual([])
})
