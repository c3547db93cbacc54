import { expect, test } from 'vitest'
import type { SiteNetwork } from '../networks.ts'
import { mergeNetworks, NOWHERE, parseNetwork } from './libvirt-networks.ts'

const network = (id: string, more: Partial<SiteNetwork> = {}): SiteNetwork => ({
  id,
  name: id,
  kind: 'bridge',
  bridge: id,
  isolated: false,
  probePorts: [],
  ...more,
})

test.each([
  ["<forward mode='nat'/><bridge name='virbr0'/>", false],
  ["<forward mode='bridge'/><bridge name='br0'/>", false],
  ["<bridge name='virbr1'/><ip address='192.0.2.1' netmask='255.255.255.0'/>", true],
])('a network with %s is isolated: %s', (inside, isolated) => {
  const found = parseNetwork(`<network><name>lan</name>${inside}</network>`, true)
  expect(found).toMatchObject({
    name: 'lan',
    network: { id: 'lan', bridge: 'lan', isolated, managedByLibvirt: true },
  })
})

test('what the operator has named comes first and is listed once, and one that reaches nobody is always there', () => {
  const named = [network('prod', { bridge: 'br0' }), network('lan', { name: 'Mine' })]
  const ofLibvirt = network('lan', { managedByLibvirt: true })
  const merged = mergeNetworks(named, [ofLibvirt, network('br0'), network('br1'), network('br1')])
  expect(merged.map(({ id, name }) => [id, name])).toEqual([
    ['prod', 'prod'],
    ['lan', 'Mine'],
    ['br1', 'br1'],
    [NOWHERE.id, NOWHERE.name],
  ])
  expect(NOWHERE.isolated).toBe(true)
})

test('a network of libvirt and a bridge of the host are two, though they have one name', () => {
  const merged = mergeNetworks(
    [network('a', { bridge: 'lan' })],
    [network('lan', { managedByLibvirt: true })],
  )
  expect(merged.map(({ id }) => id)).toEqual(['a', 'lan', NOWHERE.id])
})

test('text that is no network is none', () => {
  expect(parseNetwork('', false)).toBeNull()
})
