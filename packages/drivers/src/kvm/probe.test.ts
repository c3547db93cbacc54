import { expect, test } from 'vitest'
import { localHost } from './local-host.ts'
import type { MachineDefinition } from './machine-definition.ts'
import { withForwards } from './probe.ts'

const adapter = {
  key: 'nic0',
  macAddress: '52:54:00:00:00:01',
  networkId: 'prod',
  model: 'virtio-net-pci',
  kind: 'user',
  restrict: false,
  forwards: [
    { guestPort: 80, hostPort: 18_080 },
    { guestPort: 22, hostPort: 18_022 },
  ],
} as const
const machine = {
  host: localHost({ name: 'here', machinesFolder: '/machines' }),
  definition: { adapters: [adapter] } as unknown as MachineDefinition,
} as Parameters<typeof withForwards>[0]

test('a guest that only its agent has heard of yet has the addresses of its forwarded ports', () => {
  const heard = { addresses: [], answered: true, note: 'the guest agent answers' }
  expect(withForwards(machine, heard).addresses).toEqual(['http://127.0.0.1:18080', '127.0.0.1:18022'])
})

test('addresses that answered are kept as they are, and a silent guest has none', () => {
  const answering = { addresses: ['http://127.0.0.1:18080'], answered: true, note: '' }
  expect(withForwards(machine, answering)).toBe(answering)
  const silent = { addresses: [], answered: false, note: '' }
  expect(withForwards(machine, silent)).toBe(silent)
})
