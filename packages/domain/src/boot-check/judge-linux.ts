// Would this Linux machine start on that hardware, find its disks, and be reached? Pure.

import type { KernelFacts, LinuxFacts } from './boot-facts.ts'
import { type BootFinding, found, passed } from './boot-finding.ts'
import { type GuestHardware, type PresentedHardware, wordsOfHardware } from './guest-hardware.ts'
import { judgeNetwork } from './judge-linux-network.ts'
import {
  commandsForAgent,
  commandsForConsole,
  commandsForDrivers,
  commandsForFstab,
  commandsForRoot,
  commandsForSsh,
  familyOf,
} from './linux-remedies.ts'
import type { Driver } from './linux-script.ts'

/** Without these no root is found. Disks of Hyper-V are SCSI disks, which need a driver of their own above that of the bus. */
const diskDrivers: Record<GuestHardware, readonly Driver[]> = {
  'hyper-v': ['hv_vmbus', 'hv_storvsc', 'sd_mod'],
  virtio: ['virtio_pci', 'virtio_blk'],
}
const networkDriver: Record<GuestHardware, Driver> = { 'hyper-v': 'hv_netvsc', virtio: 'virtio_net' }

/** What a machine needs of its kernels to find its disks and its network there. */
export const driversFor = (kind: GuestHardware): readonly Driver[] => [
  ...diskDrivers[kind],
  networkDriver[kind],
]

/** A root delay is slept in full by the scripts of Debian, at every boot. */
const LONGEST_ROOT_DELAY_SECONDS = 60

export function judgeLinux(facts: LinuxFacts, hardware: PresentedHardware): readonly BootFinding[] {
  return [
    judgeDiskDrivers(facts, hardware),
    judgeNetworkDriver(facts, hardware),
    judgeLoader(facts),
    judgeRoot(facts, hardware),
    judgeFstab(facts, hardware),
    judgeNetwork(facts, hardware),
    judgeSsh(facts, hardware),
    ...judgeCrypttab(facts),
    ...judgeRootDelay(facts),
    ...(hardware.serialLineOnly ? [judgeConsole(facts)] : []),
    ...(hardware.kind === 'hyper-v' ? [judgeAgent(facts)] : []),
  ]
}

function judgeDiskDrivers(facts: LinuxFacts, { kind }: PresentedHardware): BootFinding {
  const code = 'boot/disk-drivers'
  const title = `Drivers for disks on ${wordsOfHardware[kind]}`
  const needed = diskDrivers[kind]
  const states = facts.kernels.map((kernel) => ({ kernel, ...stateOf(kernel, needed) }))
  // Which one boots next is known of these two: the newest by habit, and the one that was chosen last time.
  const matters = states.filter(({ kernel }, index) => index === 0 || kernel.version === facts.runningKernel)
  const lacking = states.filter(({ missing }) => missing.length > 0)
  const commands = commandsForDrivers(familyOf(facts.distribution), needed)
  const remedy = {
    remedy:
      'Put the drivers into the initial memory disks now; where it runs, the machine uses them at its next start.',
    commands,
  }
  const grave = matters.find(({ missing }) => missing.length > 0)
  if (grave)
    return found(
      'blocker',
      {
        code,
        title,
        message: `Kernel ${grave.kernel.version} has ${grave.missing.join(', ')} neither built in nor in its initial memory disk: it would find no disk`,
      },
      remedy,
    )
  const unread = matters.find(({ unread: reason }) => reason !== null)
  if (matters.length === 0 || unread)
    return found(
      'unknown',
      {
        code,
        title,
        message: unread
          ? `Of kernel ${unread.kernel.version}: ${unread.unread}`
          : 'The machine told of no kernel',
      },
      {
        remedy:
          'See that /boot is mounted and the agent may read it; or look yourself that the initial memory disk holds the drivers.',
        commands: `for driver in ${needed.join(' ')}; do lsinitramfs /boot/initrd.img-$(uname -r) 2>/dev/null | grep $driver || lsinitrd 2>/dev/null | grep $driver; done`,
      },
    )
  const [older] = lacking
  if (older)
    return found(
      'warning',
      {
        code,
        title,
        message: `The older kernel ${older.kernel.version} lacks ${older.missing.join(', ')}; the newest one has all that is needed`,
      },
      remedy,
    )
  return passed({
    code,
    title,
    message: `${needed.join(', ')}: built in, or in the initial memory disk of ${states.map(({ kernel }) => kernel.version).join(', ')}`,
  })
}

type DriverState = { readonly missing: readonly Driver[]; readonly unread: string | null }

/** A driver that is not known to be built in may be: without that list only what the memory disk holds is sure. */
function stateOf({ builtIn, initramfs }: KernelFacts, needed: readonly Driver[]): DriverState {
  const absent = needed.filter((driver) => !(builtIn ?? []).includes(driver))
  if (absent.length === 0) return { missing: [], unread: null }
  if (initramfs.kind === 'unread') return { missing: [], unread: initramfs.reason }
  const missing = absent.filter((driver) => !initramfs.drivers.includes(driver))
  if (missing.length > 0 && builtIn === null)
    return {
      missing: [],
      unread: `${missing.join(', ')} is not in its initial memory disk, and which drivers it has built in is not known`,
    }
  return { missing, unread: null }
}

