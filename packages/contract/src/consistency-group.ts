import { z } from 'zod'
import { Id, InstantText, Name, Seconds } from './primitives.ts'
import { ProtectionState } from './protection.ts'
import { Consistency } from './recovery-point.ts'

// biome-ignore lint/performance/noBarrelFile: a browser imports nothing but the contract, and this bound is part of it.
export { MOST_MEMBERS } from '@understudy/domain/protection/consistency-group'

/** An instant that several machines of a group have. */
export const GroupCut = z.object({
  cut: Id,
  instant: InstantText,
  consistency: Consistency,
  pauseMilliseconds: z.number().describe('How long the guests were held still for it'),
  members: z.array(Id).describe('Protections that have it'),
})
export const GroupMember = z.object({
  protectionId: Id,
  name: z.string(),
  state: ProtectionState,
  covered: z.boolean().describe('It has the newest cut'),
  note: z.string().nullable().describe('Why the newest cut is without it'),
})
export const ConsistencyGroup = z
  .object({
    id: Id,
    name: z.string(),
    createdAt: InstantText,
    policyId: Id.nullable().describe('Of all its machines; null: it has none'),
    policyName: z.string().nullable(),
    sourceSiteIds: z.array(Id).describe('Where its machines run; more than one: it has no common points'),
    members: z.array(GroupMember),
    newestCut: GroupCut.nullable(),
    newestWholeCut: GroupCut.nullable().describe('The newest one that all its machines have'),
    lagSeconds: Seconds.nullable().describe('Since the newest instant that all its machines have'),
    lagTargetSeconds: Seconds.nullable(),
    health: z.enum(['good', 'at-risk', 'off']),
    apart: z
      .object({ since: InstantText, reason: z.string(), remedy: z.string() })
      .nullable()
      .describe('Why its machines cannot be opened at one instant'),
  })
  .meta({ id: 'ConsistencyGroup' })
export type ConsistencyGroup = z.infer<typeof ConsistencyGroup>

export const NewGroupInput = z
  .strictObject({ name: Name, protectionIds: z.array(Id).max(100).default([]) })
  .meta({ id: 'NewGroupInput' })
export const GroupChange = z.strictObject({
  name: Name.optional(),
  policyId: Id.optional().describe('For all its machines'),
})
export const GroupMembersInput = z.strictObject({ protectionIds: z.array(Id).min(1).max(100) })
export const GroupCandidatesInput = z.strictObject({
  groupId: Id.optional().describe('Left out: of a new group'),
  chosen: z.array(Id).max(100).default([]).describe('Protections that are to be in it'),
})
export const GroupCandidates = z
  .object({
    items: z.array(
      z.object({
        protectionId: Id,
        name: z.string(),
        source: z.string(),
        policyName: z.string(),
        reason: z.string().nullable().describe('Why it cannot be in the group beside the chosen ones'),
        remedy: z.string().nullable(),
      }),
    ),
  })
  .meta({ id: 'GroupCandidates' })
