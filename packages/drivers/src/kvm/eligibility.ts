// Whether a machine can be replicated, and what limits it. Pure: facts in, findings out.
import { blocker, warning } from '@understudy/domain/machines/finding'
import type { DiskKey, Eligibility, Finding, PowerState } from '@understudy/domain/machines/machine'
import type { GraphDisk, SkippedDrive } from './block-graph.ts'
import type { MachineDefinition } from './machine-definition.ts'

export type EligibilityFacts = {
  readonly name: string
  readonly power: PowerState
  readonly definition: MachineDefinition | null
  /** Null while QEMU does not run. */
  readonly running: {
    readonly version: string
    readonly disks: readonly GraphDisk[]
    readonly skipped: readonly SkippedDrive[]
    /** The guest agent answered just now. */
    readonly agentAnswered: boolean
    /** See driftOf. */
    readonly drift: { readonly key: DiskKey; readonly what: string } | null
  } | null
  readonly agentChannel: boolean
}

/** copy-before-write with break-snapshot came with 7.1: https://wiki.qemu.org/ChangeLog/7.1 */
const LEAST_VERSION = [7, 1] as const
// A cycle's own cost is below a tenth of a second here.
export const SHORTEST_INTERVAL_SECONDS = 1

export function checkEligibility(facts: EligibilityFacts): Eligibility {
  const findings = [
    ...powerFindings(facts),
    ...versionFindings(facts),
    ...diskFindings(facts),
    ...(facts.running?.skipped ?? []).map((drive) => skippedFinding(drive)),
    ...driftFindings(facts),
    ...agentFindings(facts),
  ]
  return {
    findings,
    shortestIntervalSeconds: SHORTEST_INTERVAL_SECONDS,
    applicationConsistent: facts.running === null ? facts.agentChannel : facts.running.agentAnswered,
  }
}

function powerFindings({ name, power }: EligibilityFacts): Finding[] {
  if (power === 'running') return []
  if (power === 'off')
    return [
      warning(
        'source/machine-off',
        `${name} is off; it can be protected, and its first copy begins when it runs`,
        'Start the machine.',
      ),
    ]
  return [warning('source/machine-not-running', `${name} is ${power}`, 'See what holds the machine.')]
}

function versionFindings({ running }: EligibilityFacts): Finding[] {
  if (running === null || isAtLeast(running.version)) return []
  const least = LEAST_VERSION.join('.')
  return [
    blocker(
      'source/qemu-too-old',
      `QEMU ${running.version} lacks what keeps a guest safe while it is copied (needs ${least})`,
      'Run the machine on a newer QEMU.',
    ),
  ]
}

export function isAtLeast(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > LEAST_VERSION[0] || (major === LEAST_VERSION[0] && minor >= LEAST_VERSION[1])
}

function diskFindings({ definition, running, name }: EligibilityFacts): Finding[] {
  const disks =
    running?.disks ?? definition?.disks.map(({ key, format }) => ({ key, format, virtio: true })) ?? []
  if (disks.length === 0)
    return [blocker('source/no-disks', `${name} has no disk that can be replicated`, 'Attach a disk.')]
  return disks.flatMap(({ key, format, virtio }) =>
    about(key, [
      ...(virtio
        ? []
        : [
            blocker(
              'source/bus',
              `Disk ${key} is not on virtio-blk`,
              'Attach it as virtio-blk, or exclude it.',
            ),
          ]),
      ...formatFindings(key, format),
    ]),
  )
}

const about = (disk: DiskKey, findings: readonly Finding[]): Finding[] =>
  findings.map((finding) => ({ ...finding, disk }))

function formatFindings(key: string, format: string): Finding[] {
  if (format === 'qcow2') return []
  if (format === 'raw')
    return [
      warning(
        'source/raw-tracking',
        `Raw disk ${key} cannot keep its change tracking over a restart of QEMU; it is compared whole then`,
        'Convert it to qcow2 to avoid that.',
      ),
    ]
  return [
    blocker(
      'source/format',
      `Disk ${key} has the format ${format}`,
      'Convert it to qcow2 or raw, or exclude it.',
    ),
  ]
}

function skippedFinding({ label, reason }: SkippedDrive): Finding {
  switch (reason) {
    case 'removable':
      return warning(
        'source/removable',
        `Removable drive ${label} is left out`,
        'Nothing, unless it holds data you need.',
      )
    case 'read-only':
      return warning(
        'source/read-only',
        `Read-only disk ${label} is left out`,
        'Attach it at the target yourself.',
      )
    case 'empty':
      return warning('source/empty-drive', `Drive ${label} is empty and left out`, 'Nothing.')
    case 'no-id':
      return warning(
        'source/no-device-id',
        `Disk ${label} is left out: its device has no id that lasts, or one that cannot name a disk`,
        'Give its -device an id of up to 22 letters, digits, dots, hyphens or underscores.',
      )
  }
}

function driftFindings({ name, running }: EligibilityFacts): Finding[] {
  const drift = running?.drift ?? null
  if (drift === null) return []
  return about(drift.key, [
    warning(
      'source/disks-not-defined',
      `Disk ${drift.key} ${drift.what}; a planned failover of ${name} will be refused`,
      "Make the machine's machine.json say what it runs with, or exclude the disk.",
    ),
  ])
}

function agentFindings({ name, running, agentChannel }: EligibilityFacts): Finding[] {
  if (running === null && agentChannel) return []
  if (running?.agentAnswered === true) return []
  return [
    warning(
      'source/no-guest-agent',
      `The guest agent of ${name} does not answer; its recovery points are crash-consistent`,
      'Install and start qemu-guest-agent in the guest, and give the machine an agent channel.',
    ),
  ]
}
