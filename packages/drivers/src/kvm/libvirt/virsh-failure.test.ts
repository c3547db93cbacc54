import { expect, test } from 'vitest'
import { toVirshFailure } from './virsh-failure.ts'

// The words of virsh 9.0.
test.each([
  [
    "failed to connect to the hypervisor; Failed to connect socket to '/run/libvirt/libvirt-sock': No such file or directory",
    'Outage',
    'kvm/libvirt-not-running',
  ],
  [
    "failed to connect to the hypervisor; Failed to connect socket to '/run/libvirt/libvirt-sock': Permission denied",
    'Refusal',
    'kvm/libvirt-not-permitted',
  ],
  [
    'failed to connect to the hypervisor; authentication unavailable: no polkit agent available to authenticate action',
    'Refusal',
    'kvm/libvirt-not-permitted',
  ],
  [
    'failed to connect to the hypervisor; no connection driver available for nosuch:///system',
    'Refusal',
    'kvm/libvirt-uri',
  ],
  [
    "failed to get domain 'x'; Domain not found: no domain with matching name 'x'",
    'Outage',
    'kvm/no-such-domain',
  ],
  ['Failed to start domain; internal error: process exited', 'Outage', 'kvm/libvirt-failed'],
])('virsh saying "%s" is a %s %s', (text, name, code) => {
  const failure = toVirshFailure({
    hostName: 'h',
    uri: 'qemu:///system',
    commandLine: 'connect',
    text,
    code: 1,
  })
  expect(failure).toMatchObject({ name, code, message: expect.stringContaining(text) })
})

test('a host without virsh is refused with the packages that are missing', () => {
  const failure = toVirshFailure({
    hostName: 'h',
    uri: 'qemu:///system',
    commandLine: 'connect',
    text: "env: 'virsh': No such file or directory",
    code: 127,
  })
  expect(failure).toMatchObject({ name: 'Refusal', code: 'kvm/virsh-missing' })
  expect(failure.remedy).toContain('libvirt-clients')
})

test.each([
  "Failed to start domain 'web'; internal error: process exited while connecting to monitor: Could not open '/img/x.qcow2': Permission denied",
  "Failed to start domain 'web'; internal error: Failed to connect to '/m/us-base.sock': Connection refused",
  'Failed to resume domain; invalid argument: the domain has no such job',
  'Failed to define domain; unsupported configuration: access denied by profile',
])('a command that failed with "%s" has not lost its way to libvirt', (text) => {
  const failure = toVirshFailure({ hostName: 'h', uri: 'qemu:///system', commandLine: "start 'x'", text })
  expect(failure).toMatchObject({ name: 'Outage', code: 'kvm/libvirt-failed' })
  expect(failure.message).toContain(text)
})

test('a session that has lost libvirt says so at the next command', () => {
  const text =
    "failed to connect to the hypervisor; Failed to connect socket to '/run/libvirt/libvirt-sock': Connection refused"
  const failure = toVirshFailure({ hostName: 'h', uri: 'qemu:///system', commandLine: "domstate 'x'", text })
  expect(failure).toMatchObject({ name: 'Outage', code: 'kvm/libvirt-not-running' })
})
