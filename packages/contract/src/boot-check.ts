// Whether a protected machine is prepared for the hardware of its target.
import { z } from 'zod'
import { InstantText } from './primitives.ts'

export const BootOutcome = z.enum(['blocker', 'warning', 'unknown', 'note', 'passed'])
export type BootOutcome = z.infer<typeof BootOutcome>

export const BootCheck = z
  .object({
    verdict: BootOutcome.describe('The gravest of its findings; unknown: nothing could be looked at yet'),
    judged: z
      .object({
        at: InstantText,
        system: z.string().describe('What runs in the machine'),
        hardware: z.enum(['hyper-v', 'virtio']).describe('What it was judged for'),
        emulatedOn: z
          .enum(['hyper-v', 'virtio'])
          .nullable()
          .describe('The target is emulated and gives this hardware in truth'),
        findings: z.array(
          z.object({
            outcome: BootOutcome,
            code: z.string(),
            title: z.string(),
            message: z.string(),
            remedy: z.string().nullable(),
            commands: z.string().nullable().describe('To be typed inside the machine'),
          }),
        ),
      })
      .nullable()
      .describe('Null: it was never told'),
    trouble: z
      .object({ at: InstantText, code: z.string(), message: z.string(), remedy: z.string() })
      .nullable()
      .describe('Why the newest look told nothing'),
    preparation: z
      .object({
        underWay: z.boolean(),
        done: z
          .object({
            at: InstantText,
            drivers: z.array(z.string()),
            changes: z.array(z.string()).describe('Files that were added or replaced in the machine'),
          })
          .nullable(),
      })
      .nullable()
      .describe('Null: machines of this kind are prepared by hand'),
  })
  .meta({ id: 'BootCheck' })
export type BootCheck = z.infer<typeof BootCheck>
