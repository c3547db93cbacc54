import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MiB } from '@understudy/base/bytes'
import { expect, test } from 'vitest'
import { localHost } from './local-host.ts'
import { checkMachineDefinition, loadMachineDefinition, saveMachineDefinition } from './machine-definition.ts'
import { qemuCommand } from './qemu-command.ts'
import { tinyDefinition } from './tiny-machine.ts'

const disks = [
  { key: 'system', format: 'qcow2', bytes: 8 * MiB },
  { key: 'data', format: 'raw', bytes: 4 * MiB },
] as const
const definition = tinyDefinition('alpha', disks, 0, {
  adapters: [
    {
      key: 'n0',
      macAddress: '52:54:00:00:00:01',
      networkId: 'lan',
      model: 'virtio-net-pci',
      kind: 'user',
      restrict: true,
      forwards: [{ guestPort: 80, hostPort: 18080 }],
    },
    {
      key: 'n1',
      macAddress: '52:54:00:00:00:02',
      networkId: null,
      model: 'virtio-net-pci',
      kind: 'user',
      restrict: true,
      forwards: [],
    },
  ],
})
const [system] = definition.disks

test('a definition comes back from its file as it was saved', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'us-'))
  const host = localHost({ name: 'here', machinesFolder: folder })
  expect(await loadMachineDefinition(host, folder)).toBe(null)
  await saveMachineDefinition(host, folder, definition)
  expect(await loadMachineDefinition(host, folder)).toEqual(definition)
  await writeFile(join(folder, 'machine.json'), '{')
  await expect(loadMachineDefinition(host, folder)).rejects.toMatchObject({ code: 'kvm/machine-definition' })
  await rm(folder, { recursive: true })
})

const wrong: [string, unknown][] = [
  ['of another version', { ...definition, version: 2 }],
  ['whose reference is no UUID', { ...definition, ref: 'alpha' }],
  ['whose name would be an option', { ...definition, name: '-daemonize' }],
  ['with one disk twice', { ...definition, disks: [system, system] }],
  ['with a disk key too long for QEMU', { ...definition, disks: [{ ...system, key: 'k'.repeat(23) }] }],
  ['with half a sector', { ...definition, disks: [{ ...system, bytes: 1000 }] }],
  [
    'with a raw disk on a backing',
    {
      ...definition,
      disks: [
        { ...definition.disks[1], backing: { kind: 'nbd-unix', path: '/run/x.sock', exportName: 'x' } },
      ],
    },
  ],
]
test.each(wrong)('a definition %s is refused', (_what, value) => {
  expect(() => checkMachineDefinition(value, 'machine.json')).toThrow(
    expect.objectContaining({ name: 'Refusal', code: 'kvm/machine-definition' }),
  )
})

/** The JSON values that follow one of QEMU's options. */
const values = (args: readonly string[], option: string): Record<string, unknown>[] =>
  args.flatMap((arg, index) =>
    arg === option && args[index + 1]?.startsWith('{') ? [JSON.parse(args[index + 1] ?? '')] : [],
  )

test('the command line gives every disk a node and a device that can be found again', () => {
  const { command, args } = qemuCommand(definition, '/m/a,b', { paused: true })
  expect(command).toBe('qemu-system-x86_64')
  expect(values(args, '-blockdev').map((node) => [node.driver, node['node-name']])).toEqual([
    ['qcow2', 'disk-system'],
    ['raw', 'disk-data'],
  ])
  expect(values(args, '-device').slice(0, 2)).toMatchObject([
    { id: 'dev-system', drive: 'disk-system', bootindex: 0 },
    { id: 'dev-data', drive: 'disk-data' },
  ])
  expect(args).toContain('-no-shutdown')
  expect(args).toContain('-S')
  // A comma in a path must not begin another option.
  expect(args).toContain('unix:/m/a,,b/qmp.sock,server=on,wait=off')
  expect(args.filter((arg) => arg === '-accel')).toHaveLength(1)
})

test('what we have made bears our mark in its firmware, and nothing else does', () => {
  const { args } = qemuCommand({ ...definition, ownedBy: 'run,1' }, '/m/a', { paused: false })
  expect(args[args.indexOf('-smbios') + 1]).toBe('type=11,value=understudy-replica:run,,1')
  expect(qemuCommand({ ...definition, ownedBy: null }, '/m/a', { paused: false }).args).not.toContain(
    '-smbios',
  )
})

test('an adapter without a network is there and leads nowhere', () => {
  const { args } = qemuCommand(definition, '/m/a', { paused: false })
  expect(args).toContain('user,id=net-n0,restrict=on,hostfwd=tcp:127.0.0.1:18080-:80')
  const nics = values(args, '-device').filter(({ driver }) => driver === 'virtio-net-pci')
  expect(nics.map(({ netdev }) => netdev)).toEqual(['net-n0', undefined])
})

test('a replica reads what it has not written from its server, waits for it, and stops rather than err', () => {
  const backing = { kind: 'nbd-unix', path: '/m/a/backing.sock', exportName: 'system' } as const
  const disk = system === undefined ? [] : [{ ...system, backing }]
  const { args } = qemuCommand({ ...definition, disks: disk }, '/m/a', { paused: false })
  expect(values(args, '-blockdev')).toMatchObject([
    {
      driver: 'nbd',
      'node-name': 'backing-system',
      'read-only': true,
      export: 'system',
      'reconnect-delay': 60,
    },
    { driver: 'qcow2', 'node-name': 'disk-system', backing: 'backing-system' },
  ])
  expect(values(args, '-device')[0]).toMatchObject({ rerror: 'stop', werror: 'stop' })
})
