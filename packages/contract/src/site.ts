import { z } from 'zod'
import { AzureSecrets, AzureSettings } from './azure-site.ts'
import { Bytes, Id, InstantText, Name } from './primitives.ts'

export const Platform = z.enum(['kvm', 'simulated', 'azure', 'physical'])
export const SiteHealth = z.enum(['unknown', 'healthy', 'degraded', 'unreachable'])

const KvmHost = z.strictObject({
  name: Name,
  address: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('local') }),
    z.strictObject({
      kind: z.literal('ssh'),
      host: z.string().min(1).max(255),
      port: z.number().int().min(1).max(65535).default(22),
      user: z.string().min(1).max(64),
      hostKeySha256: z
        .string()
        .min(1)
        .describe('Pinned: SHA256:… as ssh-keyscan | ssh-keygen -lf - prints it'),
    }),
  ]),
  machinesFolder: z.string().min(1).describe('Absolute folder with one folder per machine, or QMP sockets'),
  libvirtUri: z.string().optional(),
})
export const KvmNetwork = z.strictObject({
  id: z.string().min(1).max(60),
  name: Name,
  kind: z.enum(['user', 'bridge']),
  isolated: z.boolean(),
  bridge: z.string().max(15).optional(),
  probePorts: z.array(z.number().int().min(1).max(65535)).max(20).optional(),
})
export const KvmSettings = z
  .strictObject({
    adapter: z.enum(['qmp', 'libvirt']).default('qmp'),
    hosts: z.array(KvmHost).min(1).max(64),
    accelerator: z.enum(['tcg', 'kvm']).default('kvm'),
    bootDeadlineSeconds: z.number().int().min(5).max(3600).default(120),
    networks: z.array(KvmNetwork).max(200).default([]),
    replicaFolder: z.string().min(1).optional(),
  })
  .meta({ id: 'KvmSettings' })
export const SimulatedSettings = z
  .strictObject({
    machines: z.number().int().min(0).max(10_000).default(10),
    disksPerMachine: z.number().int().min(1).max(8).default(1),
    diskBytes: Bytes.default(64 * 1024 * 1024),
    churnBytesPerSecond: Bytes.default(64 * 1024),
    seed: z.number().int().min(0).default(1),
    usedBytes: Bytes.optional().describe('Of every disk; the rest reads as zeros'),
    guestAgent: z.boolean().optional(),
    latencyMilliseconds: z.number().int().min(0).max(60_000).optional(),
    bootSeconds: z.number().int().min(0).max(600).optional(),
    faults: z
      .strictObject({
        unreachable: z
          .boolean()
          .default(false)
          .describe('As a source, as after a disaster; its machines run on'),
        failuresPerThousandCalls: z.number().int().min(0).max(1000).default(0),
        ignoresShutDown: z.boolean().default(false),
      })
      .optional(),
  })
  .meta({ id: 'SimulatedSettings' })

export const PhysicalSettings = z
  .strictObject({})
  .describe('None: servers appear when their agents are enrolled')
  .meta({ id: 'PhysicalSettings' })

const named = { name: Name }
/** What is needed to register a site. Secrets are written only; no answer ever holds them. */
export const SiteInput = z
  .discriminatedUnion('platform', [
    z.strictObject({
      ...named,
      platform: z.literal('kvm'),
      settings: KvmSettings,
      secrets: z.strictObject({ privateKey: z.string().max(20_000).optional() }).default({}),
    }),
    z.strictObject({
      ...named,
      platform: z.literal('simulated'),
      settings: SimulatedSettings,
      secrets: z.strictObject({}).default({}),
    }),
    z.strictObject({
      ...named,
      platform: z.literal('physical'),
      settings: PhysicalSettings.default({}),
      secrets: z.strictObject({}).default({}),
    }),
    z.strictObject({
      ...named,
      platform: z.literal('azure'),
      settings: AzureSettings,
      secrets: AzureSecrets.default({}),
    }),
  ])
  .meta({ id: 'SiteInput' })

export const Site = z
  .object({
    id: Id,
    name: Name,
    platform: Platform,
    settings: z.record(z.string(), z.unknown()),
    simulated: z.boolean(),
    emulated: z.boolean().describe('An emulator on this computer stands in for the real thing'),
    health: SiteHealth,
    healthNote: z.string().nullable(),
    checkedAt: InstantText.nullable(),
    createdAt: InstantText,
    machineCount: z.number().int(),
    protectedCount: z.number().int().describe('Machines replicated from here'),
    replicaCount: z.number().int().describe('Replicas kept here'),
    storedBytes: Bytes,
    freeBytes: Bytes.nullable(),
    canBeSource: z.boolean(),
    canKeepReplicas: z.boolean(),
    canBeTarget: z.boolean().describe('Machines can run there; false: it keeps replicas at most'),
    whyNoTarget: z
      .object({ message: z.string(), remedy: z.string() })
      .nullable()
      .describe('Why no machine can run there, where replicas are kept all the same'),
    canEncrypt: z.boolean().describe('Whether replicas can be kept under our own key'),
    slowedDown: z
      .object({
        timesLastHour: z.number().int().describe('Requests, as this server has counted them'),
        lastAt: InstantText.nullable(),
        remedy: z.string(),
        affectedCount: z.number().int().describe('Machines whose points come less often because of it'),
        affected: z
          .array(
            z.object({
              machineId: Id,
              name: z.string(),
              wantedSeconds: z.number(),
              carriedSeconds: z.number(),
            }),
          )
          .describe('The slowest of them, at most 20'),
      })
      .nullable()
      .describe('How often the place asked for fewer requests; null: it never does'),
  })
  .meta({ id: 'Site' })
export type Site = z.infer<typeof Site>

export const Network = z
  .object({ id: z.string(), name: z.string(), isolated: z.boolean(), description: z.string() })
  .meta({ id: 'Network' })
export type Network = z.infer<typeof Network>
/** What settings of a platform name beside networks. */
export const PlacementChoice = z
  .object({
    kind: z.enum(['security-group', 'load-balancer-pool', 'availability-set', 'zone']),
    id: z.string().describe('As the settings name it'),
    name: z.string(),
    note: z.string().describe('What tells two of one name apart'),
  })
  .meta({ id: 'PlacementChoice' })
export type PlacementChoice = z.infer<typeof PlacementChoice>
export const ConnectionResult = z
  .object({ ok: z.literal(true), summary: z.string() })
  .meta({ id: 'ConnectionResult' })
