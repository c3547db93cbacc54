// Whether this server can be copied while it runs, and what limits it. Pure: facts in, findings out.
import { Refusal } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import { blocker, warning } from '@understudy/domain/machines/finding'
import type { DiskKey, Eligibility, Finding } from '@understudy/domain/machines/machine'
import type { BlockDevice, WholeDisk } from './block-devices.ts'
import { canFreeze, planHold } from './mounts.ts'
import type { ServerFacts } from './server-facts.ts'

/** Each point holds the server still for a moment. */
export const SHORTEST_INTERVAL_SECONDS = 15

export type EligibilityFacts = Pick<
  ServerFacts,
  'name' | 'isRoot' | 'lockdown' | 'tracing' | 'disks' | 'mounts' | 'rootType' | 'hasNvmePaths' | 'hasScripts'
>

export const checkEligibility = (facts: EligibilityFacts): Eligibility => ({
  findings: [
    ...rightsFindings(facts),
    ...tracingFindings(facts),
    ...mountFindings(facts),
    ...twinFindings(facts),
    ...facts.disks.flatMap((disk) => diskFindings(disk, facts)),
    ...(facts.disks.length === 0 ? [noDisk(facts)] : []),
  ],
  shortestIntervalSeconds: SHORTEST_INTERVAL_SECONDS,
  applicationConsistent: facts.hasScripts,
})

/**
 * Those that a point copies. What was no blocker when the server was protected may be one by now: a second path to a disk, a layer that
 * came later. Refuses with the first one that is not about an excluded disk.
 */
export function disksToCopy(facts: EligibilityFacts, excluded: readonly DiskKey[]): readonly WholeDisk[] {
  const found = checkEligibility(facts).findings.find(
    ({ level, disk }) => level === 'blocker' && (disk === undefined || !excluded.includes(disk)),
  )
  if (found) throw new Refusal({ code: found.code, message: found.message, remedy: found.remedy })
  const disks = facts.disks.filter(({ key }) => !excluded.includes(key))
  if (disks.length === 0)
    throw new Refusal({
      code: 'linux/nothing-to-copy',
      message: 'Every disk of this server is excluded',
      remedy: 'Take at least the disk that it starts from into the protection again.',
    })
  invariant(
    new Set(disks.map(({ key }) => key)).size === disks.length,
    'two disks of a point must not have one key: one would be written over the other',
  )
  return disks
}

/** They say the same of themselves: two paths to one disk, or two disks that cannot be told apart. */
function twinFindings({ disks }: EligibilityFacts): Finding[] {
  const first = new Map<DiskKey, WholeDisk>()
  const found: Finding[] = []
  for (const disk of disks) {
    const twin = first.get(disk.key)
    if (twin)
      found.push({
        ...blocker(
          'linux/same-name-twice',
          `${twin.path} and ${disk.path} say that they are the same disk (${disk.key}): they are two paths to it, or cannot be told apart`,
          'Give the server one path to it, exclude both, or give each a WWN or serial number of its own.',
        ),
        disk: disk.key,
      })
    else first.set(disk.key, disk)
  }
  return found
}

const noDisk = ({ name }: EligibilityFacts): Finding =>
  blocker('linux/no-disk', `${name} has no disk of its own`, 'Look at lsblk on the server.')

function rightsFindings({ name, isRoot }: EligibilityFacts): Finding[] {
  if (isRoot) return []
  return [
    blocker(
      'linux/not-root',
      `The agent on ${name} does not run as root, so it may neither read disks nor freeze file systems`,
      'Run it as root: install it again with its command.',
    ),
  ]
}

