// Tests of plans that begin by themselves, what runs leave as evidence, and how far one may rely on a machine or a plan.
import type { TestSchedule as DomainSchedule } from '@understudy/domain/recovery-plans/test-schedule'
import { z } from 'zod'
import { Bytes, Id, InstantText, pageOf, WeekdayNumber } from './primitives.ts'

export const ReadinessLevel = z.enum(['not-ready', 'doubtful', 'unproven', 'proven'])
export type ReadinessLevel = z.infer<typeof ReadinessLevel>
export const Readiness = z
  .object({
    level: ReadinessLevel,
    score: z.number().int().min(0).max(100),
    parts: z.object({
      test: z.number().describe('0 to 60: age and result of the last test'),
      lag: z.number().describe('0 to 20: of the newest point against its target'),
      drift: z.number().describe('0 to 10: nothing has changed since the last test'),
      preflight: z.number().describe('0 to 10: what the target says'),
    }),
    reasons: z
      .array(z.object({ message: z.string(), remedy: z.string() }))
      .describe('What costs points, each with what to do'),
  })
  .meta({ id: 'Readiness' })
export type Readiness = z.infer<typeof Readiness>
export const ReadinessCounts = z.record(ReadinessLevel, z.number().int())

export const TestSchedule = z
  .strictObject({
    enabled: z.boolean(),
    days: z.discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('week'),
        weekdays: z.array(WeekdayNumber).max(7).describe('1 is Monday, 7 Sunday'),
      }),
      z.strictObject({
        kind: z.literal('month'),
        days: z.array(z.number().int()).max(31).describe('31 is the last day of every month'),
      }),
    ]),
    minuteOfDay: z.number().int().describe('Since midnight, on the clock of the zone'),
    timeZone: z.string().min(1).max(64).describe('Such as Europe/Berlin, or UTC'),
    windowMinutes: z.number().int().describe('It does not begin later than this after its time'),
    keepMinutes: z.number().int().describe('From the end of the test to its clean-up'),
    giveUpMinutes: z.number().int().describe('A test that is not over by then is cancelled and has failed'),
  })
  .meta({ id: 'TestSchedule' }) satisfies z.ZodType<DomainSchedule>
export type TestSchedule = z.infer<typeof TestSchedule>

const settings = {
  testEveryDays: z.number().int().describe('A test is due so long after the last one that passed'),
  schedule: TestSchedule.nullable(),
  revision: z.number().int().nonnegative().describe('The one that a change began with; 0: nothing is set'),
}
export const TestSettings = z
  .object({
    planId: Id,
    ...settings,
    words: z.string().nullable().describe('The schedule as one would say it'),
    nextAt: InstantText.nullable(),
    waitsFor: z.string().nullable().describe('Why the test that is due has not begun'),
  })
  .meta({ id: 'TestSettings' })
export type TestSettings = z.infer<typeof TestSettings>
export const TestSettingsInput = z.strictObject(settings)

export const ScheduledTest = z
  .object({
    planId: Id,
    dueAt: InstantText,
    state: z.enum(['beginning', 'running', 'done', 'skipped', 'missed']),
    planRunId: Id.nullable(),
    note: z.string().nullable(),
    passed: z.boolean().nullable(),
    settledAt: InstantText.nullable(),
  })
  .meta({ id: 'ScheduledTest' })
export type ScheduledTest = z.infer<typeof ScheduledTest>
export const ScheduledTests = pageOf(ScheduledTest)

export const EvidenceSummary = z
  .object({
    edition: z.number().int().positive().describe('What becomes of a run afterwards makes another one'),
    madeAt: InstantText,
    sha256: z.string().describe('Of the bundle'),
    bytes: Bytes,
  })
  .meta({ id: 'EvidenceSummary' })
export type EvidenceSummary = z.infer<typeof EvidenceSummary>
export const Evidence = EvidenceSummary.extend({
  files: z.array(z.object({ name: z.string(), bytes: Bytes, sha256: z.string() })),
}).meta({ id: 'Evidence' })
export type Evidence = z.infer<typeof Evidence>
/** Of a report that could not be made. */
export const EvidenceTrouble = z
  .object({
    message: z.string(),
    tries: z.number().int(),
    nextTryAt: InstantText.nullable().describe('Null: it rests until somebody has it tried again'),
  })
  .meta({ id: 'EvidenceTrouble' })
export const EvidenceFileName = z.enum(['report.html', 'report.pdf', 'bundle.zip'])
export const EvidenceFileInput = z.strictObject({
  id: Id,
  edition: z.coerce.number().int().positive(),
  file: EvidenceFileName,
})
