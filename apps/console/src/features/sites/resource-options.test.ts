import { expect, test } from 'vitest'
import { choicesOf, chosenOf, listedAs, ofSubscription, withSet } from './resource-options.ts'

const id = (name: string, subscription = 's') => `/subscriptions/${subscription}/groups/${name}`
const group = (name: string, subscription?: string) => ({
  kind: 'security-group' as const,
  id: id(name, subscription),
  name,
  note: 'net',
})
const options = choicesOf(
  [group('web'), { kind: 'zone', id: '1', name: 'Zone 1', note: '' }, group('far', 'other')],
  'security-group',
)

test('of each kind its own are offered, told apart by where they lie', () => {
  expect(options.map(({ label }) => label)).toEqual(['web (net)', 'far (net)'])
})

test('what lies in another subscription than the form names is not offered', () => {
  expect(ofSubscription(options, ' S ').map(({ label }) => label)).toEqual(['web (net)'])
  expect(ofSubscription(options, '')).toEqual([])
})

test('an id that is spelt in another way is the same thing', () => {
  expect(listedAs(options, id('web').toUpperCase())).toBe(id('web'))
  expect(listedAs(options, id('we'))).toBeNull()
})

test('what is set and not listed is shown, and said to be so', () => {
  expect(withSet(options, [id('WEB'), id('gone')]).slice(2)).toEqual([
    { value: id('gone'), label: 'gone (not in the list)' },
  ])
})

test('what is chosen is there once, by the name in the list', () => {
  expect(chosenOf(options, [id('WEB'), id('web'), id('gone')]).map(({ label }) => label)).toEqual([
    'web (net)',
    'gone (not in the list)',
  ])
})
