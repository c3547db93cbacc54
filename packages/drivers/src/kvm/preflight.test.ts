import { GiB, MiB } from '@understudy/base/bytes'
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { expect, test } from 'vitest'
import type { HostRoom } from './host-room.ts'
import { localHost } from './local-host.ts'
import type { MachineDefinition } from './machine-definition.ts'
import {
  choosePlace,
  freeMachineName,
  type PreflightFacts,
  type PreflightSpec,
  preflightFindings,
} from './preflight.ts'
import { replicaDefinition } from './replica-definition.ts'
import type { KvmNetwork } from './settings.ts'

const dark: KvmNetwork = { id: 'dark', name: 'Isolated', kind: 'user', isolated: true, probePorts: [80] }
const prod: KvmNetwork = {
  id: 'prod',
  name: 'Production',
  kind: 'bridge',
  bridge: 'br0',
  isolated: false,
  probePorts: [],
}

type Room = Extract<HostRoom, { reachable: true }>
const room = (change: Partial<Room> = {}, name = 'one', folder = '/m'): Room => ({
  host: localHost({ name, machinesFolder: folder }),
  reachable: true,
  freeMemoryBytes: 4 * GiB,
  freeDiskBytes: 100 * GiB,
  hasQemu: true,
  hasUefi: true,
  hasKvm: true,
  bridges: new Set(['br0']),
  ...change,
})
const unreachable: HostRoom = { host: room().host, reachable: false, why: 'no route' }

const disk = {
  key: 'vda' as DiskKey,
  label: 'vda',
  bytes: 10 * GiB,
  format: 'qcow2',
  bus: 'virtio',
  boot: true,
}
const adapter = { key: 'a', macAddress: '52:54:00:aa:bb:cc', networkId: 'x', model: 'virtio-net-pci' }
const spec: PreflightSpec = {
  name: 'web',
  mode: 'test',
  hardware: { cpus: 1, memoryBytes: GiB, firmware: 'bios', disks: [disk], adapters: [adapter] },
  networks: new Map([['a', 'dark']]),
  trackingId: null,
}
const facts: PreflightFacts = {
  settings: { networks: [dark, prod], accelerator: 'tcg' },
  rooms: [room()],
  machines: [],
  runId: null,
}
const definition = (run: string, networkId: string): MachineDefinition =>
  replicaDefinition(
    { ...spec, mode: 'failover', runId: run as RunId, disks: [], networks: new Map([['a', networkId]]) },
    facts.settings,
    { folder: '/m/x', takePort: () => 20_000 },
  )

test('nothing is found where nothing is wrong', () => {
  expect(preflightFindings(spec, facts)).toEqual([])
})

const uefi = { ...spec, hardware: { ...spec.hardware, firmware: 'uefi' as const } }
const onProd = { ...spec, networks: new Map([['a', 'prod']]) }
const withDisk = (change: Partial<typeof disk>): PreflightSpec => ({
  ...spec,
  hardware: { ...spec.hardware, disks: [{ ...disk, ...change }] },
})
const cases: readonly [string, 'blocker' | 'warning', PreflightSpec, Partial<PreflightFacts>][] = [
  ['network/not-found', 'blocker', { ...spec, networks: new Map([['a', 'gone']]) }, {}],
  ['network/not-isolated', 'warning', onProd, {}],
  ['network/bridge-missing', 'blocker', onProd, { rooms: [room({ bridges: new Set() })] }],
  [
    'network/address-clash',
    'warning',
    onProd,
    { machines: [{ name: 'other', definition: definition('r', 'prod') }] },
  ],
  ['machine/name-taken', 'warning', spec, { machines: [{ name: 'web', definition: null }] }],
  ['target/disk-key', 'blocker', withDisk({ key: 'a-name-with-more-than-22-characters' as DiskKey }), {}],
  ['target/disk-bus', 'warning', withDisk({ bus: 'ide' }), {}],
  ['target/host-unreachable', 'blocker', spec, { rooms: [unreachable] }],
  ['target/no-host', 'blocker', spec, { rooms: [unreachable, room({ hasQemu: false }, 'two')] }],
  ['target/qemu-missing', 'blocker', spec, { rooms: [room({ hasQemu: false })] }],
  ['target/no-uefi', 'blocker', uefi, { rooms: [room({ hasUefi: false })] }],
  [
    'target/no-kvm',
    'blocker',
    spec,
    { settings: { networks: [dark], accelerator: 'kvm' }, rooms: [room({ hasKvm: false })] },
  ],
  ['target/no-disk-space', 'blocker', spec, { rooms: [room({ freeDiskBytes: 100 * MiB })] }],
  ['target/disk-space-tight', 'warning', spec, { rooms: [room({ freeDiskBytes: 2 * GiB })] }],
  ['target/memory-tight', 'warning', spec, { rooms: [room({ freeMemoryBytes: GiB })] }],
  ['target/path-too-long', 'blocker', spec, { rooms: [room({}, 'one', `/${'x'.repeat(79)}`)] }],
]
test.each(cases)('%s is found as a %s', (code, level, wanted, change) => {
  const findings = preflightFindings(wanted, { ...facts, ...change })
  expect(findings).toContainEqual(expect.objectContaining({ code, level }))
})

