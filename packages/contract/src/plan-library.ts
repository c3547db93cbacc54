// Ready plans: files of ours in the text form of a plan, with roles in place of machines and their documentation inside.
import { z } from 'zod'
import { PlanText } from './plan-document.ts'
import { Id, Name } from './primitives.ts'
import { PlanParameter } from './recovery-plan.ts'

const LibraryRole = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/),
  title: z.string().min(1).max(60),
  description: z.string().max(200),
  many: z.boolean().describe('Several machines may have it'),
})
const LibrarySite = LibraryRole.omit({ many: true }).describe(
  'A site in Azure with whose sign-in steps are done',
)
/** A file of the library. Its plan names a role where a plan names a protection, or a site. */
export const LibraryText = z.strictObject({
  understudyLibrary: z.literal(1).describe('Version of this format'),
  id: z.string().regex(/^[a-z][a-z0-9-]{0,60}$/),
  version: z.number().int().positive(),
  title: Name,
  summary: z.string().min(1).max(200),
  documentation: z.string().min(1).max(10_000),
  roles: z.array(LibraryRole).min(1).max(20),
  sites: z.array(LibrarySite).max(5).default([]),
  plan: PlanText,
})
export type LibraryText = z.infer<typeof LibraryText>

export const LibraryEntry = z
  .object({
    id: Id,
    version: z.number().int(),
    title: z.string(),
    summary: z.string(),
    documentation: z.string(),
    roles: z.array(LibraryRole),
    sites: z.array(LibrarySite),
    parameters: z.array(PlanParameter).describe('To be filled in; secrets are kept with the plan afterwards'),
    order: z.array(z.string()).describe('What is done, from first to last'),
  })
  .meta({ id: 'LibraryEntry' })
export type LibraryEntry = z.infer<typeof LibraryEntry>
export const PlanFromLibrary = z.strictObject({
  name: Name,
  roles: z.record(z.string(), z.array(Id).max(1000)).describe('Ids of protections by the name of their role'),
  sites: z.record(z.string(), Id).default({}).describe('Ids of sites by the name of their role'),
  parameters: z.record(z.string(), z.union([z.string().max(10_000), z.number(), z.boolean()])).default({}),
})
