// Would this Windows machine start on that hardware, find its disks, and be reached? Pure. After Microsoft's documentation on preparing a
// disk for Azure ("Prepare a Windows VHD"), and the registry it names.

import type { WindowsFacts } from './boot-facts.ts'
import { type BootFinding, found, passed } from './boot-finding.ts'
import { type GuestHardware, type PresentedHardware, wordsOfHardware } from './guest-hardware.ts'

const diskServices: Record<GuestHardware, readonly string[]> = {
  'hyper-v': ['vmbus', 'storvsc'],
  virtio: ['viostor'],
}
const networkService: Record<GuestHardware, string> = { 'hyper-v': 'netvsc', virtio: 'netkvm' }
const DISABLED = 4
/** In a machine that is all Windows: 1 is `OnlineAll`. */
const ONLINE_ALL = 1

export function judgeWindows(facts: WindowsFacts, hardware: PresentedHardware): readonly BootFinding[] {
  return [
    judgeDiskDrivers(facts, hardware.kind),
    judgeNetworkDriver(facts, hardware.kind),
    judgeRemoteDesktop(facts, hardware),
    judgeRestart(facts),
    judgeNewDisks(facts, hardware.kind),
    ...(hardware.kind === 'hyper-v' ? [judgeAddresses(facts), judgeConsole(facts), judgeAgent(facts)] : []),
  ]
}

function judgeDiskDrivers({ startTypes }: WindowsFacts, kind: GuestHardware): BootFinding {
  const code = 'boot/disk-drivers'
  const title = `Drivers for disks on ${wordsOfHardware[kind]}`
  const services = diskServices[kind]
  const absent = services.filter((service) => startTypes[service] === undefined)
  if (absent.length > 0)
    return found(
      'blocker',
      {
        code,
        title,
        message: `${absent.join(', ')} is not installed: it would stop with INACCESSIBLE_BOOT_DEVICE`,
      },
      {
        remedy:
          kind === 'virtio'
            ? 'Install the virtio drivers (viostor) in it, while it runs.'
            : 'Repair its system files: Windows brings these drivers along.',
        commands: kind === 'virtio' ? null : 'DISM /Online /Cleanup-Image /RestoreHealth',
      },
    )
  const late = services.filter((service) => startTypes[service] !== 0)
  if (late.length > 0)
    return found(
      'blocker',
      {
        code,
        title,
        message: `${late.join(', ')} does not start with the boot loader (Start is not 0): it would stop with INACCESSIBLE_BOOT_DEVICE`,
      },
      {
        remedy: 'Have the drivers started at boot; where it runs, that holds from its next start.',
        commands: late
          .map(
            (service) =>
              `reg add HKLM\\SYSTEM\\CurrentControlSet\\Services\\${service} /v Start /t REG_DWORD /d 0 /f`,
          )
          .join('\n'),
      },
    )
  return passed({ code, title, message: `${services.join(', ')} start with the boot loader` })
}

function judgeNetworkDriver({ startTypes }: WindowsFacts, kind: GuestHardware): BootFinding {
  const code = 'boot/network-driver'
  const title = `Driver for adapters on ${wordsOfHardware[kind]}`
  const service = networkService[kind]
  const start = startTypes[service]
  if (start !== undefined && start !== DISABLED)
    return passed({ code, title, message: `${service} is installed` })
  return found(
    'blocker',
    {
      code,
      title,
      message: `${service} is ${start === undefined ? 'not installed' : 'disabled'}: it would start without any network`,
    },
    {
      remedy: start === undefined ? 'Install the driver in it, while it runs.' : 'Let it start on demand.',
      commands:
        start === undefined
          ? null
          : `reg add HKLM\\SYSTEM\\CurrentControlSet\\Services\\${service} /v Start /t REG_DWORD /d 3 /f`,
    },
  )
}

