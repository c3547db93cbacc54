// What all parts of the target platform are given.
import type { Clock } from '@understudy/base/instant'
import type { PresentedHardware } from '@understudy/domain/boot-check/guest-hardware'
import type { BootDisk } from '@understudy/engine/ports/target-platform'
import type { StorageCalls } from '../storage-calls.ts'
import type { ArmCalls } from './arm-calls.ts'
import type { ArmSettings } from './settings.ts'

export type TargetParts = {
  readonly arm: ArmCalls
  readonly storage: StorageCalls
  /** Where Azure itself finds a blob of the container. */
  addressOfBlob(name: string): string
  readonly settings: ArmSettings
  readonly clock: Clock
  readonly waits: Waits
  /**
   * Brings a disk into the blob in a quicker way than by sending it, where there is one: a copy within the account, for a point that
   * lies there. True when the blob is whole; asked again after a break, it joins the copy that is under way. False: there is no
   * quicker way for this disk, and nothing was done.
   */
  readonly copyWithin?: (disk: BootDisk, blob: string, signal?: AbortSignal) => Promise<boolean>
  /** What machines find there. Left out: the hardware of Azure. */
  readonly presents?: PresentedHardware
  /** Asks a service of the guest that is known to the site. Null: none is known, and Azure's agent counts. */
  readonly askService?: (machine: AskedMachine, signal?: AbortSignal) => Promise<ServiceAnswer | null>
}

export type AskedMachine = { readonly name: string; readonly addresses: readonly string[] }

export type ServiceAnswer = {
  readonly addresses: readonly string[]
  readonly answered: boolean
  readonly note: string
}

export type Waits = {
  /** Between two looks at what somebody else has begun. */
  readonly lookMs: number
  /** How long that is waited for at most. */
  readonly minutes: number
  pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void>
}
