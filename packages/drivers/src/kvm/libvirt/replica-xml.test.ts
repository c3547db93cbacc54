import { MiB } from '@understudy/base/bytes'
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey, MachineHardware, MachineRef } from '@understudy/domain/machines/machine'
import type { BootSpec } from '@understudy/engine/ports/target-platform'
import { newPlacing } from '@understudy/simulator/contracts/platform-harness'
import { expect, test } from 'vitest'
import type { MachineDefinition } from '../machine-definition.ts'
import type { SiteNetwork } from '../networks.ts'
import { replicaDefinition, replicaRef } from '../replica-definition.ts'
import { parseDomain } from './domain-xml.ts'
import { replicaXml, targetName } from './replica-xml.ts'

const networks: readonly SiteNetwork[] = [
  { id: 'prod', name: 'Production', kind: 'bridge', bridge: 'br0', isolated: false, probePorts: [] },
  {
    id: 'lan',
    name: 'lan',
    kind: 'bridge',
    bridge: 'lan',
    isolated: true,
    probePorts: [],
    managedByLibvirt: true,
  },
  { id: 'out', name: 'Out', kind: 'user', isolated: false, probePorts: [] },
  { id: 'dark', name: 'Dark', kind: 'user', isolated: true, probePorts: [] },
]
const hardware = (more: Partial<MachineHardware> = {}): MachineHardware => ({
  cpus: 2,
  memoryBytes: 256 * MiB,
  firmware: 'bios',
  disks: [],
  adapters: [],
  ...more,
})
const reader = { bytes: MiB, read: async () => Buffer.alloc(0), close: async () => undefined }

function definitionOf(spec: Partial<BootSpec>, accelerator: 'tcg' | 'kvm' = 'tcg'): MachineDefinition {
  const whole: BootSpec = {
    runId: 'run-1' as RunId,
    name: 'web',
    mode: 'failover',
    hardware: hardware(),
    disks: [],
    networks: new Map(),
    trackingId: null,
    placing: newPlacing(),
    ...spec,
  }
  const takePort = (): number => {
    throw new Error('nobody forwards ports')
  }
  return replicaDefinition(whole, { networks, accelerator }, { folder: '/m/0123', takePort })
}

const xmlOf = (spec: Partial<BootSpec>, accelerator: 'tcg' | 'kvm' = 'tcg'): string =>
  replicaXml(definitionOf(spec, accelerator), '/m/0123', networks)

test('what we write is read back as the same machine, with our tag', () => {
  const disks = [
    { key: 'scsi0-0-1-0' as DiskKey, bytes: MiB, boot: false, reader },
    { key: 'a.b_c' as DiskKey, bytes: 2 * MiB, boot: true, reader },
  ]
  const adapter = { key: 'net_0', macAddress: '52:54:00:00:00:01', networkId: 'x', model: 'e1000' }
  const wanted = { hardware: hardware({ adapters: [adapter] }), disks, networks: new Map([['net_0', 'lan']]) }
  const xml = xmlOf(wanted)
  // Every chain is ended, so libvirt does not look for its end by opening it.
  expect(xml.match(/<backingStore\/><\/backingStore>/g)).toHaveLength(2)
  const found = parseDomain(xml)
  expect(found).toMatchObject({
    ref: replicaRef('run-1' as RunId),
    name: 'web',
    ownedBy: 'run-1',
    cpus: 2,
    firmware: 'bios',
    accelerator: 'tcg',
    agentChannel: true,
    adapters: [{ key: 'net_0', macAddress: '52:54:00:00:00:01', networkId: 'lan', model: 'virtio' }],
  })
  expect(found?.disks).toMatchObject([
    {
      key: 'scsi0-0-1-0',
      target: 'vda',
      boot: false,
      format: 'qcow2',
      file: '/m/0123/scsi0-0-1-0.qcow2',
      backing: { kind: 'nbd-unix', path: '/m/0123/us-base.sock', exportName: 'scsi0-0-1-0' },
    },
    { key: 'a.b_c', target: 'vdb', boot: true, backing: { exportName: 'a.b_c' } },
  ])
})

