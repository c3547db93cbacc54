// What a site must be able to do so that replicas can run there.
import type { BlockReader, MappedExtent } from '@understudy/block/device'
import type { PresentedHardware } from '@understudy/domain/boot-check/guest-hardware'
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey, Finding, MachineHardware, MachineRef } from '@understudy/domain/machines/machine'
import type { AdapterAddress } from '@understudy/domain/protection/protection'
import type { PlacementChoice } from '@understudy/domain/sites/placement-choice'
import type { Network } from '@understudy/domain/sites/site'
import type { GuestPrograms } from './guest-programs.ts'
import type { DiskFingerprint } from './source-platform.ts'

export type BootDisk = {
  readonly key: DiskKey
  readonly bytes: number
  readonly boot: boolean
  /** The content to start from. Stays open and readable until the run is hydrated or destroyed. */
  readonly reader: BlockReader
}

/**
 * Where a run's machine may be. `at`: at this place of the site and at no other. `nowhere`: nothing was made. `anywhere`: it was
 * made and nobody has kept where.
 */
export type Whereabouts =
  | { readonly kind: 'at'; readonly place: string }
  | { readonly kind: 'nowhere' }
  | { readonly kind: 'anywhere' }

/** What a boot is given about its own earlier attempts. */
export type Placing = {
  readonly before: Whereabouts
  /** Nothing is made before this has resolved: whatever is made must be looked for at that place for ever. */
  keep(place: string): Promise<void>
}

export type BootSpec = {
  /** Also the ownership tag of everything that is made. */
  readonly runId: RunId
  /** What the machine shall be called. Where that is taken it gets a number; see chooseFreeName. */
  readonly name: string
  readonly mode: 'test' | 'failover'
  readonly hardware: MachineHardware
  /** In the order of the source's disks. */
  readonly disks: readonly BootDisk[]
  /** Adapter key to network id; an adapter that is missing here stays unplugged. */
  readonly networks: ReadonlyMap<string, string>
  /** Adapter key to the address that a machine that was prepared for it takes there. Only where the target can tell it. */
  readonly addresses?: ReadonlyMap<string, AdapterAddress>
  /**
   * Begin change tracking before the guest's first instruction, so that a later reprotect moves only what changed
   * since the point. Null: not wanted (tests).
   */
  readonly trackingId: string | null
  readonly placing: Placing
  /** Told what the boot is at, where it may take long. Must not throw. */
  readonly onProgress?: (progress: BootProgress) => void
}

export type BootProgress = {
  /** For a person: `copying disk 1 of 2`. The same words for as long as it is the same part. */
  readonly doing: string
  /** How far all disks are. Null: this part has no measure. */
  readonly bytes: HydrateProgress | null
}

/** The same before anything is decided about one run. */
export type MachineSpec = Omit<BootSpec, 'disks' | 'runId' | 'placing' | 'onProgress'>

/** `why` in an operator's words: what it has, for what is needed. */
export type SuggestedSize = { readonly name: string; readonly why: string }

export type RunningReplica = {
  readonly ref: MachineRef
  /** What it is called now: the wished name, or the free one nearest to it. */
  readonly name: string
  /** `since` for the first reverse cycle: the replica's disks equalled the point at it. Null: not tracked. */
  readonly checkpoint: string | null
  /** Its disks were made before it started, so it never reads from us. Left out: it does until it is hydrated. */
  readonly isWhole?: true
}

export type HydrateProgress = { readonly doneBytes: number; readonly totalBytes: number }

export type ProbeResult = {
  /** Where the guest can be reached from this server, e.g. `http://127.0.0.1:18080` or `192.0.2.7`. */
  readonly addresses: readonly string[]
  /**
   * The best evidence that there can be for this machine is there. Where a service of the guest is known (a port that is
   * forwarded or declared), that is bytes from the service itself: a connection proves nothing behind a forwarder, and an
   * agent that runs says nothing about the service. An agent's answer counts only where no service is known.
   */
  readonly answered: boolean
  /** Names the evidence, or what is missing. */
  readonly note: string
}

/** One disk of an existing machine that shall be brought from `base` (what is on it now) to `reader`. */
export type RestoreDisk = {
  readonly key: DiskKey
  readonly bytes: number
  readonly reader: BlockReader
  /** What may differ between the disk's content and `reader`; null: unknown, compare everything. */
  readonly differs: AsyncIterable<MappedExtent> | null
}

