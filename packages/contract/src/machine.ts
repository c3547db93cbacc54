import { z } from 'zod'
import { Bytes, Id, InstantText } from './primitives.ts'

export const PowerState = z.enum(['running', 'paused', 'off', 'unknown'])
export const Finding = z
  .object({
    level: z.enum(['blocker', 'warning']),
    code: z.string(),
    message: z.string(),
    remedy: z.string(),
  })
  .meta({ id: 'Finding' })
export const MachineDisk = z.object({
  key: z.string(),
  label: z.string(),
  bytes: Bytes,
  format: z.string(),
  bus: z.string(),
  boot: z.boolean(),
})
export const NetworkAdapter = z.object({
  key: z.string(),
  macAddress: z.string(),
  networkId: z.string().nullable(),
  model: z.string(),
})
export const Hardware = z
  .object({
    cpus: z.number().int(),
    memoryBytes: Bytes,
    firmware: z.enum(['bios', 'uefi']),
    disks: z.array(MachineDisk),
    adapters: z.array(NetworkAdapter),
  })
  .meta({ id: 'Hardware' })
export const Machine = z
  .object({
    id: Id,
    siteId: Id,
    siteName: z.string(),
    name: z.string(),
    host: z.string(),
    power: PowerState,
    hardware: Hardware,
    guestAgent: z.boolean(),
    present: z.boolean(),
    seenAt: InstantText,
    simulated: z.boolean(),
    protectionId: Id.nullable().describe('The protection that replicates it'),
    /** Made by us: a replica that runs for this run, or null. */
    runId: Id.nullable(),
  })
  .meta({ id: 'Machine' })
export type Machine = z.infer<typeof Machine>
export const Eligibility = z
  .object({
    eligible: z.boolean(),
    findings: z.array(Finding),
    shortestIntervalSeconds: z.number(),
    applicationConsistent: z.boolean(),
  })
  .meta({ id: 'Eligibility' })
