import { GiB, TiB } from '@understudy/base/bytes'
import type { DiskKey, Finding, MachineHardware } from '@understudy/domain/machines/machine'
import type { MachineSpec } from '@understudy/engine/ports/target-platform'
import { expect, test } from 'vitest'
import { skus } from './double/compute-rules.ts'
import { emulatedSettings } from './double/emulated-azure.ts'
import { type PreflightFacts, preflightFindings, sizeFor, usableSizes } from './preflight.ts'
import { OWN_NETWORK, type SiteSubnet } from './site-networks.ts'
import { storageRegionFindings } from './storage-region.ts'

const subnet = (change: Partial<SiteSubnet> = {}): SiteSubnet => ({
  id: '/subscriptions/s/resourceGroups/networks/providers/Microsoft.Network/virtualNetworks/lan/subnets/web',
  name: 'lan/web',
  networkId: '/subscriptions/s/resourceGroups/networks/providers/Microsoft.Network/virtualNetworks/lan',
  prefixes: ['10.1.1.0/24'],
  freeAddresses: 200,
  isolated: false,
  ...change,
})
const disk = (change: object = {}): MachineHardware['disks'][number] => ({
  key: 'disk0' as DiskKey,
  label: 'vda',
  bytes: 10 * GiB,
  format: 'raw',
  bus: 'virtio',
  boot: true,
  ...change,
})
const spec = (change: Partial<MachineHardware> = {}, more: Partial<MachineSpec> = {}): MachineSpec => ({
  name: 'web',
  mode: 'failover',
  hardware: {
    cpus: 1,
    memoryBytes: GiB,
    firmware: 'bios',
    disks: [disk()],
    adapters: [{ key: 'net0', macAddress: '52:54:00:00:00:01', networkId: null, model: 'virtio' }],
    ...change,
  },
  networks: new Map([['net0', subnet().id]]),
  trackingId: null,
  ...more,
})
const facts = (change: Partial<PreflightFacts> = {}): PreflightFacts => ({
  settings: emulatedSettings,
  subnets: [subnet()],
  skus: skus('westeurope'),
  usages: [],
  machineNames: [],
  takenAddresses: new Set(),
  ...change,
})
const codes = (findings: readonly Finding[]): readonly string[] =>
  findings.map(({ level, code }) => `${level} ${code}`)
const judge = (one: MachineSpec, more: Partial<PreflightFacts> = {}) =>
  codes(preflightFindings(one, facts(more)))
const withRule = (address: string): Partial<PreflightFacts> => ({
  settings: {
    ...emulatedSettings,
    adapters: [{ macAddress: '52:54:00:00:00:01', mode: 'failover', address }],
  },
})

test('a sound machine has nothing against it', () => {
  expect(judge(spec())).toEqual([])
})

