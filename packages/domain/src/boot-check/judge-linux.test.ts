import { describe, expect, test } from 'vitest'
import { type BootFinding, verdictOf } from './boot-finding.ts'
import type { PresentedHardware } from './guest-hardware.ts'
import { judgeBoot } from './judge-boot.ts'
import { readLinuxReport } from './read-linux-report.ts'

const azure: PresentedHardware = { kind: 'hyper-v', serialLineOnly: true }
const kvm: PresentedHardware = { kind: 'virtio', serialLineOnly: false }

type Report = {
  readonly os: string
  readonly kernel: string
  readonly firmware?: 'bios' | 'uefi'
  readonly commandLine: string
  readonly fstab: readonly string[]
  readonly files: Readonly<Record<string, string>>
  readonly images: Readonly<Record<string, readonly string[]>>
  readonly more?: readonly string[]
  readonly services?: readonly string[]
  readonly loader?: 'yes' | 'no' | 'unknown'
}

/** What the script prints; the files of each distribution below are written after its documentation and installer. */
const print = (report: Report): string =>
  [
    '==understudy-boot-facts 1',
    ...['==os /etc/os-release', ...report.os.split('\n').map((line) => ` ${line}`)],
    ...['==kernel', ` ${report.kernel}`, '==firmware', ` ${report.firmware ?? 'bios'}`],
    ...['==cmdline /proc/cmdline', ` ${report.commandLine}`],
    ...['==fstab /etc/fstab', ...report.fstab.map((line) => ` ${line}`)],
    ...(report.more ?? []),
    ...Object.entries(report.files).flatMap(([path, text]) => [
      `==network ${path}`,
      ...text.split('\n').map((line) => ` ${line}`),
    ]),
    ...['==loader', ` ${report.loader ?? 'unknown'}`, '==services'],
    ...(report.services ?? ['ssh yes', 'agent no', 'cloud-init no']).map((line) => ` ${line}`),
    ...Object.entries(report.images).flatMap(([version, lines]) => [
      `==image ${version}`,
      ...lines.map((line) => ` ${line}`),
    ]),
    '==end',
  ].join('\n')

const modules = 'available hv_netvsc hv_storvsc hv_vmbus sd_mod virtio_blk virtio_net virtio_pci'

const debian12: Report = {
  os: 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian',
  kernel: '6.1.0-18-amd64',
  commandLine:
    'BOOT_IMAGE=/boot/vmlinuz-6.1.0-18-amd64 root=UUID=0a3407de-014b-458b-b5c1-848e92a327a3 ro quiet',
  fstab: [
    '# / was on /dev/vda1 during installation',
    'UUID=0a3407de-014b-458b-b5c1-848e92a327a3 /     ext4  errors=remount-ro 0 1',
    'UUID=f9fe0b69-a280-415d-a03a-a32752370dee none  swap  sw                0 0',
  ],
  files: {
    '/etc/network/interfaces':
      'source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\nallow-hotplug enp1s0\niface enp1s0 inet dhcp',
  },
  images: {
    '6.1.0-18-amd64': [
      'builtin ',
      modules,
      'initramfs hv_netvsc hv_storvsc hv_vmbus sd_mod virtio_blk virtio_net virtio_pci',
    ],
  },
}

const ubuntu2404: Report = {
  os: 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nID=ubuntu\nID_LIKE=debian',
  kernel: '6.8.0-45-generic',
  firmware: 'uefi',
  loader: 'yes',
  commandLine: 'BOOT_IMAGE=/vmlinuz-6.8.0-45-generic root=/dev/mapper/ubuntu--vg-ubuntu--lv ro',
  fstab: [
    '/dev/disk/by-id/dm-uuid-LVM-PCe0 / ext4 defaults 0 1',
    '/dev/disk/by-uuid/4d7f-9a /boot ext4 defaults 0 1',
  ],
  files: {
    '/etc/netplan/50-cloud-init.yaml':
      'network:\n  version: 2\n  ethernets:\n    enp1s0:\n      match:\n        macaddress: "52:54:00:12:34:56"\n      dhcp4: true\n      set-name: enp1s0',
  },
  services: ['ssh yes', 'agent no', 'cloud-init no'],
  images: {
    '6.8.0-45-generic': [
      'builtin hv_vmbus sd_mod virtio_blk virtio_pci',
      modules,
      'initramfs hv_storvsc hv_netvsc',
    ],
  },
}

