import { z } from 'zod'
import { Id, InstantText, Name } from './primitives.ts'

/** Each role may do all that the ones before it may. Reader looks; operator tests and fails over; contributor sets up; owner also manages users. */
export const Role = z.enum(['reader', 'operator', 'contributor', 'owner'])
export type Role = z.infer<typeof Role>
export const Password = z.string().min(12, 'At least 12 characters').max(200)
export const User = z
  .object({
    id: Id,
    name: Name,
    role: Role,
    disabled: z.boolean(),
    createdAt: InstantText,
    lastSeenAt: InstantText.nullable(),
  })
  .meta({ id: 'User' })
export type User = z.infer<typeof User>
export const UserInput = z.strictObject({ name: Name, role: Role, password: Password })
export const UserChange = z.strictObject({
  role: Role.optional(),
  disabled: z.boolean().optional(),
  password: Password.optional(),
})
export const PasswordChange = z.strictObject({ current: z.string().max(200), password: Password })
export const SignInInput = z.strictObject({ name: z.string().max(120), password: z.string().max(200) })
export const SetupInput = z.strictObject({ token: z.string().max(200), name: Name, password: Password })
export const SetupStatus = z
  .object({
    needed: z.boolean().describe('No user exists yet: open the set-up link that the server printed'),
    version: z.string(),
  })
  .meta({ id: 'SetupStatus' })
export const Session = z
  .object({ user: User, expiresAt: InstantText, csrfToken: z.string() })
  .meta({ id: 'Session' })
export type Session = z.infer<typeof Session>
export const Token = z
  .object({
    id: Id,
    name: Name,
    role: Role,
    createdAt: InstantText,
    expiresAt: InstantText.nullable(),
    lastUsedAt: InstantText.nullable(),
  })
  .meta({ id: 'Token' })
export const TokenInput = z.strictObject({
  name: Name,
  role: Role,
  expiresInDays: z.number().int().min(1).max(3650).nullable().default(90),
})
export const CreatedToken = Token.extend({ secret: z.string().describe('Shown this once') }).meta({
  id: 'CreatedToken',
})
export const AuditEntry = z
  .object({
    id: Id,
    at: InstantText,
    who: z.string(),
    action: z.string(),
    subject: z.string().nullable(),
    outcome: z.enum(['accepted', 'refused', 'failed']),
    facts: z.record(z.string(), z.unknown()),
    address: z.string().nullable(),
  })
  .meta({ id: 'AuditEntry' })
