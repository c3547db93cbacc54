import { MiB } from '@understudy/base/bytes'
import { expect, test } from 'vitest'
import type { DiskKey, MachineHardware } from '../machines/machine.ts'
import { policyChanges, protectionChanges, wordsOfChanges } from './changes.ts'
import { defaultPolicySettings, type Policy, type PolicyId } from './policy.ts'

const disk = (key: string, label: string) => ({
  key: key as DiskKey,
  label,
  bytes: MiB,
  format: 'raw',
  bus: 'virtio',
  boot: false,
})
const hardware: MachineHardware = {
  cpus: 1,
  memoryBytes: MiB,
  firmware: 'bios',
  disks: [disk('vda-7f3', 'Disk 1'), disk('vdb-9c1', 'Disk 2')],
  adapters: [{ key: 'net-52:54', macAddress: '52:54', networkId: null, model: 'virtio' }],
}
const network = (id: string, name: string) => ({ id, name, isolated: false, description: '' })
const around = { hardware, networks: [network('nw-1', 'Office'), network('nw-2', 'Bubble')] }
const mapped = (failoverNetworkId: string | null) => [
  { adapterKey: 'net-52:54', failoverNetworkId, testNetworkId: 'nw-2' },
]
const before = { name: 'lab-db', policyName: 'gold', excludedDisks: [], adapters: mapped('nw-1') }

test('an edit is told from what to what, by names and never by ids', () => {
  const after = {
    ...before,
    policyName: 'silver',
    excludedDisks: ['vdb-9c1' as DiskKey],
    adapters: mapped('nw-2'),
  }
  expect(wordsOfChanges(protectionChanges(before, after, around))).toBe(
    'policy from "gold" to "silver"; excluded disks from none to Disk 2; failover network of adapter 1 from "Office" to "Bubble"',
  )
})

test('an edit that changes nothing says so', () => {
  expect(wordsOfChanges(protectionChanges(before, { ...before }, around))).toBe(
    'nothing is other than it was',
  )
})

test('every setting of a policy that is changed is told with its former value', () => {
  const gold: Policy = { ...defaultPolicySettings, id: 'gold' as PolicyId, name: 'gold' }
  const changed: Policy = {
    id: gold.id,
    name: 'vault',
    intervalSeconds: 60,
    lagTargetSeconds: 300,
    applicationConsistentEverySeconds: 0,
    retention: [{ everySeconds: 0, forSeconds: 3600 }],
    compress: false,
    encrypt: true,
    priority: 9,
    rateLimitBytesPerSecond: 10 * MiB,
    commitTimeoutSeconds: 600,
    uncommittedAction: 'roll-back',
  }
  const changes = policyChanges(gold, changed)
  expect(changes).toHaveLength(Object.keys(defaultPolicySettings).length + 1)
  expect(changes).toContainEqual({ what: 'interval', from: '5 s', to: '60 s' })
  expect(changes).toContainEqual({
    what: 'retention',
    from: '"all for 3600 s, then every 300 s for 86400 s, then every 3600 s for 259200 s"',
    to: '"all for 3600 s"',
  })
  expect(policyChanges(gold, { ...gold })).toEqual([])
})
