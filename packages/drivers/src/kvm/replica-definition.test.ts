import { MiB } from '@understudy/base/bytes'
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { BootSpec } from '@understudy/engine/ports/target-platform'
import { newPlacing } from '@understudy/simulator/contracts/platform-harness'
import { expect, test } from 'vitest'
import { checkMachineDefinition } from './machine-definition.ts'
import { replicaDefinition, replicaFolderName, toMachineName } from './replica-definition.ts'
import type { KvmNetwork } from './settings.ts'

const networks: readonly KvmNetwork[] = [
  { id: 'prod', name: 'Production', kind: 'bridge', bridge: 'br0', isolated: false, probePorts: [] },
  { id: 'dark', name: 'Isolated', kind: 'user', isolated: true, probePorts: [80, 443] },
]
const mac = '52:54:00:aa:bb:cc'
const adapter = (key: string) => ({ key, macAddress: mac, networkId: 'x', model: 'e1000' })

function define(mode: BootSpec['mode'], mapping: readonly (readonly [string, string])[], run = 'run-1') {
  const reader = { bytes: MiB, read: async () => Buffer.alloc(0), close: async () => undefined }
  const spec: BootSpec = {
    runId: run as RunId,
    name: 'web server (test)',
    mode,
    hardware: {
      cpus: 2,
      memoryBytes: 256 * MiB,
      firmware: 'bios',
      disks: [],
      adapters: [adapter('a'), adapter('b')],
    },
    disks: [{ key: 'vda' as DiskKey, bytes: MiB, boot: true, reader }],
    networks: new Map(mapping),
    trackingId: null,
    placing: newPlacing(),
  }
  let port = 20_000
  const takePort = () => port++
  return replicaDefinition(spec, { networks, accelerator: 'tcg' }, { folder: '/machines/x', takePort })
}

test('a replica is a machine that our own check accepts, the same one at every attempt, tagged with its run', () => {
  const first = define('failover', [['a', 'prod']])
  expect(checkMachineDefinition(structuredClone(first), 'test')).toEqual(first)
  expect(define('failover', [['a', 'prod']]).ref).toBe(first.ref)
  expect(define('failover', [['a', 'prod']], 'run-2').ref).not.toBe(first.ref)
  expect(first).toMatchObject({ name: 'web server -test-', ownedBy: 'run-1' })
  expect(first.disks[0]).toMatchObject({
    format: 'qcow2',
    backing: { path: '/machines/x/us-base.sock', exportName: 'vda' },
  })
})

test('an adapter without a network stays unplugged', () => {
  expect(define('failover', [['a', 'prod']]).adapters[1]).toMatchObject({ networkId: null, forwards: [] })
})

test('an isolated user network lets nothing out and forwards every probe port', () => {
  const [a, b] = define('test', [
    ['a', 'dark'],
    ['b', 'dark'],
  ]).adapters
  expect(a).toMatchObject({ restrict: true, macAddress: mac })
  const ports = [...(a?.forwards ?? []), ...(b?.forwards ?? [])]
  expect(ports.map(({ guestPort }) => guestPort)).toEqual([80, 443, 80, 443])
  expect(new Set(ports.map(({ hostPort }) => hostPort)).size).toBe(4)
})

test('a failover takes over the hardware address; a test in an open network gets its own, the same at every attempt', () => {
  expect(define('failover', [['a', 'prod']]).adapters[0]?.macAddress).toBe(mac)
  const own = define('test', [['a', 'prod']]).adapters[0]?.macAddress
  expect(own).toMatch(/^52:54:00:/)
  expect(own).not.toBe(mac)
  expect(define('test', [['a', 'prod']]).adapters[0]?.macAddress).toBe(own)
})

test.each([
  ['web', 'web'],
  ['my server/1', 'my server-1'],
  ['-- ', 'machine'],
  ['x'.repeat(70), 'x'.repeat(63)],
])('the name %s becomes %s', (name, expected) => {
  expect(toMachineName(name)).toBe(expected)
})

test('folders of two runs of one machine differ', () => {
  expect(replicaFolderName('web', 'a' as RunId)).not.toBe(replicaFolderName('web', 'b' as RunId))
})
