// From a replica's definition to the XML that libvirt makes a domain of: https://libvirt.org/formatdomain.html. Pure.
import type { DiskKey } from '@understudy/domain/machines/machine'
import { aliasOfKey } from '../device-alias.ts'
import {
  type DefinedAdapter,
  type DefinedDisk,
  diskPath,
  type MachineDefinition,
} from '../machine-definition.ts'
import type { SiteNetwork } from '../networks.ts'
import { BACKING_RECONNECT_SECONDS, replicaTexts } from '../qemu-command.ts'
import { TAG_NAMESPACE } from './domain-xml.ts'
import { escaped } from './xml.ts'

/**
 * The same hardware as that of replicas on plain KVM (qemu-command.ts). The tag is part of it from the beginning, so
 * whatever exists can be found and removed. Everything that is no word of ours is escaped, numbers too.
 */
export function replicaXml(
  definition: MachineDefinition,
  folder: string,
  networks: readonly SiteNetwork[],
): string {
  const { accelerator, disks, adapters } = definition
  return `<domain type='${accelerator === 'kvm' ? 'kvm' : 'qemu'}'>
  <name>${escaped(definition.name)}</name>
  <uuid>${escaped(definition.ref)}</uuid>
  <metadata><understudy:run xmlns:understudy='${TAG_NAMESPACE}' id='${escaped(definition.ownedBy ?? '')}'/></metadata>
  <memory unit='b'>${escaped(String(definition.memoryBytes))}</memory>
  <vcpu>${escaped(String(definition.cpus))}</vcpu>
  ${sysinfo(definition)}
  ${firmware(definition.firmware)}
  <features><acpi/><apic/>${accelerator === 'kvm' ? '' : "<tcg><tb-cache unit='MiB'>64</tb-cache></tcg>"}</features>
  ${accelerator === 'kvm' ? "<cpu mode='host-passthrough'/>" : ''}
  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
  <devices>
${disks.map((disk, index) => diskElement(disk, folder, { index, order: orderOf(disks, disk.key) })).join('\n')}
${adapters.map((adapter) => adapterElement(adapter, networks)).join('\n')}
    <controller type='usb' model='none'/>
    <serial type='pty'/><console type='pty'/>
    ${definition.guestAgent ? "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>" : ''}
    <video><model type='vga'/></video>
    <memballoon model='none'/>
  </devices>
</domain>
`
}

/** What an agent inside finds: see markArguments of qemu-command.ts. */
const sysinfo = ({ ownedBy, adapters }: MachineDefinition): string =>
  `<sysinfo type='smbios'><oemStrings>${replicaTexts(ownedBy ?? '', adapters)
    .map((text) => `<entry>${escaped(text)}</entry>`)
    .join('')}</oemStrings></sysinfo>`

/** With UEFI libvirt chooses the firmware that the host has, and makes and removes the file of its variables. */
const firmware = (kind: MachineDefinition['firmware']): string =>
  kind === 'uefi'
    ? "<os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type><smbios mode='sysinfo'/><firmware><feature enabled='no' name='secure-boot'/></firmware></os>"
    : "<os><type arch='x86_64' machine='q35'>hvm</type><smbios mode='sysinfo'/></os>"

/** libvirt starts QEMU with strict boot: the firmware sees no disk that has no place in the order. */
function orderOf(disks: readonly DefinedDisk[], key: DiskKey): number {
  const sorted = disks.toSorted((a, b) => Number(b.boot) - Number(a.boot))
  return sorted.findIndex((disk) => disk.key === key) + 1
}

function diskElement(disk: DefinedDisk, folder: string, place: { index: number; order: number }): string {
  // A guest that is stopped can go on when the server is back; one that saw an I/O error has lost data.
  const onError = disk.backing === undefined ? '' : " error_policy='stop' rerror_policy='stop'"
  return `    <disk type='file' device='disk'>
      <driver name='qemu' type='${escaped(disk.format)}' discard='unmap'${onError}/>
      <source file='${escaped(diskPath(folder, disk))}'/>
      ${disk.backing === undefined ? '' : backingElement(disk.backing)}
      <target dev='${escaped(targetName(place.index))}' bus='virtio'/>
      <boot order='${escaped(String(place.order))}'/>
      <alias name='${escaped(aliasOfKey(disk.key))}'/>
    </disk>`
}

/** The whole chain is spelled out, with its end: libvirt then opens nothing to find out by itself. */
const backingElement = ({ path, exportName }: NonNullable<DefinedDisk['backing']>): string =>
  `<backingStore type='network'><format type='raw'/><source protocol='nbd' name='${escaped(exportName)}'><host transport='unix' socket='${escaped(path)}'/><reconnect delay='${BACKING_RECONNECT_SECONDS}'/></source><backingStore/></backingStore>`

/** vda, vdz, vdaa: as diskIndex of domain-xml.ts counts them. */
export function targetName(index: number): string {
  const last = String.fromCharCode(97 + (index % 26))
  return index < 26 ? `vd${last}` : `${targetName(Math.floor(index / 26) - 1)}${last}`
}

function adapterElement(adapter: DefinedAdapter, networks: readonly SiteNetwork[]): string {
  const network = networks.find(({ id }) => id === adapter.networkId)
  const common = `<mac address='${escaped(adapter.macAddress)}'/><model type='virtio'/><rom enabled='no'/><alias name='${escaped(aliasOfKey(adapter.key))}'/>`
  if (network?.bridge !== undefined) {
    const kind = network.managedByLibvirt === true ? 'network' : 'bridge'
    return `    <interface type='${kind}'><source ${kind}='${escaped(network.bridge)}'/>${common}</interface>`
  }
  // libvirt cannot restrict a user network, so in an isolated one the cable is out: then it certainly reaches nobody.
  const unplugged = network === undefined || network.isolated
  return `    <interface type='user'>${common}<link state='${unplugged ? 'down' : 'up'}'/></interface>`
}
