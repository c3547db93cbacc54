import { expect, test } from 'vitest'
import type { DiskKey, MachineDisk, MachineHardware } from '../machines/machine.ts'
import type { SiteId } from '../sites/site.ts'
import { changesSinceTest, type TestedMachine } from './tested-machine.ts'

const disk = (key: string, bytes = 2 ** 30): MachineDisk => ({
  key: key as DiskKey,
  label: key,
  bytes,
  format: 'raw',
  bus: 'virtio',
  boot: false,
})
const hardware: MachineHardware = {
  cpus: 2,
  memoryBytes: 2 ** 30,
  firmware: 'bios',
  disks: [disk('vda'), disk('vdb')],
  adapters: [{ key: 'net0', macAddress: '', networkId: 'lan', model: 'virtio' }],
}
const tested: TestedMachine = {
  hardware,
  excludedDisks: [],
  adapters: [{ adapterKey: 'net0', failoverNetworkId: 'lan', testNetworkId: 'isolated' }],
  targetSiteId: 'b' as SiteId,
}
const other = (change: Partial<MachineHardware>): Partial<TestedMachine> => ({
  hardware: { ...hardware, ...change },
})

test.each([
  ['nothing', {}, []],
  ['its processors', other({ cpus: 4 }), ['4 CPUs instead of 2']],
  ['its memory', other({ memoryBytes: 2 ** 31 }), ['2.0 GiB memory instead of 1.0 GiB']],
  ['its firmware', other({ firmware: 'uefi' }), ['firmware uefi instead of bios']],
  [
    'a disk that grew',
    other({ disks: [disk('vda', 2 ** 31), disk('vdb')] }),
    ['disk vda has 2.0 GiB instead of 1.0 GiB'],
  ],
  ['a new disk', other({ disks: [...hardware.disks, disk('vdc')] }), ['disk vdc added']],
  ['a disk left out', { excludedDisks: ['vdb' as DiskKey] }, ['disk vdb left out']],
  ['no adapter', other({ adapters: [] }), ['network adapter net0 removed']],
  [
    'another network',
    { adapters: [{ adapterKey: 'net0', failoverNetworkId: 'wan', testNetworkId: 'isolated' }] },
    ['network adapter net0 has other networks'],
  ],
  ['another target', { targetSiteId: 'c' as SiteId }, ['it is replicated to another site']],
] as const)('changed since the test: %s', (_words, change, expected) => {
  expect(changesSinceTest(tested, { ...tested, ...(change as Partial<TestedMachine>) })).toEqual(expected)
})

test('the order of disks and adapters says nothing', () => {
  const turned = { ...hardware, disks: hardware.disks.toReversed() }
  expect(changesSinceTest(tested, { ...tested, hardware: turned })).toEqual([])
})