export interface TargetPlatform {
  /** What machines find around themselves here. Left out: nobody can tell. */
  readonly presents?: PresentedHardware
  /**
   * Every place where a machine of a run can be made, as told to `Placing.keep`: a name that means the same computer and folder
   * for ever. Asks nobody.
   */
  places(): Promise<readonly string[]>
  networks(signal?: AbortSignal): Promise<readonly Network[]>
  /** Where settings name more than networks by the platform's own ids: what there is to choose from. Touches nothing. */
  placementChoices?(signal?: AbortSignal): Promise<readonly PlacementChoice[]>
  /**
   * Everything that would make `boot` fail or surprise, found before the disaster. A name that is taken is a warning
   * (`machine/name-taken`) that says which one the machine gets. Touches nothing.
   */
  preflight(spec: MachineSpec, signal?: AbortSignal): Promise<readonly Finding[]>
  /** Where the platform has sizes of machines: which one `boot` would take. Null: none can be had. Touches nothing. */
  sizeFor?(spec: MachineSpec, signal?: AbortSignal): Promise<SuggestedSize | null>
  /**
   * Starts the machine from the readers, nothing copied before. Repeatable: the same run id finds the machine that a
   * killed predecessor made and goes on with it. An Outage while the place where that one began does not answer: a second
   * machine of a run is never made. Never touches what is not the run's: a name that is taken is not an obstacle,
   * resources that clash are a refusal.
   */
  boot(spec: BootSpec, signal?: AbortSignal): Promise<RunningReplica>
  /**
   * Offers the readers to a machine that still needs them, unless they are offered already, and lets a guest go on that a
   * failed read has stopped meanwhile. Repeatable and cheap: after our own restart, and at every look while the run is kept.
   * Finds nothing: does nothing.
   */
  reattach(spec: Pick<BootSpec, 'runId' | 'disks'>, signal?: AbortSignal): Promise<void>
  /**
   * This process offers the run's readers no more: they may be closed afterwards. A guest that still needs them waits for the next
   * `reattach`. Touches nothing of the machine, and needs none: another process may have destroyed it. Repeatable.
   */
  detach(runId: RunId): Promise<void>
  /**
   * Copies behind the running guest what it still reads from us, until it needs us no more. Repeatable; goes on where it
   * was. Resolves when done.
   */
  hydrate(runId: RunId, onProgress: (progress: HydrateProgress) => void, signal?: AbortSignal): Promise<void>
  /** PNG of the machine's screen. */
  screenshot(runId: RunId, signal?: AbortSignal): Promise<Buffer>
  /**
   * Asks the guest of any machine of the site, ours or an original that was brought home. Never throws because the guest is
   * silent; bounded by a few seconds. Refuses a machine that is not there.
   */
  probe(ref: MachineRef, signal?: AbortSignal): Promise<ProbeResult>
  /**
   * Machine, disks, files: everything tagged with the run, nothing else. Repeatable. Only the answer of the place that it was
   * made at shows that nothing is left: an Outage without it, whatever other places say.
   */
  destroy(runId: RunId, whereabouts: Whereabouts): Promise<void>
  /** Commit: the machine now belongs to the site; only its run tag stays. Must be hydrated. Repeatable. */
  adopt(runId: RunId): Promise<void>
  /** Stops our run's machine but keeps it (roll back keeps evidence until it is destroyed). Repeatable. */
  stop(runId: RunId): Promise<void>
  /** Runs programs in the guest of a machine of the site. Left out: this kind of site cannot. Asks nobody yet. */
  guestPrograms?(ref: MachineRef): GuestPrograms
  /**
   * Writes into the disks of an existing machine that is off. Refuses a machine that runs, or whose disks changed since
   * `fingerprints` unless `overwriteModified`. Interrupted: the disks are mixed until it is repeated, and the machine
   * stays blocked from our `start` until then. Returns what was written.
   */
  restoreInto(
    ref: MachineRef,
    disks: readonly RestoreDisk[],
    options: {
      readonly runId: RunId
      readonly fingerprints: readonly DiskFingerprint[]
      readonly overwriteModified: boolean
      readonly onProgress: (progress: HydrateProgress) => void
    },
    signal?: AbortSignal,
  ): Promise<{ readonly writtenBytes: number }>
  /** Begins change tracking on a machine of ours that is off, just before start; see BootSpec.trackingId. */
  startTracked(
    ref: MachineRef,
    trackingId: string,
    signal?: AbortSignal,
  ): Promise<{ readonly checkpoint: string | null }>
}

/**
 * What brings an original machine home. Every target can; a site that makes no machines may be able to do only this: there a rescue
 * system runs on the machine meanwhile, and whoever has started it has taken the machine out of service. `restoreInto` refuses what no rescue
 * system runs on; `startTracked` makes the disks fit to start on this hardware, starts the machine from them, and returns once its own
 * system has answered.
 */
export type Originals = Pick<TargetPlatform, 'restoreInto' | 'startTracked' | 'probe'>

/** Originals of a site that cannot make machines. */
export type RescuedOriginals = Originals & {
  /** What stands in the way of writing to this machine now, with what to do; null: nothing. Asks the site, bounded by seconds. */
  obstacle(ref: MachineRef, disks: readonly RescuedDisk[], signal?: AbortSignal): Promise<Finding | null>
}

export type RescuedDisk = { readonly key: DiskKey; readonly bytes: number }
