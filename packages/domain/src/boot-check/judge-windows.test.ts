import { expect, test } from 'vitest'
import type { BootFinding } from './boot-finding.ts'
import type { PresentedHardware } from './guest-hardware.ts'
import { judgeBoot } from './judge-boot.ts'
import { readWindowsReport } from './read-windows-report.ts'

const azure: PresentedHardware = { kind: 'hyper-v', serialLineOnly: true }
const kvm: PresentedHardware = { kind: 'virtio', serialLineOnly: false }

/** Of Windows Server 2022 as it is installed; written after Microsoft's documentation of the registry. */
const server2022: Readonly<Record<string, string>> = {
  name: 'Microsoft Windows Server 2022 Standard',
  firmware: '2',
  'start.vmbus': '0',
  'start.storvsc': '0',
  'start.storflt': '0',
  'start.netvsc': '3',
  'start.viostor': '0',
  'start.netkvm': '3',
  'rdp.denied': '0',
  'rdp.start': '3',
  'rdp.rules': '3',
  san: '1',
  ems: 'yes',
  agent: 'yes',
}

function judge(
  change: Readonly<Record<string, string | null>>,
  hardware = azure,
): Record<string, BootFinding> {
  const lines = Object.entries({ ...server2022, ...change }).flatMap(([name, value]) =>
    value === null ? [] : [`${name}=${value}`],
  )
  const facts = readWindowsReport(['understudy-boot-facts 1', ...lines, 'end', ''].join('\r\n'))
  if (facts === null) throw new Error('it is a whole report')
  return Object.fromEntries(
    judgeBoot(facts, { hardware, firmware: 'uefi' }).map((finding) => [finding.code, finding]),
  )
}

test('a server that is prepared passes in everything', () => {
  expect(Object.values(judge({})).map(({ outcome }) => outcome)).toEqual(Array(9).fill('passed'))
})

test.each([
  ['boot/firmware', { firmware: '1' }, 'blocker', null],
  ['boot/firmware', { firmware: null }, 'unknown', null],
  ['boot/disk-drivers', { 'start.storvsc': '3' }, 'blocker', 'Services\\storvsc /v Start /t REG_DWORD /d 0'],
  ['boot/disk-drivers', { 'start.vmbus': null }, 'blocker', 'RestoreHealth'],
  ['boot/network-driver', { 'start.netvsc': '4' }, 'blocker', 'Services\\netvsc /v Start'],
  ['boot/remote-desktop', { 'rdp.denied': '1' }, 'warning', 'fDenyTSConnections'],
  ['boot/remote-desktop', { 'rdp.rules': '0' }, 'warning', 'Enable-NetFirewallRule'],
  ['boot/remote-desktop', { 'rdp.denied': null }, 'unknown', null],
  ['boot/pending-restart', { restart: 'Windows Update' }, 'warning', 'shutdown'],
  ['boot/disk-policy', { san: '2' }, 'warning', 'SanPolicy'],
  ['boot/disk-policy', { san: null }, 'unknown', 'SanPolicy'],
  ['boot/network', { fixed: '192.0.2.7' }, 'note', null],
  ['boot/serial-console', { ems: 'no' }, 'note', 'bcdedit'],
  ['boot/azure-agent', { agent: 'no' }, 'note', null],
])('%s with %o', (code, change, outcome, command) => {
  const finding = judge(change)[code]
  expect(finding?.outcome).toBe(outcome)
  if (command === null) expect(finding?.commands).toBeNull()
  else expect(finding?.commands).toContain(command)
})

test('from Hyper-V to KVM it needs the drivers of virtio, which Windows does not bring along', () => {
  expect(judge({ 'start.viostor': null }, kvm)['boot/disk-drivers']?.outcome).toBe('blocker')
  expect(judge({}, kvm)['boot/disk-drivers']?.outcome).toBe('passed')
})

test('half a report is none', () => {
  expect(readWindowsReport('understudy-boot-facts 1\r\nname=Windows\r\n')).toBeNull()
})
