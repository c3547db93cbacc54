import { agentRoles } from '@understudy/domain/agents/agent'
import { z } from 'zod'
import { Bytes, Id, InstantText, Name, Seconds } from './primitives.ts'

export const AgentRole = z.enum(agentRoles)
export type AgentRole = z.infer<typeof AgentRole>
export const AgentState = z
  .enum(['expected', 'connected', 'silent', 'revoked'])
  .describe('expected: it was enrolled and has not connected yet')
export type AgentState = z.infer<typeof AgentState>

/** A mover beside the disks of a site. */
export const Agent = z
  .object({
    id: Id,
    siteId: Id,
    invitationId: Id.describe('The invitation by whose token it was enrolled'),
    name: Name,
    roles: z.array(AgentRole),
    state: AgentState,
    version: z.string(),
    enrolledAt: InstantText,
    seenAt: InstantText.nullable().describe('When it was heard last'),
    clockSkewSeconds: z.number().nullable().describe('Its clock minus the one of the control plane'),
    system: z.string(),
    hostName: z.string(),
    processors: z.number().int(),
    memoryBytes: Bytes,
    health: z
      .object({
        bytesPerSecond: z.number().describe('Over its connection, in both directions'),
        backlog: z.number().int().describe('Messages that the control plane does not have yet'),
        freeBytes: Bytes.describe('Of the disk that holds its folder'),
        diskBytes: Bytes,
        memoryBytes: Bytes.describe('That it takes itself'),
        upSeconds: Seconds,
      })
      .nullable(),
    model: z.string().nullable().describe('Of its server, as the firmware names it'),
    otherHardware: z
      .object({
        at: InstantText.describe('When it came from there first'),
        hostName: z.string(),
        model: z.string().nullable(),
        why: z.string().describe('How it differs from that of its server'),
      })
      .nullable()
      .describe('It comes from hardware that is not that of its server, and is refused'),
    versionSkew: z
      .enum(['near', 'too-old', 'too-new'])
      .describe('Of more than one release it is let in only to be upgraded, or not at all'),
    upgrade: z
      .object({
        version: z.string(),
        whyNot: z.string().nullable().describe('Null: it can exchange its program by itself'),
      })
      .nullable()
      .describe('A newer program that is offered in place of its own'),
    upgradeFailure: z.string().nullable().describe('Why it still has the program that it has'),
    waitsForAnswer: z.boolean().describe('It was asked something that it has not answered yet'),
    revokedAt: InstantText.nullable(),
    revokedBy: z.string().nullable(),
  })
  .meta({ id: 'Agent' })
export type Agent = z.infer<typeof Agent>

export const AgentInvitationInput = z.strictObject({
  roles: z
    .array(AgentRole)
    .min(1, 'Choose at least one')
    .max(agentRoles.length)
    .describe('`receiver` goes with no other'),
  proxy: z
    .string()
    .max(300)
    // It becomes part of a command: nothing that a shell understands.
    .regex(/^http:\/\/(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i, 'Write it as http://host:port')
    .nullable()
    .optional()
    .describe('By which the server reaches the control plane, as http://host:port'),
})
/** Whoever has it may enrol one agent, once. */
export const AgentInvitation = z
  .object({
    id: Id,
    siteId: Id,
    roles: z.array(AgentRole),
    expiresAt: InstantText,
    command: z.string().describe('To be run on the server that becomes an agent. Shown this once'),
    installCommand: z
      .string()
      .nullable()
      .describe(
        'The same for a server that does not have the program yet: fetches it and makes it a service. Null: the control plane does not have it either',
      ),
    secret: z.string().describe('The token in the command'),
  })
  .meta({ id: 'AgentInvitation' })
export type AgentInvitation = z.infer<typeof AgentInvitation>
