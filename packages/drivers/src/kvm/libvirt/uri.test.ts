import { expect, test } from 'vitest'
import type { KvmHostSettings } from '../settings.ts'
import { toLibvirtUri } from './uri.ts'

const here: KvmHostSettings = { name: 'kvm1', address: { kind: 'local' }, machinesFolder: '/srv/points' }
const there: KvmHostSettings = {
  ...here,
  address: { kind: 'ssh', host: 'kvm1.example', port: 22, user: 'root', hostKeySha256: 'SHA256:x' },
}

test.each([
  [here, 'qemu:///system', 'qemu:///system'],
  [here, 'qemu:///session', 'qemu:///session'],
  [here, 'qemu+unix:///system?socket=/run/x/libvirt-sock', 'qemu+unix:///system?socket=/run/x/libvirt-sock'],
  [there, 'qemu:///system', 'qemu:///system'],
  [there, 'qemu+ssh://root@kvm1.example/system', 'qemu:///system'],
  [there, 'qemu+ssh://kvm1.example:22/system?keyfile=/root/key', 'qemu:///system'],
])('%o with %s is %s on the host itself', (host, libvirtUri, expected) => {
  expect(toLibvirtUri({ ...host, libvirtUri })).toBe(expected)
})

test('without an address it is the system libvirt', () => {
  expect(toLibvirtUri(here)).toBe('qemu:///system')
})

test.each([
  [here, 'qemu+ssh://root@kvm1.example/system'],
  [there, 'qemu+ssh://root@kvm2.example/system'],
  [here, 'qemu+tcp://kvm1/system'],
  [here, 'xen:///system'],
  [here, 'qemu:///system?socket=/x --no-such'],
  [here, ''],
])(
  '%o with %s is refused, because its files would be elsewhere or nobody understands it',
  (host, libvirtUri) => {
    expect(() => toLibvirtUri({ ...host, libvirtUri })).toThrow(
      expect.objectContaining({ name: 'Refusal', code: 'kvm/libvirt-uri' }),
    )
  },
)
