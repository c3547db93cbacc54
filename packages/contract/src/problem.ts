// RFC 9457 problem details, as every failed request answers them.
import { z } from 'zod'
import { Id } from './primitives.ts'

export const Problem = z
  .object({
    type: z.string().describe('URI of the kind of problem, or about:blank'),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().describe('What happened, for a person'),
    code: z.string().describe('Stable: domain/kebab-case'),
    cause: z.string().nullable().describe('What lies behind it, when known'),
    remedy: z.string().describe('What to do about it'),
    instance: z.string().optional(),
    /** Of a request that did not fit its schema: which field, and why. */
    fields: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem' })
export type Problem = z.infer<typeof Problem>

/** `202`: accepted, follow the job. */
export const Accepted = z.object({ jobId: Id }).meta({ id: 'Accepted' })
