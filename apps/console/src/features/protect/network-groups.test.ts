import type { Machine } from '@understudy/contract/machine'
import { describe, expect, test } from 'vitest'
import { chosenAdapters, groupNetworks, mapAdapters } from './network-groups.ts'

const machine = (id: string, networks: readonly (string | null)[]): Machine => ({
  id,
  siteId: 's',
  siteName: 'S',
  name: id,
  host: 'h',
  power: 'running',
  hardware: {
    cpus: 1,
    memoryBytes: 1,
    firmware: 'bios',
    disks: [],
    adapters: networks.map((networkId, index) => ({
      key: `nic${index}`,
      macAddress: '52:54:00:00:00:01',
      networkId,
      model: 'virtio-net-pci',
    })),
  },
  guestAgent: true,
  present: true,
  seenAt: '2026-03-01T12:00:00Z',
  simulated: false,
  protectionId: null,
  runId: null,
})
const web = machine('web', ['lan', 'storage'])
const db = machine('db', ['lan', null])
const suggested = {
  web: [
    { adapterKey: 'nic0', failoverNetworkId: 'dr-lan', testNetworkId: 'bubble' },
    { adapterKey: 'nic1', failoverNetworkId: null, testNetworkId: 'bubble' },
  ],
  db: [{ adapterKey: 'nic0', failoverNetworkId: 'dr-lan', testNetworkId: 'bubble' }],
}

describe('networks of many machines', () => {
  test('one row for each network of the source, with the suggestion of the server', () => {
    expect(groupNetworks([web, db], suggested)).toEqual([
      {
        sourceNetworkId: 'lan',
        failoverNetworkId: 'dr-lan',
        testNetworkId: 'bubble',
        adapters: 2,
        machines: 2,
      },
      {
        sourceNetworkId: 'storage',
        failoverNetworkId: null,
        testNetworkId: 'bubble',
        adapters: 1,
        machines: 1,
      },
      { sourceNetworkId: '', failoverNetworkId: null, testNetworkId: null, adapters: 1, machines: 1 },
    ])
  })
  test('a choice for a network holds for every adapter on it and for no other', () => {
    const chosen = { lan: { failoverNetworkId: 'other', testNetworkId: null } }
    expect(mapAdapters(web, suggested, chosen)).toEqual([
      { adapterKey: 'nic0', failoverNetworkId: 'other', testNetworkId: null },
      { adapterKey: 'nic1', failoverNetworkId: null, testNetworkId: 'bubble' },
    ])
  })
  test('only what was chosen is sent to be looked at, machine by machine', () => {
    const chosen = { storage: { failoverNetworkId: 'other', testNetworkId: null } }
    expect(chosenAdapters([web, db], chosen)).toEqual({
      web: [{ adapterKey: 'nic1', failoverNetworkId: 'other', testNetworkId: null }],
    })
  })
  test('without suggestion and choice an adapter is connected to nothing', () => {
    expect(mapAdapters(db, {}, {})).toEqual([
      { adapterKey: 'nic0', failoverNetworkId: null, testNetworkId: null },
      { adapterKey: 'nic1', failoverNetworkId: null, testNetworkId: null },
    ])
  })
})