function judgeNetworkDriver(facts: LinuxFacts, { kind }: PresentedHardware): BootFinding {
  const driver = networkDriver[kind]
  const code = 'boot/network-driver'
  const title = `Driver for adapters on ${wordsOfHardware[kind]}`
  const kernel = facts.kernels[0]
  const has = (drivers: readonly string[] | null | undefined): boolean => drivers?.includes(driver) === true
  if (
    has(kernel?.builtIn) ||
    has(kernel?.available) ||
    (kernel?.initramfs.kind === 'read' && has(kernel.initramfs.drivers))
  )
    return passed({ code, title, message: `Kernel ${kernel?.version ?? ''} has ${driver}` })
  if (!kernel || kernel.available === null || kernel.builtIn === null)
    return found(
      'unknown',
      { code, title, message: `What modules the newest kernel has could not be read` },
      { remedy: 'Look yourself whether the driver is there.', commands: `modinfo ${driver}` },
    )
  return found(
    'blocker',
    {
      code,
      title,
      message: `Kernel ${kernel.version} has no ${driver}: it would start without any network`,
    },
    { remedy: 'Install the kernel package of the distribution that has the driver, and start it once.' },
  )
}

function judgeLoader({ firmware, fallbackLoader }: LinuxFacts): BootFinding {
  const code = 'boot/loader'
  const title = 'Boot loader'
  if (firmware === 'bios')
    return passed({
      code,
      title,
      message: 'It starts by BIOS: its boot loader lies on the disk and comes along',
    })
  if (fallbackLoader === true)
    return passed({
      code,
      title,
      message: 'It starts by UEFI, and its EFI partition has EFI/BOOT/BOOTX64.EFI, which any firmware finds',
    })
  if (fallbackLoader === null)
    return found(
      'unknown',
      {
        code,
        title,
        message: 'It starts by UEFI, and its EFI partition is not mounted: what lies there is not known',
      },
      { remedy: 'Mount the EFI partition at /boot/efi and check again.' },
    )
  return found(
    'blocker',
    {
      code,
      title,
      message:
        'It starts by UEFI from an entry that its firmware remembers. New firmware knows no such entry and looks for EFI/BOOT/BOOTX64.EFI, which is not there',
    },
    {
      remedy: 'Put the boot loader where any firmware finds it, beside the one that is used now.',
      commands: 'sudo grub-install --removable --no-nvram || sudo grub2-install --removable --no-nvram',
    },
  )
}

/** Names that depend on the bus or on the order in which disks were found. */
const namesOf: Record<GuestHardware, RegExp> = {
  'hyper-v':
    /^\/dev\/(vd[a-z]+\d*|xvd[a-z]+\d*|nvme\S+|disk\/by-path\/\S+|disk\/by-id\/(?!dm-|lvm-|md-)\S+)$/,
  virtio: /^\/dev\/(sd[a-z]+\d*|xvd[a-z]+\d*|hd[a-z]+\d*|nvme\S+)$/,
}
const BY_ORDER = /^\/dev\/(sd|vd)[a-z]+\d*$/

function judgeRoot(facts: LinuxFacts, { kind }: PresentedHardware): BootFinding {
  const code = 'boot/root'
  const title = 'How the kernel finds its root'
  const root = /(?:^|\s)root=(\S+)/.exec(facts.commandLine)?.[1]
  if (root === undefined)
    return found(
      'unknown',
      {
        code,
        title,
        message:
          'The command line of the kernel names no root, so its initial memory disk looks for it in its own way',
      },
      { remedy: 'A test failover shows it.' },
    )
  const remedy = {
    remedy: 'Let the boot loader name the root by its UUID.',
    commands: commandsForRoot(familyOf(facts.distribution)),
  }
  if (namesOf[kind].test(root))
    return found(
      'blocker',
      {
        code,
        title,
        message: `The kernel is told root=${root}. On ${wordsOfHardware[kind]} disks have other names: it would wait for a disk that never comes`,
      },
      remedy,
    )
  if (BY_ORDER.test(root) && kind === 'hyper-v')
    return found(
      'warning',
      {
        code,
        title,
        message: `The kernel is told root=${root}. On Hyper-V which disk is ${root} depends on which is found first`,
      },
      remedy,
    )
  return passed({ code, title, message: `root=${root} means the same on any hardware` })
}