const rhel9: Report = {
  os: 'NAME="Red Hat Enterprise Linux"\nID="rhel"\nID_LIKE="fedora"\nPRETTY_NAME="Red Hat Enterprise Linux 9.4 (Plow)"',
  kernel: '5.14.0-427.el9.x86_64',
  firmware: 'uefi',
  loader: 'yes',
  commandLine:
    'BOOT_IMAGE=(hd0,gpt2)/vmlinuz-5.14.0-427.el9.x86_64 root=/dev/mapper/rhel-root ro crashkernel=1G-4G:192M rd.lvm.lv=rhel/root',
  fstab: ['/dev/mapper/rhel-root / xfs defaults 0 0', 'UUID=0f0e /boot xfs defaults 0 0'],
  files: {
    '/etc/NetworkManager/system-connections/enp1s0.nmconnection':
      '[connection]\nid=enp1s0\ntype=ethernet\ninterface-name=enp1s0\n[ethernet]\n[ipv4]\nmethod=auto',
  },
  // Dracut puts in what this machine needs, and nothing else.
  images: { '5.14.0-427.el9.x86_64': ['builtin ', modules, 'initramfs virtio_blk virtio_net virtio_pci'] },
}

const sles15: Report = {
  os: 'NAME="SLES"\nID="sles"\nID_LIKE="suse"\nPRETTY_NAME="SUSE Linux Enterprise Server 15 SP5"',
  kernel: '5.14.21-150500.53-default',
  commandLine: 'BOOT_IMAGE=/boot/vmlinuz-5.14.21 root=/dev/vda2 splash=silent',
  fstab: [
    '/dev/vda2 / btrfs defaults 0 0',
    '/dev/vdb1 /srv xfs nofail 0 0',
    '/dev/vda1 swap swap defaults 0 0',
  ],
  files: { '/etc/sysconfig/network/ifcfg-eth0': "BOOTPROTO='dhcp'\nSTARTMODE='auto'" },
  images: { '5.14.21-150500.53-default': ['builtin sd_mod virtio_pci', modules, 'initramfs virtio_blk'] },
}

function judge(report: Report, hardware: PresentedHardware): readonly BootFinding[] {
  const facts = readLinuxReport(print(report))
  if (facts === null) throw new Error('it is a whole report')
  return judgeBoot(facts, { hardware, firmware: report.firmware ?? 'bios' })
}

const outcomes = (findings: readonly BootFinding[]) =>
  Object.fromEntries(findings.map(({ code, outcome }) => [code.slice('boot/'.length), outcome]))

const only = (findings: readonly BootFinding[], code: string): BootFinding => {
  const [finding, ...others] = findings.filter((one) => one.code === `boot/${code}`)
  if (finding === undefined || others.length > 0) throw new Error(`there is one finding ${code}`)
  return finding
}

