// What libvirt adds to a machine's eligibility. Pure but for one look: whether QEMU can reach our folder.
import { Outage } from '@understudy/base/errors'
import type { Finding } from '@understudy/domain/machines/machine'
import { withMonitor } from '../monitor.ts'
import { isQemuRefusal } from '../qmp.ts'
import type { Domain, DomainDisk } from './domain-xml.ts'
import type { LibvirtMachine } from './libvirt-directory.ts'

const LOOK_NODE = 'us-look'

export const libvirtFindings = (domain: Domain): readonly Finding[] => [
  {
    level: 'warning',
    code: 'source/libvirt-taint',
    message: `libvirt will mark ${domain.name} as "custom-monitor" until it is started anew, because its monitor is used for points`,
    remedy: 'Nothing. While a point is open, no libvirt snapshot, block job or migration should begin.',
  },
  ...domain.disks.flatMap(diskFindings),
]

function diskFindings(disk: DomainDisk): Finding[] {
  const { target } = disk
  const key = disk.key ?? target
  const blocker = (code: string, message: string, remedy: string): Finding[] => [
    { level: 'blocker', code, message, remedy, ...(disk.key === null ? {} : { disk: disk.key }) },
  ]
  if (disk.bus !== 'virtio')
    return blocker(
      'source/bus',
      `Disk ${key} (${target}) is on ${disk.bus}, not on virtio-blk`,
      'Attach it as virtio-blk, or exclude it.',
    )
  if (disk.shareable)
    return blocker(
      'source/shared-disk',
      `Disk ${key} (${target}) is shared with other machines, whose writes nobody tracks here`,
      'Exclude it.',
    )
  if (disk.file === null)
    return blocker(
      'source/storage-kind',
      `Disk ${key} (${target}) lies on "${disk.storage}" storage; only files are supported through libvirt`,
      'Move it into an image file, or exclude it.',
    )
  return []
}

/** QEMU is asked to open our folder's lock file; libvirt confines it by user and, often, by AppArmor or SELinux. */
export async function folderFindings({
  location,
  domain,
  host,
}: LibvirtMachine): Promise<readonly Finding[]> {
  try {
    return await withMonitor(location, async (qmp) => {
      const filename = `${location.folder}/us-look`
      await host.createSparseFile(filename, 512)
      try {
        await qmp.execute('blockdev-add', { driver: 'file', 'node-name': LOOK_NODE, filename })
        await qmp.execute('blockdev-del', { 'node-name': LOOK_NODE })
        return []
      } catch (error) {
        if (!isQemuRefusal(error)) throw error
        return [unreachable(location.folder, domain, error.message)]
      } finally {
        await host.removeFile(filename)
      }
    })
  } catch (error) {
    if (error instanceof Outage && error.code === 'kvm/socket-closed') return []
    throw error
  }
}

const unreachable = (folder: string, { name, confinedBy, owner }: Domain, said: string): Finding => ({
  level: 'blocker',
  code: 'source/folder-not-reachable',
  message: `QEMU of ${name} cannot use the folder ${folder}, where points keep what the guest overwrites: ${said}`,
  remedy:
    confinedBy === null
      ? `Let the user ${owner ?? 'of QEMU'} enter the folders above it (chmod o+x).`
      : `libvirt confines this QEMU by ${confinedBy}: allow the folder there (AppArmor: "${folder}/** rwk," in /etc/apparmor.d/local/abstractions/libvirt-qemu).`,
})
