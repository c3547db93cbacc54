// Whether anybody wrote to a disk of a machine that is off.
import { Outage } from '@understudy/base/errors'
import type { DiskFingerprint } from '@understudy/engine/ports/source-platform'
import { diskPath } from './machine-definition.ts'
import type { MachineLocation } from './monitor.ts'
import { definitionOf } from './power.ts'

/**
 * Size, modification time in nanoseconds and inode of every disk file. Compare for equality only. Meaningful once the machine's
 * process has ended: QEMU writes into qcow2 files until its last moment.
 */
export async function diskFingerprints(machine: MachineLocation): Promise<readonly DiskFingerprint[]> {
  const { disks } = definitionOf(machine)
  return Promise.all(
    disks.map(async (disk) => {
      const path = diskPath(machine.folder, disk)
      const status = await machine.host.status(path)
      if (status === null)
        throw new Outage({
          code: 'kvm/disk-missing',
          message: `Disk ${disk.key} of ${machine.name} is not at ${path}`,
          remedy: 'Bring the file back or correct machine.json.',
        })
      return { key: disk.key, value: `${status.bytes}:${status.mtimeNanoseconds}:${status.inode}` }
    }),
  )
}