describe('machines of usual installations', () => {
  test('Debian 12 to Azure: its drivers are there, and its network is not', () => {
    const findings = judge(debian12, azure)
    expect(outcomes(findings)).toEqual({
      firmware: 'passed',
      'disk-drivers': 'passed',
      'network-driver': 'passed',
      loader: 'passed',
      root: 'passed',
      fstab: 'passed',
      network: 'blocker',
      ssh: 'passed',
      'serial-console': 'note',
      'azure-agent': 'note',
    })
    expect(only(findings, 'network').commands).toContain('iface eth0 inet dhcp')
    expect(only(findings, 'serial-console').commands).toContain('update-grub')
  })

  test('Ubuntu 24.04 to Azure: its network is kept for the hardware address of today', () => {
    const findings = judge(ubuntu2404, azure)
    expect(outcomes(findings)).toMatchObject({ 'disk-drivers': 'passed', root: 'passed', fstab: 'passed' })
    const network = only(findings, 'network')
    expect(network).toMatchObject({ outcome: 'blocker' })
    expect(network.message).toContain('52:54:00:12:34:56')
    expect(network.commands).toContain('/etc/netplan/90-understudy.yaml')
  })

  test('RHEL 9 to Azure: what dracut left out is named, with the commands of dracut', () => {
    const findings = judge(rhel9, azure)
    const drivers = only(findings, 'disk-drivers')
    expect(drivers).toMatchObject({ outcome: 'blocker' })
    expect(drivers.message).toContain('hv_vmbus, hv_storvsc, sd_mod')
    expect(drivers.commands).toContain('sudo dracut --force --regenerate-all')
    expect(only(findings, 'network').commands).toContain('nmcli connection add')
    expect(only(findings, 'serial-console').commands).toContain('grubby')
  })

  test('SLES 15 to Azure: every disk that is needed has to have another name', () => {
    const findings = judge(sles15, azure)
    expect(outcomes(findings)).toMatchObject({ root: 'blocker', fstab: 'blocker', network: 'passed' })
    expect(only(findings, 'fstab').message).toContain('/dev/vda2 (/)')
    expect(only(findings, 'fstab').message).not.toContain('/dev/vdb1')
    expect(only(findings, 'fstab').commands).toContain('for device in /dev/vda2 /dev/vdb1 /dev/vda1; do')
    expect(only(findings, 'root').commands).toContain('grub2-mkconfig')
  })

  test.each([
    ['Debian 12', debian12],
    ['Ubuntu 24.04', ubuntu2404],
    ['RHEL 9', rhel9],
    ['SLES 15', sles15],
  ])('%s from KVM to KVM: nothing keeps it from starting', (_, report) => {
    expect(['passed', 'note']).toContain(verdictOf(judge(report, kvm)))
  })
})

const image = (lines: readonly string[]) => ({ images: { '6.1.0-18-amd64': lines } })

/** Recorded: what the script printed in a Debian 12 with its own kernel, for a memory disk of initramfs-tools and one of dracut. */
const recorded = {
  tools: 'initramfs hv_netvsc hv_storvsc hv_vmbus sd_mod virtio_blk virtio_net virtio_pci ',
  dracut: 'initramfs sd_mod virtio_blk virtio_pci ',
}

describe('drivers', () => {
  test.each([
    ['initramfs-tools', recorded.tools, 'passed'],
    ['dracut, for the hardware of today only', recorded.dracut, 'blocker'],
  ])('as %s has put them into the memory disk', (_, line, outcome) => {
    const report = { ...debian12, ...image(['builtin ', `${modules} `, line]) }
    expect(only(judge(report, azure), 'disk-drivers').outcome).toBe(outcome)
    expect(only(judge(report, kvm), 'disk-drivers').outcome).toBe('passed')
  })

  test.each([
    ['all built in', ['builtin hv_vmbus hv_storvsc sd_mod', 'unread it was not found'], 'passed'],
    ['one is in neither', ['builtin hv_vmbus', 'initramfs hv_storvsc'], 'blocker'],
    ['the memory disk was not read', ['builtin hv_vmbus', 'unread it was not found'], 'unknown'],
    ['what is built in is not known', ['initramfs hv_storvsc'], 'unknown'],
    ['all in the memory disk, whatever is built in', ['initramfs hv_storvsc hv_vmbus sd_mod'], 'passed'],
  ])('for disks: %s', (_, lines, outcome) => {
    expect(only(judge({ ...debian12, ...image(lines) }, azure), 'disk-drivers').outcome).toBe(outcome)
  })

  test('an older kernel that lacks them is a warning, and the one that runs is none of those', () => {
    const images = {
      '6.1.0-20-amd64': ['builtin hv_vmbus hv_storvsc sd_mod'],
      '6.1.0-18-amd64': ['builtin ', 'initramfs virtio_blk'],
    }
    const older = { ...debian12, images, kernel: '6.1.0-20-amd64' }
    expect(only(judge(older, azure), 'disk-drivers').outcome).toBe('warning')
    expect(only(judge({ ...debian12, images }, azure), 'disk-drivers').outcome).toBe('blocker')
  })

  test('a kernel without any module for the adapter has no network', () => {
    const without = { ...debian12, ...image(['builtin ', 'available hv_storvsc hv_vmbus', 'initramfs ']) }
    expect(only(judge(without, azure), 'network-driver').outcome).toBe('blocker')
    expect(only(judge({ ...debian12, ...image(['builtin ']) }, azure), 'network-driver').outcome).toBe(
      'unknown',
    )
  })
})