test('a name that is taken is answered by the name that the machine gets', () => {
  const machines = ['web', 'web-2'].map((name) => ({ name, definition: null }))
  const [finding] = preflightFindings(spec, { ...facts, machines })
  expect(finding?.message).toContain('web-3')
})

test('names are compared as QEMU takes them, and one that is cut short keeps its number', () => {
  const machines = [{ name: 'web-1', definition: null }]
  expect(freeMachineName('web/1', { machines, runId: null })).toBe('web-1-2')
  const long = 'x'.repeat(70)
  const cut = freeMachineName(long, { machines: [], runId: null })
  const second = freeMachineName(long, { machines: [{ name: cut, definition: null }], runId: null })
  expect(second).toBe(`${'x'.repeat(61)}-2`)
})

test('a network of libvirt that is not active is told from a missing bridge, with the way to start it', () => {
  const lan = { ...prod, id: 'lan', name: 'lan', bridge: 'lan', managedByLibvirt: true } as const
  const settings = { networks: [lan], accelerator: 'tcg' } as const
  const onLan: PreflightSpec = { ...spec, mode: 'failover', networks: new Map([['a', 'lan']]) }
  const [missing] = preflightFindings(onLan, { ...facts, settings })
  expect(missing).toMatchObject({
    code: 'network/bridge-missing',
    message: expect.stringContaining('libvirt'),
  })
  expect(missing?.remedy).toContain('virsh net-start lan')
  expect(
    preflightFindings(onLan, { ...facts, settings, rooms: [room({ bridges: new Set(['lan']) })] }),
  ).toEqual([])
})

test('a site that gives its replicas shorter folders may have a longer machines folder', () => {
  const rooms = [room({}, 'one', `/${'x'.repeat(64)}`)]
  const codes = (change: Partial<PreflightFacts>) =>
    preflightFindings(spec, { ...facts, rooms, ...change }).map(({ code }) => code)
  expect(codes({ folderName: 'x'.repeat(12) })).not.toContain('target/path-too-long')
  expect(codes({ folderName: 'x'.repeat(30) })).toContain('target/path-too-long')
})

test('what the run itself made does not stand in its way', () => {
  const own = { name: 'web', definition: definition('run-1', 'prod') }
  const findings = preflightFindings(onProd, { ...facts, machines: [own], runId: 'run-1' as RunId })
  expect(findings.map(({ code }) => code)).toEqual(['network/not-isolated'])
})

test('the host with the most free memory is taken, of those that can run the machine', () => {
  const [small, large] = [
    room({ freeMemoryBytes: GiB }, 'small'),
    room({ freeMemoryBytes: 8 * GiB }, 'large'),
  ]
  const unable = room({ freeMemoryBytes: 64 * GiB, hasQemu: false }, 'unable')
  expect(choosePlace(spec, { ...facts, rooms: [small, unable, large] })?.name).toBe('large')
  expect(choosePlace(spec, { ...facts, rooms: [unable, unreachable] })).toBeNull()
})
