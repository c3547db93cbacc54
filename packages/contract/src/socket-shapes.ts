import { z } from 'zod'

export const Topic = z.enum([
  'sites',
  'machines',
  'policies',
  'groups',
  'protections',
  'runs',
  'jobs',
  'events',
  'alerts',
  'plans',
  'plan-runs',
  'agents',
  'access',
])
export type Topic = z.infer<typeof Topic>

export const Measurement = z.object({
  protectionId: z.string(),
  /** Milliseconds since 1970. */
  at: z.number(),
  phase: z.enum(['idle', 'waiting', 'opening', 'copying', 'sealing']),
  doneBytes: z.number(),
  totalBytes: z.number(),
  bytesPerSecond: z.number(),
  lagSeconds: z.number().nullable(),
})
export type Measurement = z.infer<typeof Measurement>
