import { expect, test } from 'vitest'
import { readAddress, showAddress } from './address-text.ts'

test.each([
  ['10.1.2.3/24', { method: 'static', prefix: '10.1.2.3/24', gateway: null, nameServers: [] }],
  ['10.1.2.3/24 10.1.2.1', { method: 'static', prefix: '10.1.2.3/24', gateway: '10.1.2.1', nameServers: [] }],
  [
    '10.1.2.3/8 - 10.1.2.2 9.9.9.9',
    { method: 'static', prefix: '10.1.2.3/8', gateway: null, nameServers: ['10.1.2.2', '9.9.9.9'] },
  ],
])('%s is understood, and shown as it was typed', (text, address) => {
  expect(readAddress(text)).toEqual(address)
  expect(showAddress(readAddress(text) ?? undefined)).toBe(text)
})

test('nothing typed means that it asks for its address', () => {
  expect(readAddress('  ')).toBeUndefined()
  expect(showAddress(undefined)).toBe('')
  expect(showAddress({ method: 'dhcp' })).toBe('')
})

test.each([
  '10.1.2.3',
  '10.1.2.3/33',
  '256.1.1.1/8',
  '10.1.2.3/24 x',
  '10.1.2.3/24 - 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1',
])('%s is not understood', (text) => expect(readAddress(text)).toBeNull())
