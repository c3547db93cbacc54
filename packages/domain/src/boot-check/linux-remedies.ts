// What to type in a Linux machine to prepare it, by the family of its distribution. Everything can be typed while the machine works, and
// leaves it able to start where it is: whatever is written into a file of the boot was first seen to be there.
import type { InterfaceConfiguration, LinuxFacts } from './boot-facts.ts'

export type Family = 'debian' | 'red-hat' | 'suse' | 'other'

export function familyOf({ id, like }: LinuxFacts['distribution']): Family {
  const names = [id, ...like]
  if (names.some((name) => name === 'debian' || name === 'ubuntu')) return 'debian'
  if (names.some((name) => /^(opensuse.*|suse|sles|sled|sles_sap)$/.test(name))) return 'suse'
  if (names.some((name) => /^(rhel|fedora|centos|rocky|almalinux|ol)$/.test(name))) return 'red-hat'
  return 'other'
}

type Commands = Record<Family, string | null>

export function commandsForDrivers(family: Family, drivers: readonly string[]): string | null {
  const dracut = [
    `echo 'add_drivers+=" ${drivers.join(' ')} "' | sudo tee /etc/dracut.conf.d/80-understudy.conf`,
    'sudo dracut --force --regenerate-all',
  ].join('\n')
  const commands: Commands = {
    debian: [
      `printf '%s\\n' ${drivers.join(' ')} | sudo tee -a /etc/initramfs-tools/modules`,
      'sudo update-initramfs -u -k all',
    ].join('\n'),
    'red-hat': dracut,
    suse: dracut,
    other: null,
  }
  return commands[family]
}

export function commandsForRoot(family: Family): string | null {
  const commands: Commands = {
    debian: ["sudo sed -i 's/^GRUB_DISABLE_LINUX_UUID=/#&/' /etc/default/grub", 'sudo update-grub'].join(
      '\n',
    ),
    'red-hat':
      'uuid=$(findmnt -no UUID /) && [ -n "$uuid" ] && sudo grubby --update-kernel=ALL --args="root=UUID=$uuid"',
    suse: [
      "sudo sed -i 's/^GRUB_DISABLE_LINUX_UUID=/#&/' /etc/default/grub",
      'sudo grub2-mkconfig -o /boot/grub2/grub.cfg',
    ].join('\n'),
    other: null,
  }
  return commands[family]
}

/** The same for all: the UUID is read where the device still has its old name. A device that has none keeps its line. */
export const commandsForFstab = (devices: readonly string[]): string =>
  [
    'sudo cp /etc/fstab /etc/fstab.before-understudy',
    `for device in ${devices.join(' ')}; do`,
    '  uuid=$(sudo blkid -s UUID -o value $device) && [ -n "$uuid" ] &&',
    '    sudo sed -i "s#^$device[[:space:]]#UUID=$uuid #" /etc/fstab',
    'done',
  ].join('\n')

export function commandsForConsole(family: Family): string | null {
  const add = `sudo sed -i 's/^GRUB_CMDLINE_LINUX="/&console=tty0 console=ttyS0,115200n8 /' /etc/default/grub`
  const commands: Commands = {
    debian: [add, 'sudo update-grub'].join('\n'),
    'red-hat': 'sudo grubby --update-kernel=ALL --args="console=tty0 console=ttyS0,115200n8"',
    suse: [add, 'sudo grub2-mkconfig -o /boot/grub2/grub.cfg'].join('\n'),
    other: null,
  }
  return commands[family]
}

export function commandsForSsh(family: Family): string | null {
  const commands: Commands = {
    debian: 'sudo apt-get install -y openssh-server\nsudo systemctl enable --now ssh',
    'red-hat': 'sudo dnf install -y openssh-server\nsudo systemctl enable --now sshd',
    suse: 'sudo zypper install -y openssh\nsudo systemctl enable --now sshd',
    other: null,
  }
  return commands[family]
}

export function commandsForAgent(family: Family): string | null {
  const commands: Commands = {
    debian: 'sudo apt-get install -y waagent || sudo apt-get install -y walinuxagent',
    'red-hat': 'sudo dnf install -y WALinuxAgent\nsudo systemctl enable waagent',
    suse: 'sudo zypper install -y python-azure-agent\nsudo systemctl enable waagent',
    other: null,
  }
  return commands[family]
}

/** These match by name, and so today's adapter as well, if it is called so. The others match by the driver, which only Hyper-V's has. */
export const byNameOnly: readonly InterfaceConfiguration['writtenFor'][] = [
  'ifupdown',
  'networkmanager',
  'ifcfg',
]

/** Configuration that waits for an adapter of Hyper-V, which is always called eth0 there. */
export const commandsForNetwork: Record<InterfaceConfiguration['writtenFor'], string> = {
  netplan: [
    "sudo tee /etc/netplan/90-understudy.yaml >/dev/null <<'END'",
    'network:',
    '  version: 2',
    '  ethernets:',
    '    understudy:',
    '      match: {driver: hv_netvsc}',
    '      dhcp4: true',
    'END',
    'sudo chmod 600 /etc/netplan/90-understudy.yaml',
    'sudo netplan generate',
  ].join('\n'),
  ifupdown: [
    "sudo tee /etc/network/interfaces.d/understudy >/dev/null <<'END'",
    'allow-hotplug eth0',
    'iface eth0 inet dhcp',
    'END',
    // Of this one file: others there that nobody reads today are none of ours.
    `grep -q '^source.*interfaces.d' /etc/network/interfaces || echo 'source /etc/network/interfaces.d/understudy' | sudo tee -a /etc/network/interfaces`,
  ].join('\n'),
  networkmanager:
    'sudo nmcli connection add type ethernet con-name understudy ifname eth0 ipv4.method auto connection.autoconnect yes',
  ifcfg: [
    'if [ -d /etc/sysconfig/network ]; then',
    `  printf "BOOTPROTO='dhcp'\\nSTARTMODE='hotplug'\\n" | sudo tee /etc/sysconfig/network/ifcfg-eth0`,
    'else',
    '  sudo nmcli connection add type ethernet con-name understudy ifname eth0 ipv4.method auto connection.autoconnect yes',
    'fi',
  ].join('\n'),
  networkd: [
    "sudo tee /etc/systemd/network/05-understudy.network >/dev/null <<'END'",
    '[Match]',
    'Driver=hv_netvsc',
    '[Network]',
    'DHCP=ipv4',
    'END',
  ].join('\n'),
}
