// What a site must be able to do so that its machines can be replicated from it.

import type { Instant } from '@understudy/base/instant'
import type { BlockReader, Extent, MappedExtent } from '@understudy/block/device'
import type { BootFacts } from '@understudy/domain/boot-check/boot-facts'
import type { GuestHardware } from '@understudy/domain/boot-check/guest-hardware'
import type { Preparation } from '@understudy/domain/boot-check/preparation'
import type {
  DiscoveredMachine,
  DiskKey,
  Eligibility,
  MachineRef,
  PowerState,
} from '@understudy/domain/machines/machine'
import type { Consistency } from '@understudy/domain/recovery-points/recovery-point'
import type { CycleReason } from '@understudy/domain/replication/plan-cycle'

/** Names one owner of change tracking on a machine: `[a-z0-9-]{1,40}`. Two owners do not disturb each other. */
export type TrackingId = string

export type OpenPointRequest = {
  readonly machines: readonly {
    readonly ref: MachineRef
    readonly trackingId: TrackingId
    /** The checkpoint of the newest sealed point, or null to start tracking now and read everything. */
    readonly since: string | null
    readonly excludedDisks: readonly DiskKey[]
    /** Its disks are read where nothing has changed, too: a point without changes has to be readable. Left out: it need not. */
    readonly readWhole?: boolean
  }[]
  readonly consistency: Consistency
  /**
   * Where `shutsDownAtPoint`, of one machine alone: it is held still from the instant of this point on, until it is switched off (`powerOff` of the
   * point) or let go, and no longer than so many seconds. Whoever does not know how refuses.
   */
  readonly last?: { readonly holdSeconds: number }
}

/** Code of the Outage that says of a last point: the machine was let go instead of being switched off, and runs on. */
export const LET_GO = 'machine/let-go'

export type OpenPointResult =
  | { readonly kind: 'opened'; readonly point: SourcePoint }
  /** `since` is not usable any more (guest restarted, host crashed, disk swapped). Open again with `since: null`. */
  | { readonly kind: 'tracking-lost'; readonly ref: MachineRef; readonly reason: CycleReason }

export type SourceDisk = {
  readonly key: DiskKey
  readonly bytes: number
  /**
   * The disk as it was at the point's instant, whatever the guest writes meanwhile. A point in which no disk has changed
   * since `since` need not be readable, unless `readWhole` was asked for. Of a machine that settles: the disk as it is while
   * it is read.
   */
  readonly reader: BlockReader
  /** How long a request is on its way alone, when the disk is read over a line. Left out: it is near. */
  readonly latencyMilliseconds?: number
  /**
   * What may differ from the content at `since`, sorted, without overlap; with `since: null` the whole disk
   * (`zero` where the platform knows that it reads as zeros). A disk that was not there at `since` counts as wholly changed.
   */
  changed(signal?: AbortSignal): AsyncIterable<MappedExtent>
  /**
   * Of what `reader` reads of the range now, the digests (`digestOf`) of its pieces, one after the other. The range is at most
   * `MOST_DIGEST_BYTES` of pieces of 4 KiB to 1 MiB. There where it costs less than to read: over a line. Whoever has something to compare with
   * asks for these, and reads only what differs.
   */
  digests?(range: Extent, pieceBytes: number, signal?: AbortSignal): Promise<Buffer>
}

export const MOST_DIGEST_BYTES = 16 * 1024 * 1024

/** What is true of a point of a machine that settles; what the opened point says of the same is not used. */
export type SettledPoint = Pick<
  SourcePoint,
  'instant' | 'consistency' | 'consistencyNote' | 'pauseMilliseconds'
> &
  Pick<SourceMachinePoint, 'checkpoint'>

/** Some of what was written meanwhile: `changed()` ascending as ever, every range to be taken as it is read. */
export type SettleRound = (disks: readonly SourceDisk[]) => Promise<void>

export type SourceMachinePoint = {
  readonly ref: MachineRef
  /**
   * Pass it as `since` next time. Null: this machine cannot be tracked now, and why. Of a machine that settles it is not the mark of the point
   * but of its opening: everything written since is known, and a copy of the whole that was interrupted may go on from there. It is there
   * with `since: null` or `readWhole`, and stays valid, like the older one, until a next point is opened, unless this one was sealed and kept.
   */
  readonly checkpoint: string | null
  readonly disks: readonly SourceDisk[]
  /**
   * There where an instant cannot be held still while it is copied: the machine writes on under the readers of `disks`. Called
   * once, after all of `changed()` has been copied. It calls `copy` one after the other with what was written meanwhile, the last
   * time with what was read at the instant itself, and returns what is true of the whole then: only with that may it be sealed.
   * Whoever copies takes every range as it is and compares with nothing older: the copy has content from in between, which
   * may have been undone since. Throws Outage when the machine cannot be held still or writes faster than it is read: nothing may
   * be sealed. Never together with others at one instant: see groups in `openPoint`.
   */
  settle?(copy: SettleRound, signal?: AbortSignal): Promise<SettledPoint>
  /**
   * There with `last`. After `settle` and a durable seal, in place of `release`: switches the machine off without letting it go, so that nothing
   * was ever written after the instant. Resolves once nothing can keep it on any more; that its power is gone may take some seconds. An Outage with
   * `LET_GO`: it was not held without a break from the instant until now, or for too long, and it runs on. Whatever else it throws, nobody knows.
   */
  powerOff?(signal?: AbortSignal): Promise<ShutDownProof>
  /**
   * Lets this machine go, whatever becomes of the others. `kept: true` only after a durable seal of its own: the older checkpoint is
   * dropped. `kept: false`: the older checkpoint stays valid and covers everything since. Never throws for a machine that has gone;
   * may be repeated: the first call counts.
   */
  release(kept: boolean): Promise<void>
}