function judgeFstab({ fstab, distribution }: LinuxFacts, { kind }: PresentedHardware): BootFinding {
  const code = 'boot/fstab'
  const title = 'Disks in /etc/fstab'
  if (fstab === null)
    return found(
      'unknown',
      { code, title, message: '/etc/fstab is not there or may not be read' },
      { remedy: 'A test failover shows whether it mounts what it needs.' },
    )
  const named = fstab
    .map((line) => line.split(/\s+/))
    .map(([device = '', place = '', type = '', options = '']) => ({ device, place, type, options }))
    .filter(({ device }) => namesOf[kind].test(device))
  if (named.length === 0)
    return passed({ code, title, message: 'It names no disk by a name that changes with the hardware' })
  // systemd ends in emergency mode where a file system is missing; without a swap it only waits, and goes on.
  const needed = named.filter(
    ({ type, options }) => type !== 'swap' && !/(^|,)(nofail|noauto)(,|$)/.test(options),
  )
  const list = (needed.length > 0 ? needed : named).map(({ device, place }) => `${device} (${place})`)
  const consequence =
    needed.length > 0
      ? 'it would stop in emergency mode before anybody can sign in'
      : 'it would start later, and without them'
  const family = familyOf(distribution)
  return found(
    needed.length > 0 ? 'blocker' : 'warning',
    {
      code,
      title,
      message: `/etc/fstab names ${list.join(', ')}. On ${wordsOfHardware[kind]} disks have other names: ${consequence}`,
    },
    {
      remedy: 'Name them by their UUIDs, which mean the same on any hardware. A copy of the file is kept.',
      commands: `${commandsForFstab(named.map(({ device }) => device))}${family === 'other' ? '' : '\nsudo systemctl daemon-reload'}`,
    },
  )
}

function judgeSsh(
  { sshServer, distribution }: LinuxFacts,
  { serialLineOnly }: PresentedHardware,
): BootFinding {
  const code = 'boot/ssh'
  const title = 'Way in for a person'
  if (sshServer === true) return passed({ code, title, message: 'An SSH server starts with it' })
  if (sshServer === null)
    return found(
      'unknown',
      { code, title, message: 'Whether an SSH server starts with it could not be read' },
      { remedy: 'Try to sign in over SSH.' },
    )
  return found(
    serialLineOnly ? 'warning' : 'note',
    {
      code,
      title,
      message: `No SSH server starts with it${serialLineOnly ? ', and there is no screen to type at' : ''}: nobody could sign in from afar`,
    },
    {
      remedy: 'Install and enable one, unless nobody has to get in.',
      commands: commandsForSsh(familyOf(distribution)),
    },
  )
}

/** crypttab(5): name, device, key, options. Without a key file somebody has to type it. */
function judgeCrypttab({ crypttab }: LinuxFacts): readonly BootFinding[] {
  const asked = crypttab
    .map((line) => line.split(/\s+/))
    .filter(([, , key = 'none', options = '']) => /^(none|-)$/.test(key) && !/noauto|tpm2/.test(options))
    .map(([name]) => name)
  if (asked.length === 0) return []
  return [
    found(
      'warning',
      {
        code: 'boot/passphrase',
        title: 'Encrypted disks',
        message: `It asks for the passphrase of ${asked.join(', ')} at every start, and waits for somebody to type it`,
      },
      {
        remedy:
          'Have somebody with the passphrase at the console of the target on that day, and try it in a test.',
      },
    ),
  ]
}

function judgeRootDelay(facts: LinuxFacts): readonly BootFinding[] {
  const seconds = Number(/(?:^|\s)rootdelay=(\d+)/.exec(facts.commandLine)?.[1] ?? 0)
  if (seconds < LONGEST_ROOT_DELAY_SECONDS || familyOf(facts.distribution) !== 'debian') return []
  return [
    found(
      'warning',
      {
        code: 'boot/root-delay',
        title: 'Root delay',
        message: `rootdelay=${seconds} is slept in full at every start: recovery takes ${seconds} s longer`,
      },
      {
        remedy: 'Take it out: this distribution waits for its root by itself.',
        commands: `sudo sed -i 's/ *rootdelay=[0-9]*//' /etc/default/grub\nsudo update-grub`,
      },
    ),
  ]
}

function judgeConsole({ commandLine, distribution }: LinuxFacts): BootFinding {
  const code = 'boot/serial-console'
  const title = 'Serial console'
  if (/(?:^|\s)console=ttyS0\b/.test(commandLine))
    return passed({ code, title, message: 'The kernel writes to ttyS0, which the target shows' })
  return found(
    'note',
    {
      code,
      title,
      message:
        'The kernel does not write to ttyS0: the serial console of the target would stay empty, and show no reason when it does not start',
    },
    {
      remedy: 'Add the serial line to its consoles.',
      commands: commandsForConsole(familyOf(distribution)),
    },
  )
}

function judgeAgent({ azureAgent, distribution }: LinuxFacts): BootFinding {
  const code = 'boot/azure-agent'
  const title = 'Azure agent'
  if (azureAgent === true) return passed({ code, title, message: 'The Azure agent starts with it' })
  return found(
    azureAgent === null ? 'unknown' : 'note',
    {
      code,
      title,
      message:
        azureAgent === null
          ? 'Whether the Azure agent is there could not be read'
          : 'The Azure agent is not installed: it starts without, but Azure cannot run commands in it nor reset a password',
    },
    {
      remedy: 'Install it if you want that; cloud-init should leave its network alone until it is there.',
      commands: commandsForAgent(familyOf(distribution)),
    },
  )
}
