import { z } from 'zod'
import { Bytes, Id, Name } from './primitives.ts'

export const RetentionTier = z.strictObject({
  everySeconds: z.number().int().min(0).max(31_536_000).describe('0 keeps every point'),
  forSeconds: z.number().int().min(1).max(315_360_000),
})
export const PolicyInput = z
  .strictObject({
    name: Name,
    intervalSeconds: z.number().int().min(1).max(86_400),
    lagTargetSeconds: z.number().int().min(1).max(604_800),
    applicationConsistentEverySeconds: z.number().int().min(0).max(604_800).describe('0: never'),
    retention: z.array(RetentionTier).min(1).max(10),
    compress: z.boolean(),
    encrypt: z.boolean(),
    priority: z.number().int().min(1).max(9),
    rateLimitBytesPerSecond: Bytes.describe('0: unlimited'),
    commitTimeoutSeconds: z.number().int().min(0).max(2_592_000).describe('0: no timer'),
    uncommittedAction: z.enum(['commit', 'roll-back']),
  })
  .meta({ id: 'PolicyInput' })
export const Policy = PolicyInput.extend({ id: Id, protectionCount: z.number().int() }).meta({ id: 'Policy' })
export type Policy = z.infer<typeof Policy>
