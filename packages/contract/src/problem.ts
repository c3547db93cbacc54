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
    /** Which field of the request does not fit, and why. */
    fields: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
    missingRights: z
      .array(
        z.object({
          right: z.string().describe('As the platform calls it'),
          scope: z.string().describe('Where it is missing'),
          purpose: z.string().describe('What it is needed for'),
        }),
      )
      .optional()
      .describe('What the sign-in of a site may not do; the detail names the first ones'),
  })
  .meta({ id: 'Problem' })
export type Problem = z.infer<typeof Problem>

/** `202`: accepted, follow the job. */
export const Accepted = z.object({ jobId: Id }).meta({ id: 'Accepted' })
