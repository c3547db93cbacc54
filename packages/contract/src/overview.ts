import { z } from 'zod'
import { Alert } from './event.ts'
import { Job } from './job.ts'
import { ReadinessCounts } from './plan-tests.ts'
import { Bytes, Id, InstantText, Seconds } from './primitives.ts'
import { ProtectionHealth } from './protection.ts'
import { SiteHealth } from './site.ts'

/** Everything the first screen needs in one answer. */
export const Overview = z
  .object({
    counts: z.object({
      sites: z.number().int(),
      machines: z.number().int(),
      protections: z.number().int(),
      byHealth: z.record(ProtectionHealth, z.number().int()),
    }),
    waiting: z.array(Job).describe('Jobs that wait for an answer; those of plans ask at their runs'),
    alerts: z.array(Alert),
    runningJobs: z.array(Job),
    worstLag: z.array(
      z.object({
        protectionId: Id,
        name: z.string(),
        lagSeconds: Seconds.nullable(),
        lagTargetSeconds: Seconds,
      }),
    ),
    sites: z.array(
      z.object({
        id: Id,
        name: z.string(),
        platform: z.string(),
        emulated: z.boolean(),
        health: SiteHealth,
        machines: z.number().int(),
        replicas: z.number().int(),
      }),
    ),
    links: z.array(
      z.object({
        sourceSiteId: Id,
        targetSiteId: Id,
        protections: z.number().int(),
        health: ProtectionHealth,
      }),
    ),
    storedBytes: Bytes,
    neverTested: z.number().int(),
    readiness: z.object({ machines: ReadinessCounts, plans: ReadinessCounts }),
    /** For each site: what would be lost and how long it would take if it died now. */
    ifSiteDied: z.array(
      z.object({
        siteId: Id,
        name: z.string(),
        machines: z.number().int(),
        recoverable: z.number().int(),
        unprotected: z.number().int(),
        worstLossSeconds: Seconds.nullable(),
        expectedRecoverySeconds: Seconds.nullable(),
        blockers: z.array(z.string()),
      }),
    ),
    serverTime: InstantText,
  })
  .meta({ id: 'Overview' })
export type Overview = z.infer<typeof Overview>

export const Mover = z
  .object({
    id: Id,
    beatAt: InstantText,
    expiresAt: InstantText,
    protections: z.number().int(),
    alive: z.boolean(),
  })
  .meta({ id: 'Mover' })

export const Lab = z
  .object({
    available: z.boolean(),
    /** Why it is not available (QEMU missing, ...), else null. */
    reason: z.string().nullable(),
    state: z.enum(['absent', 'creating', 'ready', 'failed']),
    jobId: Id.nullable(),
    siteIds: z.array(Id),
    pages: z.array(z.object({ machineName: z.string(), url: z.string() })),
    azure: z
      .object({
        available: z.boolean(),
        reason: z.string().nullable(),
        whyNoMachines: z.string().nullable().describe('Why replicas cannot run there, else null'),
        siteId: Id.nullable(),
      })
      .describe('An emulator of Azure on this computer, as one more site'),
  })
  .meta({ id: 'Lab' })
export type Lab = z.infer<typeof Lab>