function tracingFindings({ name, lockdown, tracing }: EligibilityFacts): Finding[] {
  if (lockdown === 'confidentiality')
    return [
      blocker(
        'linux/locked-down',
        `The kernel of ${name} is locked down for confidentiality, so nobody may see what is written`,
        'Start it with lockdown=integrity, or without lockdown.',
      ),
    ]
  if (tracing === 'absent')
    return [
      blocker(
        'linux/no-tracing',
        `The kernel of ${name} does not show completed writes: the event block_rq_complete is not there`,
        'Mount tracefs on /sys/kernel/tracing, or run a kernel with CONFIG_BLK_DEV_IO_TRACE.',
      ),
    ]
  if (tracing === 'unknown-format')
    return [
      blocker(
        'linux/unknown-tracing',
        `The kernel of ${name} describes completed writes in a way that this version does not know`,
        'Update the agent.',
      ),
    ]
  return []
}

function mountFindings({ name, mounts, rootType }: EligibilityFacts): Finding[] {
  const findings: Finding[] = []
  const root = mounts.find(({ mountPoint, writable }) => mountPoint === '/' && writable)
  if (root !== undefined && !canFreeze(root.type))
    findings.push(
      blocker(
        'linux/root-cannot-freeze',
        `The root file system of ${name} is ${root.type}, which cannot be frozen`,
        'Protect servers whose root is ext4, XFS or Btrfs.',
      ),
    )
  if (rootType === 'overlay')
    findings.push(
      warning(
        'linux/layered-root',
        `The root of ${name} is layered over other file systems, as in a container: those that are not mounted where the agent sees them are not frozen, and points are crash-consistent at best`,
        'Run the agent on the server itself, outside of any container.',
      ),
    )
  for (const covered of planHold(mounts).unreachable)
    findings.push(
      blocker(
        'linux/mounted-over',
        `Something else is mounted over ${covered} on ${name}, so that its file system cannot be frozen`,
        `Unmount one of the two, or mount the covered one at a second place as well.`,
      ),
    )
  return findings
}

function diskFindings(disk: WholeDisk, facts: EligibilityFacts): Finding[] {
  const { path, key } = disk
  const findings: Finding[] = []
  if (!disk.hasRequests)
    findings.push(
      blocker(
        'linux/no-requests',
        `What is written to ${path} does not pass where it could be seen: its driver takes whole I/Os`,
        'Exclude this disk.',
      ),
    )
  if (hasBelow(disk, ({ type }) => type === 'mpath') || (facts.hasNvmePaths && disk.name.startsWith('nvme')))
    findings.push(
      blocker(
        'linux/several-paths',
        `${path} is one of several paths to a disk, which are not tracked together`,
        'Exclude it, or give the server one path to it.',
      ),
    )
  if (hasBelow(disk, ({ fileSystem }) => fileSystem === 'zfs_member'))
    findings.push(
      blocker(
        'linux/zfs',
        `${path} holds ZFS, which cannot be frozen`,
        'Exclude it, and send it with ZFS itself.',
      ),
    )
  const strange = layersOf(disk).find(({ type }) => !KNOWN_LAYERS.test(type))
  if (strange)
    findings.push(
      blocker(
        'linux/unknown-layer',
        `${path} holds ${strange.path}, which is of a kind (${strange.type}) that is not known to stand still when its file systems do`,
        'Exclude this disk, or remove that layer.',
      ),
    )
  if (!disk.keyIsStable)
    findings.push(
      warning(
        'linux/disk-without-name',
        `${path} tells neither a WWN nor a serial number: it is known again only by its place`,
        'Do not change the order of the disks; after a change everything is compared.',
      ),
    )
  return findings.map((finding) => ({ ...finding, disk: key }))
}

/** As lsblk names them. Caches (bcache) and mirrors over the network (drbd) are `disk` below a disk. */
const KNOWN_LAYERS = /^(?:part|lvm|crypt|dm|mpath|linear|md|raid\w*|loop)$/

const layersOf = (device: BlockDevice): readonly BlockDevice[] =>
  device.children.flatMap((child) => [child, ...layersOf(child)])

const hasBelow = (device: BlockDevice, is: (device: BlockDevice) => boolean): boolean =>
  is(device) || device.children.some((child) => hasBelow(child, is))