test.each<[string, MachineSpec, Partial<PreflightFacts>, string[]]>([
  ['a network that has gone', spec(), { subnets: [] }, ['blocker network/not-found']],
  ['a subnet without room', spec(), { subnets: [subnet({ freeAddresses: 0 })] }, ['blocker network/full']],
  ['a test in an open network', spec({}, { mode: 'test' }), {}, ['warning network/not-isolated']],
  [
    'a test in its own network',
    spec({}, { mode: 'test', networks: new Map([['net0', OWN_NETWORK]]) }),
    {},
    [],
  ],
  ['an adapter without a network', spec({}, { networks: new Map() }), {}, ['warning azure/adapter-left-out']],
  [
    'a fixed address outside of the subnet',
    spec(),
    withRule('10.1.2.10'),
    ['blocker network/address-outside'],
  ],
  ["one of Azure's own addresses", spec(), withRule('10.1.1.3'), ['blocker network/address-outside']],
  ['a fixed address that is free', spec(), withRule('10.1.1.10'), []],
  [
    'a fixed address that is taken',
    spec(),
    { ...withRule('10.1.1.10'), takenAddresses: new Set(['10.1.1.10']) },
    ['blocker network/address-taken'],
  ],
  [
    'a machine without a boot disk',
    spec({ disks: [disk({ boot: false })] }),
    {},
    ['blocker azure/no-boot-disk'],
  ],
  [
    'a disk beyond a page blob',
    spec({ disks: [disk({ bytes: 8 * TiB })] }),
    {},
    ['blocker azure/disk-too-large'],
  ],
  [
    'a boot disk beyond Azure',
    spec({ disks: [disk({ bytes: 5 * TiB })] }),
    {},
    ['blocker azure/boot-disk-too-large'],
  ],
  [
    'a boot disk beyond BIOS',
    spec({ disks: [disk({ bytes: 3 * TiB })] }),
    {},
    ['warning azure/boot-disk-beyond-bios'],
  ],
  ['the same with UEFI', spec({ firmware: 'uefi', disks: [disk({ bytes: 3 * TiB })] }), {}, []],
  ['a region without sizes', spec(), { skus: [] }, ['blocker azure/region-gone']],
  ['a machine that is too large', spec({ cpus: 400 }), {}, ['blocker azure/no-size']],
  [
    'a preferred size that has gone',
    spec(),
    { settings: { ...emulatedSettings, preferredSizes: ['Standard_A1'] } },
    ['warning azure/preferred-size'],
  ],
  [
    'a name that is taken, in other letters',
    spec(),
    { machineNames: ['WEB'] },
    ['warning machine/name-taken'],
  ],
])('%s', (_title, machine, more, expected) => {
  expect(judge(machine, more)).toEqual(expected)
})

test('a quota that leaves only another size is a warning with that size, one that leaves none a blocker', () => {
  const full = (value: string) => ({ unit: 'Count' as const, currentValue: 10, limit: 10, name: { value } })
  const tight = facts({ usages: [full('standardBSFamily')] })
  const [warned] = preflightFindings(spec(), tight)
  expect(warned).toMatchObject({ level: 'warning', code: 'azure/other-size' })
  expect(warned?.message).toContain('Standard_D2s_v5')
  expect(usableSizes(spec(), tight)[0]?.name).toBe('Standard_D2s_v5')
  expect(judge(spec(), { usages: [full('cores')] })).toEqual(['blocker azure/quota'])
})

test('a disk that is in the way is named, so that it can be left out', () => {
  const second = disk({ key: 'disk1', boot: false, bytes: 9 * TiB })
  const findings = preflightFindings(spec({ disks: [disk(), second] }), facts())
  expect(findings).toMatchObject([{ code: 'azure/disk-too-large', disk: 'disk1' }])
})

test('the size that a machine gets is told with what it has, what is needed, and why that one', () => {
  const two = spec({ cpus: 2, memoryBytes: 4 * GiB, disks: [disk(), disk({ key: 'disk1', boot: false })] })
  expect(sizeFor(two, facts())).toEqual({
    name: 'Standard_B2s',
    why: '2 vCPU, 4.0 GiB for 2 vCPU, 4.0 GiB; 1 data disk of 4; the smallest that fits',
  })
  const settings = { ...emulatedSettings, preferredSizes: ['standard_d2s_v5'] }
  expect(sizeFor(two, facts({ settings }))).toEqual({
    name: 'Standard_D2s_v5',
    why: '2 vCPU, 8.0 GiB for 2 vCPU, 4.0 GiB; 1 data disk of 4; the first of the preferred sizes that fits',
  })
  expect(sizeFor(spec({ cpus: 400 }), facts())).toBeNull()
})

test('copies in another region than the machines are found before the failover, and where nobody may look nothing is claimed', () => {
  const at = (region: string) => ({ kind: 'region', region }) as const
  expect(codes(storageRegionFindings(emulatedSettings, at('northeurope')))).toEqual([
    'blocker azure/storage-elsewhere',
  ])
  expect(storageRegionFindings(emulatedSettings, at('West Europe'))).toEqual([])
  expect(storageRegionFindings(emulatedSettings, { kind: 'unclear' })).toEqual([])
  expect(codes(storageRegionFindings(emulatedSettings, { kind: 'missing' }))).toEqual([
    'blocker azure/storage-account-missing',
  ])
})