function judgeRemoteDesktop(
  { remoteDesktop, remoteDesktopFirewall }: WindowsFacts,
  { serialLineOnly }: PresentedHardware,
): BootFinding {
  const code = 'boot/remote-desktop'
  const title = 'Way in for a person'
  if (remoteDesktop === true && remoteDesktopFirewall === true)
    return passed({ code, title, message: 'Remote Desktop is on, and its firewall lets it in' })
  const outcome = serialLineOnly ? 'warning' : 'note'
  if (remoteDesktop === false)
    return found(
      outcome,
      { code, title, message: 'Remote Desktop is off: nobody could sign in from afar' },
      {
        remedy: 'Switch it on, and let it through the firewall.',
        commands: [
          `Set-ItemProperty -Path 'HKLM:\\SYSTEM\\CurrentControlSet\\Control\\Terminal Server' -Name fDenyTSConnections -Value 0`,
          'Set-Service -Name TermService -StartupType Automatic',
          `Enable-NetFirewallRule -Group '@FirewallAPI.dll,-28752'`,
        ].join('\n'),
      },
    )
  if (remoteDesktopFirewall === false)
    return found(
      outcome,
      { code, title, message: 'Remote Desktop is on, and the firewall of the machine lets nobody in to it' },
      {
        remedy: 'Let it through the firewall.',
        commands: `Enable-NetFirewallRule -Group '@FirewallAPI.dll,-28752'`,
      },
    )
  return found(
    'unknown',
    { code, title, message: 'Whether Remote Desktop is on could not be read' },
    { remedy: 'Try to sign in over Remote Desktop.' },
  )
}

function judgeRestart({ pendingRestart }: WindowsFacts): BootFinding {
  const code = 'boot/pending-restart'
  const title = 'Restart that is due'
  if (pendingRestart.length === 0) return passed({ code, title, message: 'No restart is due' })
  return found(
    'warning',
    {
      code,
      title,
      message: `A restart is due (${pendingRestart.join(', ')}): what is half installed would be finished at the first start elsewhere, and may take long or fail there`,
    },
    { remedy: 'Restart the machine when that suits.', commands: 'shutdown /r /t 0' },
  )
}

function judgeNewDisks({ sanPolicy }: WindowsFacts, kind: GuestHardware): BootFinding {
  const code = 'boot/disk-policy'
  const title = 'Disks come online'
  if (sanPolicy === ONLINE_ALL)
    return passed({ code, title, message: 'Disks that are new to it come online' })
  return found(
    sanPolicy === null ? 'unknown' : 'warning',
    {
      code,
      title,
      message:
        sanPolicy === null
          ? 'The policy for disks that are new could not be read'
          : `Its policy leaves some disks offline that are new to it (SanPolicy ${sanPolicy}); on ${wordsOfHardware[kind]} all of them are new: drives other than C: would be missing`,
    },
    {
      remedy: 'Have all disks come online.',
      commands: `reg add HKLM\\SYSTEM\\CurrentControlSet\\Services\\partmgr\\Parameters /v SanPolicy /t REG_DWORD /d ${ONLINE_ALL} /f`,
    },
  )
}

function judgeAddresses({ fixedAddresses }: WindowsFacts): BootFinding {
  const code = 'boot/network'
  const title = 'Network configuration'
  if (fixedAddresses.length === 0)
    return passed({ code, title, message: 'Its adapters ask for their addresses (DHCP), as a new one does' })
  return found(
    'note',
    {
      code,
      title,
      message: `It has fixed addresses (${fixedAddresses.join(', ')}). An adapter that is new to it asks for its address, so these are not used there`,
    },
    { remedy: 'Where the address matters, fix it in the settings of the target site for this adapter.' },
  )
}

function judgeConsole({ serialConsole }: WindowsFacts): BootFinding {
  const code = 'boot/serial-console'
  const title = 'Serial console'
  if (serialConsole === true)
    return passed({ code, title, message: 'Emergency services write to the serial line' })
  return found(
    serialConsole === null ? 'unknown' : 'note',
    {
      code,
      title,
      message:
        serialConsole === null
          ? 'Whether emergency services are on could not be read'
          : 'Emergency services are off: the serial console of the target would stay empty',
    },
    {
      remedy: 'Switch them on.',
      commands: 'bcdedit /ems {current} on\nbcdedit /emssettings EMSPORT:1 EMSBAUDRATE:115200',
    },
  )
}

function judgeAgent({ azureAgent }: WindowsFacts): BootFinding {
  const code = 'boot/azure-agent'
  const title = 'Azure agent'
  if (azureAgent === true) return passed({ code, title, message: 'The Azure agent is installed' })
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
    { remedy: 'Install the Azure VM Agent in it if you want that.' },
  )
}
