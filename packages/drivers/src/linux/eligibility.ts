// Whether this server can be copied while it runs, and what limits it. Pure: facts in, findings out.
import { blocker, warning } from '@understudy/domain/machines/finding'
import type { Eligibility, Finding } from '@understudy/domain/machines/machine'
import type { BlockDevice, WholeDisk } from './block-devices.ts'
import { canFreeze } from './mounts.ts'
import type { ServerFacts } from './server-facts.ts'

/** Each point holds the server still for a moment. */
export const SHORTEST_INTERVAL_SECONDS = 15

export type EligibilityFacts = Pick<
  ServerFacts,
  'name' | 'isRoot' | 'lockdown' | 'tracing' | 'disks' | 'mounts' | 'hasNvmePaths' | 'hasScripts'
>

export const checkEligibility = (facts: EligibilityFacts): Eligibility => ({
  findings: [
    ...rightsFindings(facts),
    ...tracingFindings(facts),
    ...mountFindings(facts),
    ...facts.disks.flatMap((disk) => diskFindings(disk, facts)),
    ...(facts.disks.length === 0 ? [noDisk(facts)] : []),
  ],
  shortestIntervalSeconds: SHORTEST_INTERVAL_SECONDS,
  applicationConsistent: facts.hasScripts,
})

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

function mountFindings({ name, mounts }: EligibilityFacts): Finding[] {
  const root = mounts.find(({ mountPoint, writable }) => mountPoint === '/' && writable)
  if (root === undefined || canFreeze(root.type)) return []
  return [
    blocker(
      'linux/root-cannot-freeze',
      `The root file system of ${name} is ${root.type}, which cannot be frozen`,
      'Protect servers whose root is ext4, XFS or Btrfs.',
    ),
  ]
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

const hasBelow = (device: BlockDevice, is: (device: BlockDevice) => boolean): boolean =>
  is(device) || device.children.some((child) => hasBelow(child, is))
