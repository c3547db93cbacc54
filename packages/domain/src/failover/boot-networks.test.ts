import { expect, test } from 'vitest'
import { chooseBootNetworks } from './boot-networks.ts'

const adapters = [
  { adapterKey: 'net0', failoverNetworkId: 'lan', testNetworkId: 'lab' },
  { adapterKey: 'net1', failoverNetworkId: 'lan', testNetworkId: null },
]
const networks = [
  { id: 'lan', name: 'LAN', isolated: false, description: '' },
  { id: 'lab', name: 'Lab', isolated: true, description: '' },
]
const request = { mode: 'test' as const, adapters, networks, allowOpenNetworks: false }

test('a failover uses the failover networks and a test the test networks; an unmapped adapter stays unplugged', () => {
  expect([...chooseBootNetworks({ ...request, mode: 'failover' })]).toEqual([
    ['net0', 'lan'],
    ['net1', 'lan'],
  ])
  expect([...chooseBootNetworks(request)]).toEqual([['net0', 'lab']])
})

test('a test is never plugged into a network that is not isolated, unless the operator insists', () => {
  const open = [{ adapterKey: 'net0', failoverNetworkId: 'lan', testNetworkId: 'lan' }]
  expect(() => chooseBootNetworks({ ...request, adapters: open })).toThrow('not isolated')
  expect(chooseBootNetworks({ ...request, adapters: open, allowOpenNetworks: true }).get('net0')).toBe('lan')
})

test('a network that has gone is a refusal that names it, not an unplugged adapter', () => {
  expect(() => chooseBootNetworks({ ...request, networks: [] })).toThrow('"lab" does not exist')
})