describe('the root and the disks', () => {
  test.each([
    ['root=UUID=0a34 ro', 'passed'],
    ['root=LABEL=root', 'passed'],
    ['root=/dev/mapper/vg-root', 'passed'],
    ['root=/dev/vda1 ro', 'blocker'],
    ['root=/dev/disk/by-path/pci-0000:00:04.0-part1', 'blocker'],
    ['root=/dev/sda1', 'warning'],
    ['quiet', 'unknown'],
  ])('%s in Azure', (commandLine, outcome) => {
    expect(only(judge({ ...debian12, commandLine }, azure), 'root').outcome).toBe(outcome)
  })

  test.each([
    ['UUID=1 / ext4 defaults 0 1', 'passed'],
    ['# /dev/vda1 / ext4', 'passed'],
    ['/dev/vdb1 /data ext4 defaults 0 2', 'blocker'],
    ['/dev/vdb1 /data ext4 defaults,nofail 0 2', 'warning'],
    ['/dev/vdb1 none swap sw 0 0', 'warning'],
  ])('%s in fstab', (line, outcome) => {
    expect(only(judge({ ...debian12, fstab: [line] }, azure), 'fstab').outcome).toBe(outcome)
  })

  test('a machine from other hardware to KVM has to give up the names of that', () => {
    const findings = judge({ ...debian12, commandLine: 'root=/dev/sda1', fstab: ['/dev/sda1 / ext4'] }, kvm)
    expect(outcomes(findings)).toMatchObject({ root: 'blocker', fstab: 'blocker' })
  })

  test('a passphrase that somebody has to type is a warning, a key file is none', () => {
    const encrypted = (line: string) =>
      judge({ ...debian12, more: ['==crypttab /etc/crypttab', ` ${line}`] }, azure).find(
        ({ code }) => code === 'boot/passphrase',
      )?.outcome
    expect(encrypted('vda3_crypt UUID=1 none luks')).toBe('warning')
    expect(encrypted('vda3_crypt UUID=1 /etc/key luks')).toBeUndefined()
  })

  test('a long root delay is told where it is slept in full, and only there', () => {
    const delayed = (report: Report) =>
      judge({ ...report, commandLine: 'root=UUID=1 rootdelay=300' }, azure).some(
        ({ code }) => code === 'boot/root-delay',
      )
    expect([delayed(debian12), delayed(rhel9)]).toEqual([true, false])
  })

  test('a machine that starts by UEFI needs the loader that any firmware finds', () => {
    const loader = (found: Report['loader'] & string) =>
      only(judge({ ...ubuntu2404, loader: found }, azure), 'loader').outcome
    expect([loader('yes'), loader('no'), loader('unknown')]).toEqual(['passed', 'blocker', 'unknown'])
  })
})

const netplan = (text: string) => ({ '/etc/netplan/01.yaml': text })
const eth = (inner: string) => netplan(`network:\n  ethernets:\n    lan0:\n${inner}`)

