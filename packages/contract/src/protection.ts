import { z } from 'zod'
import { Hardware } from './machine.ts'
import { Readiness } from './plan-tests.ts'
import { Bytes, Id, InstantText, Seconds } from './primitives.ts'
import { Consistency, PointChoice } from './recovery-point.ts'

export const ProtectionState = z.enum([
  'enabling',
  'seeding',
  'awaitingSeed',
  'protected',
  'resyncing',
  'paused',
  'broken',
  'failingOver',
  'failedOver',
  'rollingBack',
  'committing',
  'committed',
  'reprotecting',
  'ending',
  'gone',
])
export type ProtectionState = z.infer<typeof ProtectionState>
export const ProtectionAction = z.enum([
  'test-failover',
  'clean-up-test',
  'planned-failover',
  'unplanned-failover',
  'change-point',
  'start-replica',
  'commit',
  'roll-back',
  'reprotect',
  'fail-back',
  'replicate-now',
  'resync',
  'pause',
  'resume',
  'export-seed',
  'import-seed',
  'give-up-seed',
  'edit',
  'end',
])
export type ProtectionAction = z.infer<typeof ProtectionAction>
export const AllowedAction = z
  .object({
    action: ProtectionAction,
    allowed: z.boolean(),
    reason: z.string().nullable().describe('Why it is not allowed now'),
    remedy: z.string().nullable().describe('What to do to get there'),
  })
  .meta({ id: 'AllowedAction' })
export type AllowedAction = z.infer<typeof AllowedAction>
/** Good: within its lag target. At risk: beyond it, or a cycle failed. Bad: broken, or no point. Off: nothing is expected. */
export const ProtectionHealth = z.enum(['good', 'at-risk', 'bad', 'off'])
export type ProtectionHealth = z.infer<typeof ProtectionHealth>

const AdapterAddress = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('dhcp') }),
  z.strictObject({
    method: z.literal('static'),
    prefix: z.cidrv4().describe('The address and how long its prefix is: 10.1.2.3/24'),
    gateway: z.ipv4().nullable(),
    nameServers: z.array(z.ipv4()).max(3).readonly(),
  }),
])
export const AdapterMapping = z.object({
  adapterKey: z.string(),
  failoverNetworkId: z.string().nullable(),
  testNetworkId: z.string().nullable(),
  failoverAddress: AdapterAddress.optional().describe(
    'Set in a replica on KVM by the step that was prepared in the machine; without it that asks for an address',
  ),
  testAddress: AdapterAddress.optional(),
})
export const CycleSummary = z.object({
  kind: z.enum(['seed', 'delta', 'resync', 'idle']),
  startedAt: InstantText,
  endedAt: InstantText,
  readBytes: Bytes,
  changedBytes: Bytes,
  storedBytes: Bytes,
  pauseMilliseconds: z.number(),
  reason: z.string().nullable(),
})
/** How often points really come, where that is less often than the policy wants. */
export const Pace = z
  .object({
    wantedSeconds: Seconds,
    carriedSeconds: Seconds,
    cause: z
      .enum(['source', 'throttled', 'waiting', 'slow'])
      .describe(
        'source: the platform that it runs on gives points no more often. throttled: the place of its replica asks for fewer requests. waiting: its cycles begin late. slow: they take too long',
      ),
    since: InstantText,
    why: z.string(),
    remedy: z.string(),
  })
  .meta({ id: 'Pace' })
export type Pace = z.infer<typeof Pace>
const SiteName = z.object({ id: Id, name: z.string(), platform: z.string(), emulated: z.boolean() })

export const Run = z
  .object({
    id: Id,
    protectionId: Id,
    kind: z.enum(['test', 'planned', 'unplanned']),
    state: z.enum(['starting', 'running', 'failed', 'cleaningUp', 'gone', 'failedOver', 'over']),
    over: z.boolean(),
    targetSiteId: Id,
    pointId: Id,
    pointInstant: InstantText,
    addresses: z.array(z.string()),
    hydrated: z.number().min(0).max(1),
    failure: z.string().nullable(),
    hasScreenshot: z.boolean(),
    startedAt: InstantText,
    answeredAt: InstantText.nullable(),
    endedAt: InstantText.nullable(),
    recoverySeconds: Seconds.nullable().describe('From click to answer'),
    waitedSeconds: Seconds.describe('Of these, how long the job waited for a person'),
    commitDeadline: InstantText.nullable(),
  })
  .meta({ id: 'Run' })
export type Run = z.infer<typeof Run>

/** A first copy that travels on a disk. */
export const Seed = z
  .object({
    id: Id,
    folder: z.string().describe('On the server: where it was exported to, or is imported from'),
    startedAt: InstantText,
    exported: z
      .object({
        at: InstantText,
        instant: InstantText.describe('The moment that it is a copy of'),
        storedBytes: Bytes,
        tracked: z.boolean().describe('False: the first cycle after the import compares everything'),
      })
      .nullable()
      .describe('Null: its export has not come to its end'),
  })
  .meta({ id: 'Seed' })

