import { expect, test } from 'vitest'
import { toQemuUser } from './libvirt-host.ts'

const capabilities = (models: string): string =>
  `<capabilities><host><cpu><arch>x86_64</arch></cpu>${models}</host><guest/></capabilities>`
const apparmor = '<secmodel><model>apparmor</model><doi>0</doi></secmodel>'
const dac = (label: string): string =>
  `<secmodel><model>dac</model><doi>0</doi><baselabel type='kvm'>${label}</baselabel><baselabel type='qemu'>${label}</baselabel></secmodel>`

test.each([
  [apparmor + dac('+64055:+108'), '64055:108'],
  [dac('+0:+0'), '0:0'],
  [dac('qemu:kvm'), 'qemu:kvm'],
  [apparmor, null],
  ['', null],
])('of a host with %s QEMU runs as %s', (models, user) => {
  expect(toQemuUser(capabilities(models))).toBe(user)
})