describe('the network in Azure', () => {
  test.each([
    ['any adapter by DHCP', eth('      match: {name: "e*"}\n      dhcp4: true'), 'passed'],
    ['the driver of Hyper-V', eth('      match: {driver: hv_netvsc}\n      dhcp4: yes'), 'passed'],
    ['another driver', eth('      match:\n        driver: virtio_net\n      dhcp4: yes'), 'blocker'],
    ['a name that is not there', eth('      dhcp4: true'), 'blocker'],
    [
      'a fixed address',
      netplan('network:\n  ethernets:\n    eth0:\n      addresses:\n        - 192.0.2.7/24'),
      'warning',
    ],
    ['nothing that is understood', { '/etc/netplan/01.yaml': 'network: {}' }, 'unknown'],
    ['no file at all', {}, 'unknown'],
    [
      'of networkd, any',
      { '/etc/systemd/network/a.network': '[Match]\nName=en* eth*\n[Network]\nDHCP=yes' },
      'passed',
    ],
    [
      'of networkd, one',
      { '/etc/systemd/network/a.network': '[Match]\nName=ens3\n[Network]\nDHCP=yes' },
      'blocker',
    ],
    [
      'of Red Hat, by hardware address',
      { '/etc/sysconfig/network-scripts/ifcfg-ens3': 'HWADDR=52:54:00:00:00:01\nBOOTPROTO=dhcp' },
      'blocker',
    ],
    [
      'of Red Hat',
      { '/etc/sysconfig/network-scripts/ifcfg-eth0': 'DEVICE="eth0"\nBOOTPROTO="dhcp"' },
      'passed',
    ],
    [
      'of NetworkManager, any',
      {
        '/etc/NetworkManager/system-connections/a.nmconnection':
          '[connection]\ntype=ethernet\n[ipv4]\nmethod=auto',
      },
      'passed',
    ],
    [
      'a wireless one only',
      {
        '/etc/NetworkManager/system-connections/a.nmconnection':
          '[connection]\ntype=wifi\n[ipv4]\nmethod=auto',
      },
      'unknown',
    ],
  ])('%s', (_, files, outcome) => {
    expect(only(judge({ ...debian12, files }, azure), 'network').outcome).toBe(outcome)
  })

  test('with cloud-init, which may write it anew, it is a warning only', () => {
    const services = ['ssh yes', 'agent no', 'cloud-init yes']
    expect(only(judge({ ...ubuntu2404, services }, azure), 'network').outcome).toBe('warning')
  })

  test('a rule that keeps eth0 for the old adapter takes the network away', () => {
    const more = [
      '==naming /etc/udev/rules.d/70-persistent-net.rules',
      ' SUBSYSTEM=="net", ATTR{address}=="52:54:00:12:34:56", NAME="eth0"',
    ]
    const network = only(judge({ ...sles15, more }, azure), 'network')
    expect(network.outcome).toBe('blocker')
    // The rule is what calls the adapter of today eth0: neither is it taken away, nor is anything written for that name.
    expect(network.commands).toBeNull()
    expect(network.remedy).toContain('Leave the rules of udev')
    const matched = only(judge({ ...ubuntu2404, more }, azure), 'network')
    expect(matched.commands).toContain('match: {driver: hv_netvsc}')
    expect(matched.commands).not.toContain('rm ')
  })

  test.each([
    [
      'an adapter that is called so by its hardware address',
      {
        files: {
          '/etc/sysconfig/network-scripts/ifcfg-eth0':
            'DEVICE=eth0\nHWADDR=52:54:00:00:00:01\nIPADDR=192.0.2.7',
        },
      },
    ],
    [
      'the kernel names them',
      {
        files: { '/etc/network/interfaces': 'iface eth1 inet dhcp' },
        commandLine: 'root=UUID=1 net.ifnames=0',
      },
    ],
  ])('what is called eth0 today gets no second configuration: %s', (_, change) => {
    const network = only(judge({ ...debian12, ...change }, azure), 'network')
    expect(network).toMatchObject({ outcome: 'blocker', commands: null })
  })
})

test('half a report is none', () => {
  const whole = print(debian12)
  expect(readLinuxReport(whole.slice(0, -10))).toBeNull()
  expect(readLinuxReport('')).toBeNull()
  expect(readLinuxReport('sh: 1: Syntax error')).toBeNull()
})

test('what a file holds is never taken for the head of a section', () => {
  const forged = readLinuxReport(print({ ...debian12, fstab: ['==image 9.9', 'builtin hv_vmbus'] }))
  expect(forged?.kernels.map(({ version }) => version)).toEqual(['6.1.0-18-amd64'])
})
