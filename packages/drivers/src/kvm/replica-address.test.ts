import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { BootSpec } from '@understudy/engine/ports/target-platform'
import { expect, test } from 'vitest'
import { replicaXml } from './libvirt/replica-xml.ts'
import { qemuCommand } from './qemu-command.ts'
import { replicaDefinition } from './replica-definition.ts'

const reader = { bytes: 512, read: async () => Buffer.alloc(512), close: async () => {} }
const disk = { key: 'sda' as DiskKey, bytes: 512, boot: true, reader }
const spec: Omit<BootSpec, 'trackingId' | 'placing'> = {
  runId: 'r1' as RunId,
  name: 'old iron',
  mode: 'test',
  hardware: {
    cpus: 1,
    memoryBytes: 2 ** 28,
    firmware: 'bios',
    disks: [],
    adapters: [{ key: 'enp0s5', macAddress: '52:54:00:0A:0B:0C', networkId: null, model: 'e1000e' }],
  },
  disks: [disk],
  networks: new Map([['enp0s5', 'lan']]),
}
const settings = {
  accelerator: 'tcg' as const,
  networks: [{ id: 'lan', name: 'Lan', kind: 'user' as const, isolated: true, probePorts: [] }],
}
const made = (addresses: BootSpec['addresses']) =>
  replicaDefinition({ ...spec, ...(addresses ? { addresses } : {}) }, settings, {
    folder: '/f',
    takePort: () => 1,
  })

test('the address that an adapter is to have is told beside the mark, under its hardware address there', () => {
  const address = {
    method: 'static' as const,
    prefix: '10.0.2.77/24',
    gateway: '10.0.2.2',
    nameServers: ['10.0.2.3', '1.1.1.1'],
  }
  const definition = made(new Map([['enp0s5', address]]))
  const said = 'understudy-network:52:54:00:0a:0b:0c static 10.0.2.77/24 10.0.2.2 10.0.2.3,1.1.1.1'
  const { args } = qemuCommand(definition, '/f', { paused: false })
  // QEMU's lists take a doubled comma for one.
  expect(args).toContain(`type=11,value=understudy-replica:r1,value=${said.replace(',', ',,')}`)
  expect(replicaXml(definition, '/f', [])).toContain(`<entry>${said}</entry>`)
  expect(qemuCommand(made(undefined), '/f', { paused: false }).args).toContain(
    'type=11,value=understudy-replica:r1',
  )
})

test('what is no address never becomes a part of a command line', () => {
  const address = { method: 'static' as const, prefix: '10.0.2.77/24 -smp 8', gateway: null, nameServers: [] }
  expect(() => made(new Map([['enp0s5', address]]))).toThrow(
    expect.objectContaining({ code: 'kvm/machine-definition' }),
  )
})
