import type { Brand } from '@understudy/base/brand'
import type { Instant } from '@understudy/base/instant'
import type { SiteId } from '../sites/site.ts'

export type MachineId = Brand<'MachineId'>

/** How the platform calls the machine: stable over renames and restarts (a UUID where there is one). */
export type MachineRef = Brand<'MachineRef'>

/** How the platform calls a disk of a machine: stable over restarts, unique within the machine, safe as a file name. */
export type DiskKey = Brand<'DiskKey'>

export type PowerState = 'running' | 'paused' | 'off' | 'unknown'

export type MachineDisk = {
  readonly key: DiskKey
  readonly label: string
  readonly bytes: number
  /** `raw`, `qcow2`, ... as the platform names it. */
  readonly format: string
  readonly bus: string
  /** The firmware may boot from it. Exactly one disk of a bootable machine has it. */
  readonly boot: boolean
}

export type NetworkAdapter = {
  readonly key: string
  readonly macAddress: string
  /** Id of the site's network, or null when the driver cannot tell. */
  readonly networkId: string | null
  readonly model: string
}

/** What is needed to make an equal machine elsewhere. */
export type MachineHardware = {
  readonly cpus: number
  readonly memoryBytes: number
  readonly firmware: 'bios' | 'uefi'
  readonly disks: readonly MachineDisk[]
  readonly adapters: readonly NetworkAdapter[]
}

/** A machine as a site's inventory shows it. */
export type DiscoveredMachine = {
  readonly ref: MachineRef
  readonly name: string
  readonly host: string
  readonly power: PowerState
  readonly hardware: MachineHardware
  /** A guest agent answers, or is at least configured: application-consistent points are possible. */
  readonly guestAgent: boolean
  /** Set when this machine was made by us: the protection's or run's ownership tag. */
  readonly ownedBy: string | null
}

export type Machine = DiscoveredMachine & {
  readonly id: MachineId
  readonly siteId: SiteId
  readonly seenAt: Instant
  /** False when the newest inventory no longer has it. */
  readonly present: boolean
}

/** One fact that forbids or limits something, with what to do about it. */
export type Finding = {
  readonly level: 'blocker' | 'warning'
  readonly code: string
  readonly message: string
  readonly remedy: string
  /** It is about this disk alone: not when the disk is excluded. */
  readonly disk?: DiskKey
}

export type Eligibility = {
  readonly findings: readonly Finding[]
  /** Shortest interval that the platform can keep for this machine. */
  readonly shortestIntervalSeconds: number
  readonly applicationConsistent: boolean
}

/** What is left of it when these disks are not replicated. */
export const withoutDisks = (eligibility: Eligibility, excluded: readonly DiskKey[]): Eligibility => ({
  ...eligibility,
  findings: eligibility.findings.filter(({ disk }) => disk === undefined || !excluded.includes(disk)),
})

export const isEligible = (eligibility: Eligibility): boolean =>
  eligibility.findings.every((finding) => finding.level !== 'blocker')
