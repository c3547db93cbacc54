// What the engine is made of: the ports, time, ids and the numbers that bound everything.
import { GiB, KiB, MiB } from '@understudy/base/bytes'
import type { Clock } from '@understudy/base/instant'
import type { Durable } from './ports/durable.ts'
import type { EvidencePrinter } from './ports/evidence-printer.ts'
import type { Live } from './ports/live.ts'
import type { Platforms } from './ports/platforms.ts'
import type { SeedFolders } from './ports/seed-folders.ts'
import type { StepRunner } from './ports/step-runner.ts'
import type { Stores } from './ports/stores.ts'
import type { FarRequests } from './replication/far-requests.ts'

/** Resolves after `milliseconds`; rejects with the signal's reason when it aborts. */
export type Sleep = (milliseconds: number, signal?: AbortSignal) => Promise<void>

export type Log = (level: 'debug' | 'info' | 'warn' | 'error', message: string, facts?: object) => void

export type EngineParts = {
  readonly stores: Stores
  readonly durable: Durable
  readonly platforms: Platforms
  /** For the steps of recovery plans. */
  readonly steps: StepRunner
  /** First copies that travel on disks. */
  readonly seeds: SeedFolders
  /** For the reports of their runs. */
  readonly printer: EvidencePrinter
  readonly live: Live
  readonly clock: Clock
  readonly sleep: Sleep
  /** A new id, unique for ever (a UUID): `[a-z0-9-]{1,36}`. */
  readonly newId: () => string
  readonly config: EngineConfig
  readonly log: Log
  /** Made by the engine itself, one for all. */
  readonly farRequests?: FarRequests
}

/** Every bound of the engine. Seconds unless the name says otherwise. */
export type EngineConfig = {
  /** This process's mover: unique among all processes, the same after a restart where possible. */
  readonly moverId: string
  /** How many cycles run at once. Memory of copying: this x requestBytes x requestsInFlight, in the worst case twice. */
  readonly concurrentCycles: number
  readonly requestBytes: number
  readonly requestsInFlight: number
  /** So many requests more, of all cycles together, for disks that are read over a line: it is empty while too few are under way. */
  readonly farRequests: number
  /** What of a first copy, over the line or from a disk, is lost at most when it is interrupted, in bytes. Each time costs what a point costs. */
  readonly firstCopyKeepBytes: number
  /** How many protections this mover takes at most. */
  readonly maximumProtections: number
  readonly heartbeatSeconds: number
  readonly leaseSeconds: number
  /**
   * Longest wait for something that was asked to stop and does not: a cycle whose source ignores it, a hydration. Then it is
   * left behind, which an event tells; the epoch keeps it from doing harm.
   */
  readonly letGoSeconds: number
  /** How often the mover looks at states, policies and timers. */
  readonly lookSeconds: number
  /** Waits after a first, second ... outage; the last one goes on for ever. */
  readonly retryDelaysSeconds: readonly number[]
  readonly retentionEverySeconds: number
  /** How often every stored byte is read again; 0: never. */
  readonly scrubEverySeconds: number
  readonly scrubBytesPerSecond: number
  readonly inventoryEverySeconds: number
  /** Where replicas are kept, less than this gets an alert, in bytes. Copying stops long after. */
  readonly lowSpaceBytes: number
  /** Longest wait for any answer of a source site that an unplanned failover does not need. */
  readonly deadSiteSeconds: number
  readonly shutDownTimeoutSeconds: number
  /** How long a machine that is shut down at its last point may be held for it: its applications wait meanwhile. */
  readonly lastHoldSeconds: number
  readonly answerTimeoutSeconds: number
  readonly probeEverySeconds: number
  /** How long a job waits for a person. */
  readonly questionTimeoutSeconds: number
  /** How long a failed job can be run again. */
  readonly retryWindowSeconds: number
  /** Before the timer of an uncommitted failover acts. */
  readonly commitWarningSeconds: number
  /** How many tests of plans that have begun by themselves are up at once, over all servers. */
  readonly concurrentScheduledTests: number
  /** How often the target of a protected machine is asked whether it could boot it. */
  readonly preflightEverySeconds: number
  /** How often a protected machine is asked whether it is prepared for the hardware of its target. */
  readonly bootCheckEverySeconds: number
  /** After a time when it could not be told. */
  readonly bootCheckRetrySeconds: number
  /** Speed that is assumed for a forecast as long as nothing was measured. */
  readonly assumedBytesPerSecond: number
}

export const defaultEngineConfig: Omit<EngineConfig, 'moverId'> = {
  concurrentCycles: 8,
  requestBytes: 256 * KiB,
  requestsInFlight: 16,
  farRequests: 64,
  firstCopyKeepBytes: 4 * GiB,
  maximumProtections: 2_000,
  heartbeatSeconds: 5,
  leaseSeconds: 20,
  letGoSeconds: 30,
  lookSeconds: 2,
  retryDelaysSeconds: [60, 120, 240, 480, 600],
  retentionEverySeconds: 60,
  scrubEverySeconds: 7 * 24 * 3600,
  scrubBytesPerSecond: 16 * MiB,
  inventoryEverySeconds: 60,
  lowSpaceBytes: 5 * GiB,
  deadSiteSeconds: 15,
  shutDownTimeoutSeconds: 300,
  lastHoldSeconds: 120,
  answerTimeoutSeconds: 600,
  probeEverySeconds: 1,
  questionTimeoutSeconds: 24 * 3600,
  retryWindowSeconds: 24 * 3600,
  commitWarningSeconds: 600,
  concurrentScheduledTests: 2,
  preflightEverySeconds: 600,
  bootCheckEverySeconds: 24 * 3600,
  bootCheckRetrySeconds: 3600,
  assumedBytesPerSecond: 100_000_000,
}
