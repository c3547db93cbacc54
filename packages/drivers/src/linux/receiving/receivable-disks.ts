// The whole disks of a computer in a rescue system, and which of them must not be written, and why.
import type { ReceiverDisk } from '@understudy/domain/failover/receiver'
import { type BlockDevice, readWholeDisks, type WholeDisk } from '../block-devices.ts'

/** `only`: these devices and nothing else; null: all that a server could start from. */
export async function readReceivableDisks(
  only: readonly string[] | null,
  signal?: AbortSignal,
): Promise<readonly ReceiverDisk[]> {
  return (await readWholeDisks(only, signal)).map(toReceiverDisk)
}

const toReceiverDisk = (disk: WholeDisk): ReceiverDisk => ({
  path: disk.path,
  bytes: disk.bytes,
  model: disk.model,
  serial: disk.serial ?? disk.wwn,
  bus: disk.transport,
  key: disk.key,
  keyIsStable: disk.keyIsStable,
  blocked: whyBlocked(disk),
})

/** Of file systems that only media to start from have. */
const MEDIA = ['iso9660', 'squashfs', 'udf']
const USERS: Readonly<Record<string, string>> = { lvm: 'LVM', crypt: 'encryption', mpath: 'multipath' }

/** Pure. */
export function whyBlocked(disk: BlockDevice): string | null {
  if (disk.readOnly) return 'it can only be read'
  const all = withAll(disk)
  const mounted = all.flatMap(({ mountPoints }) => mountPoints)
  const [first] = mounted.filter((point) => point !== '[SWAP]')
  if (first !== undefined) return `something of it is mounted at ${first}`
  if (mounted.length > 0) return 'the rescue system swaps to it'
  const user = all.find(({ type }) => type.startsWith('raid') || type in USERS)
  if (user) return `${USERS[user.type] ?? 'an array of md'} (${user.name}) uses it`
  if (all.some(({ fileSystem }) => fileSystem !== null && MEDIA.includes(fileSystem)))
    return 'it is a medium to start from, maybe the one that the rescue system came from'
  return null
}

const withAll = (device: BlockDevice): readonly BlockDevice[] => [device, ...device.children.flatMap(withAll)]