export const Protection = z
  .object({
    id: Id,
    name: z.string(),
    state: ProtectionState,
    stateNote: z.string().nullable(),
    health: ProtectionHealth,
    simulated: z.boolean(),
    direction: z.enum(['forward', 'reverse']),
    /** Where the machine's work is done now. */
    activeSiteId: Id,
    source: SiteName,
    target: SiteName.extend({ runsMachines: z.boolean().describe('False: it keeps the replica only') }),
    machineId: Id,
    policyId: Id,
    policyName: z.string(),
    group: z
      .object({ id: Id, name: z.string() })
      .nullable()
      .describe('The consistency group that it belongs to'),
    lagSeconds: Seconds.nullable(),
    lagTargetSeconds: Seconds.describe(
      'As its policy has it; longer by what its source cannot do, where that gives points less often',
    ),
    intervalSeconds: Seconds,
    pace: Pace.nullable().describe('Why its points come less often than its policy wants; null: they do not'),
    newestPoint: z.object({ id: Id, instant: InstantText, consistency: Consistency }).nullable(),
    newestApplicationPoint: z.object({ id: Id, instant: InstantText }).nullable(),
    pointCount: z.number().int(),
    storedBytes: Bytes,
    diskBytes: Bytes,
    lastCycle: CycleSummary.nullable(),
    lastTestAt: InstantText.nullable(),
    lastTestPassed: z.boolean().nullable(),
    readiness: Readiness,
    lastRecoverySeconds: Seconds.nullable().describe('From click to answer, without the wait for a person'),
    excludedDisks: z.array(z.string()),
    adapters: z.array(AdapterMapping),
    hardware: Hardware,
    test: Run.nullable(),
    failover: Run.nullable(),
    seed: Seed.nullable().describe('Its first copy, where that travels on a disk'),
    busyJobId: Id.nullable(),
    actions: z.array(AllowedAction),
    createdAt: InstantText,
  })
  .meta({ id: 'Protection' })
export type Protection = z.infer<typeof Protection>

export const ProtectInput = z
  .strictObject({
    machineId: Id,
    targetSiteId: Id,
    policyId: Id,
    excludedDisks: z.array(z.string()).max(64).default([]),
    adapters: z
      .array(AdapterMapping)
      .max(64)
      .optional()
      .describe('Left out: as the preview suggests. An adapter that is not named is connected to nothing'),
    groupId: Id.optional().describe('The consistency group that it comes into; left out: none'),
  })
  .meta({ id: 'ProtectInput' })
export const ProtectionChange = z
  .strictObject({
    policyId: Id.optional(),
    excludedDisks: z.array(z.string()).max(64).optional(),
    adapters: z.array(AdapterMapping).max(64).optional(),
  })
  .meta({ id: 'ProtectionChange' })
export const ProtectPreviewInput = z
  .strictObject({
    machineIds: z.array(Id).min(1).max(500),
    targetSiteId: Id,
    policyId: Id,
    excludedDisks: z
      .record(Id, z.array(z.string()).max(64))
      .default({})
      .describe('By machine: keys of the disks that would not be replicated'),
    adapters: z
      .record(Id, z.array(AdapterMapping).max(64))
      .default({})
      .describe('By machine: what was chosen for its adapters; one that is not named is as suggested'),
    groupId: Id.optional().describe('The consistency group that they would come into'),
  })
  .meta({ id: 'ProtectPreviewInput' })
/** What a set-up of these machines would mean, before anything is done. */
export const ProtectPreview = z
  .object({
    findings: z.array(
      z.object({
        machineId: Id,
        level: z.enum(['blocker', 'warning']),
        code: z.string(),
        message: z.string(),
        remedy: z.string(),
      }),
    ),
    diskBytes: Bytes,
    freeBytes: Bytes.nullable(),
    suggestedAdapters: z.record(z.string(), z.array(AdapterMapping)),
    sizes: z
      .record(z.string(), z.object({ name: z.string(), why: z.string() }))
      .describe(
        'By machine: the size that it would get at the target, where that has sizes and one can be had',
      ),
  })
  .meta({ id: 'ProtectPreview' })

export const TestFailoverInput = z.strictObject({
  point: PointChoice.default({ kind: 'latest' }),
  /** Where no isolated network is mapped: use the failover's network. The copy can then reach production. */
  allowOpenNetworks: z.boolean().default(false),
})
export const FailoverInput = z.strictObject({
  kind: z.enum(['planned', 'unplanned']),
  point: PointChoice.default({ kind: 'latest' }).describe(
    'Of an unplanned failover; a planned one makes its own',
  ),
  /** The operator vouches that the source is down, or accepts two live copies. Kept in the audit log. */
  acceptUnfenced: z.boolean().default(false),
})
export const ChangePointInput = z.strictObject({ point: PointChoice })
export const ReprotectInput = z.strictObject({
  /** The original machine runs again: switch it off. Without it that is refused. */
  powerOffOriginal: z.boolean().default(false),
})
export const FailBackInput = z.strictObject({ overwriteModified: z.boolean().default(false) })
export const EndInput = z.strictObject({ keepReplica: z.boolean().default(false) })

/** What a failover would cost, for its dialog: facts only, worked out by the server. */
export const FailoverPreview = z
  .object({
    sourcePower: z.enum(['running', 'paused', 'off', 'unknown', 'unreachable']),
    expectedLossSeconds: Seconds.nullable(),
    expectedRecoverySeconds: Seconds.nullable(),
    expectedRecoveryBasis: z.string(),
    findings: z.array(
      z.object({
        level: z.enum(['blocker', 'warning']),
        code: z.string(),
        message: z.string(),
        remedy: z.string(),
      }),
    ),
  })
  .meta({ id: 'FailoverPreview' })

export const SeedInput = z.strictObject({
  folder: z.string().min(1).max(1000).describe('Absolute path of a folder that the server can reach'),
  passphrase: z
    .string()
    .min(12)
    .max(500)
    .describe('Encrypts the seed; it is kept nowhere once the job is done'),
})

export const SeedExportInput = SeedInput.extend({
  acceptServerDisk: z
    .boolean()
    .default(false)
    .describe(
      'False: a folder on a disk that the server itself lives on is refused, for nothing may be mounted there',
    ),
})

export const HistorySample = z.object({
  at: InstantText,
  lagSeconds: Seconds.nullable(),
  changedBytes: Bytes,
})
