import { z } from 'zod'
import { Bytes, Id, InstantText } from './primitives.ts'

export const Consistency = z.enum(['crash', 'application'])
export const RecoveryPoint = z
  .object({
    id: Id,
    instant: InstantText,
    sealedAt: InstantText,
    consistency: Consistency,
    consistencyNote: z.string().nullable(),
    cycle: z.enum(['seed', 'delta', 'resync']),
    changedBytes: Bytes,
    storedBytes: Bytes,
    verifiedAt: InstantText.nullable(),
    suspicious: z.string().nullable(),
    note: z.string().nullable(),
    pinned: z.boolean(),
    held: z.boolean(),
    group: z
      .object({ id: Id, cut: Id })
      .nullable()
      .describe('Taken at one instant with points of other machines, which name the same cut'),
  })
  .meta({ id: 'RecoveryPoint' })
export type RecoveryPoint = z.infer<typeof RecoveryPoint>
export const PointAnnotation = z.strictObject({
  note: z.string().trim().max(500).nullable().optional(),
  pinned: z.boolean().optional(),
})
export const PointChoice = z
  .discriminatedUnion('kind', [
    z.object({ kind: z.literal('latest') }),
    z.object({ kind: z.literal('latest-application-consistent') }),
    z.object({ kind: z.literal('point'), id: Id }),
    z.object({ kind: z.literal('at'), instant: InstantText }),
  ])
  .meta({ id: 'PointChoice' })