test.each([
  ['prod', "<interface type='bridge'><source bridge='br0'/>", false],
  ['lan', "<interface type='network'><source network='lan'/>", false],
  ['out', "<link state='up'/>", false],
  ['dark', "<link state='down'/>", true],
  ['gone', "<link state='down'/>", true],
])('an adapter in network %s is %s', (id, expected, cableOut) => {
  const adapters = [{ key: 'net0', macAddress: '52:54:00:00:00:01', networkId: 'x', model: 'virtio' }]
  const xml = xmlOf({ hardware: hardware({ adapters }), networks: new Map([['net0', id]]) })
  expect(xml).toContain(expected)
  expect(xml.includes("state='down'")).toBe(cableOut)
})

test.each(['bios', 'uefi'] as const)('with %s the firmware bears our mark', (firmware) => {
  const xml = xmlOf({ hardware: hardware({ firmware }) })
  expect(xml).toContain('<oemStrings><entry>understudy-replica:run-1</entry></oemStrings>')
  expect(xml).toContain("<smbios mode='sysinfo'/>")
})

test('with UEFI libvirt chooses the firmware, and with KVM the processor is the host’s', () => {
  const xml = xmlOf({ hardware: hardware({ firmware: 'uefi' }) }, 'kvm')
  expect(parseDomain(xml)).toMatchObject({ firmware: 'uefi', accelerator: 'kvm' })
  expect(xml).toContain("<cpu mode='host-passthrough'/>")
})

test('targets are counted as libvirt counts them', () => {
  expect([0, 25, 26, 27, 701, 702].map(targetName)).toEqual(['vda', 'vdz', 'vdaa', 'vdab', 'vdzz', 'vdaaa'])
})

const hostile =
  "x'/></interface><disk type='block' device='disk'><source dev='/dev/sda'/></disk><interface type='user'><mac address='"

test('what a source says of itself is never more than a value in the XML of its replica', () => {
  const adapters = [{ key: 'net0', macAddress: hostile, networkId: 'x', model: 'virtio' }]
  const xml = xmlOf({ name: hostile, hardware: hardware({ adapters }) })
  expect(xml).not.toContain('/dev/sda')
  expect(parseDomain(xml)).toMatchObject({
    disks: [],
    adapters: [{ macAddress: expect.stringMatching(/^52:54:00:/) }],
  })
})

test.each<[string, Partial<MachineHardware>]>([
  [
    'adapters',
    { adapters: [{ key: hostile, macAddress: '52:54:00:00:00:01', networkId: 'x', model: 'virtio' }] },
  ],
  ['cpus', { cpus: hostile as unknown as number }],
  ['memoryBytes', { memoryBytes: hostile as unknown as number }],
])('a replica whose %s are markup is not defined', (field, more) => {
  expect(() => xmlOf({ hardware: hardware(more) })).toThrow(new RegExp(field))
})

test('XML escapes what it is given, checked or not', () => {
  const checked = definitionOf({
    disks: [{ key: 'a' as DiskKey, bytes: MiB, boot: true, reader }],
    hardware: hardware({
      adapters: [{ key: 'net0', macAddress: '52:54:00:00:00:01', networkId: 'x', model: 'virtio' }],
    }),
  })
  const evil = {
    ...checked,
    ref: hostile as MachineRef,
    name: hostile,
    cpus: hostile as unknown as number,
    memoryBytes: hostile as unknown as number,
    disks: checked.disks.map((disk) => ({ ...disk, key: hostile as DiskKey, file: hostile })),
    adapters: checked.adapters.map((adapter) => ({ ...adapter, key: hostile, macAddress: hostile })),
  }
  const xml = replicaXml(evil, '/m/0123', networks)
  expect(xml).not.toContain("<source dev='/dev/sda'/>")
  expect(xml.match(/<disk /g)).toHaveLength(1)
  expect(xml.match(/<interface /g)).toHaveLength(1)
})