export type SourcePoint = {
  readonly instant: Instant
  readonly consistency: Consistency
  /** Why it is not as consistent as asked for, else null. */
  readonly consistencyNote: string | null
  readonly machines: readonly SourceMachinePoint[]
  /** How long the guests were held still for it, in milliseconds. */
  readonly pauseMilliseconds: number
  /** Lets every machine go that has not been let go yet, all alike. */
  release(kept: boolean): Promise<void>
}

export type DiskFingerprint = { readonly key: DiskKey; readonly value: string }

export type ShutDownProof = {
  readonly at: Instant
  /** How it was established that the machine is off, for the audit: `guest powered down, process ended`. */
  readonly evidence: string
}

export interface SourcePlatform {
  /** No machine here gives a point more often; one of them may give fewer, as its eligibility says. */
  readonly shortestIntervalSeconds: number
  /**
   * Everything that is there now. Whoever is missing counts as gone: what cannot be looked at just now is listed as it was last
   * seen, with power `unknown`, or the whole is an Outage.
   */
  inventory(signal?: AbortSignal): Promise<readonly DiscoveredMachine[]>
  /** Calls back whenever the inventory may have changed, until aborted. Hints only: may call too often, never too seldom. */
  watch(onChange: () => void, signal: AbortSignal): void
  eligibility(ref: MachineRef, signal?: AbortSignal): Promise<Eligibility>
  /**
   * One instant over all disks of all machines. Cleans up what a killed predecessor with the same tracking id left
   * behind. A failed call leaves `since` valid. Bounded in time; the guest's writes never fail or wait because of it. Machines
   * that settle have no common instant: more than one of them are refused, and opened each alone by the engine.
   */
  openPoint(request: OpenPointRequest, signal?: AbortSignal): Promise<OpenPointResult>
  /** Removes everything of this owner from the machine. Repeatable; a machine that has gone is fine. */
  stopTracking(ref: MachineRef, trackingId: TrackingId): Promise<void>
  /** `off` only with proof: where any host that may run it cannot be asked, it is `unknown`. */
  powerState(ref: MachineRef, signal?: AbortSignal): Promise<PowerState>
  /**
   * Asks the guest to shut down and waits until it is proven off. Outage when it is still on at the deadline. Refuses, with the
   * guest untouched, when disks that are not excluded could not be read once it is off: what was attached since its start.
   */
  shutDown(
    ref: MachineRef,
    options: { timeoutSeconds: number; excludedDisks?: readonly DiskKey[]; signal?: AbortSignal },
  ): Promise<ShutDownProof>
  /**
   * A machine here cannot be read once it is off; it is shut down at a last point instead (`last` of openPoint). Then nobody asks for `shutDown` and
   * `openStoppedDisks`, which may refuse.
   */
  readonly shutsDownAtPoint?: boolean
  /** Pulls the plug and proves it. */
  powerOff(ref: MachineRef, signal?: AbortSignal): Promise<ShutDownProof>
  start(ref: MachineRef, signal?: AbortSignal): Promise<void>
  /**
   * Reads a machine that is off: for the last delta after a shut-down. `since` as in openPoint: the changes up to the
   * shut-down are still known where the platform keeps them; else everything, and the engine compares.
   */
  openStoppedDisks(
    ref: MachineRef,
    options: { excludedDisks: readonly DiskKey[]; trackingId: TrackingId; since: string | null },
    signal?: AbortSignal,
  ): Promise<StoppedDisks>
  /**
   * What a running machine says of itself that decides whether it would boot on other hardware. Only reads. A Refusal when it cannot be
   * told as things stand (nobody in it to ask, or he may not say), an Outage when it does not answer just now. Bounded to minutes. Left
   * out: machines of this kind of site cannot be asked.
   */
  bootFacts?(ref: MachineRef, signal?: AbortSignal): Promise<BootFacts>
  /**
   * Changes a running machine so that it also starts on such hardware: drivers, and a step that sets the network of a replica. Repeatable; what
   * fails leaves it as it was. What was changed is kept in the machine and undone by stopTracking. Minutes. Left out: by hand.
   */
  prepareBoot?(
    ref: MachineRef,
    hardware: readonly GuestHardware[],
    signal?: AbortSignal,
  ): Promise<Preparation>
  /** What prepareBoot has left in it. Null: nothing. */
  findPreparation?(ref: MachineRef, signal?: AbortSignal): Promise<Preparation | null>
}

export type StoppedDisks = {
  /** True: `changed()` is what differs from `since`. False: it is the whole disk. */
  readonly sinceKnown: boolean
  readonly disks: readonly SourceDisk[]
  /** Changes when anybody wrote to a disk after this moment. Kept to prove at fail-back that the original is unmodified. */
  readonly fingerprints: readonly DiskFingerprint[]
  close(): Promise<void>
}
