// What a screen on a wall shows, in one answer: states, names of machines, plans and steps, progress, counts and times. No text that anything
// has said, for it may hold an address or a secret; no names of users; nothing to act on.
import { z } from 'zod'
import { Alert } from './event.ts'
import { Overview } from './overview.ts'
import { Readiness } from './plan-tests.ts'
import { Id, InstantText, Name, Seconds } from './primitives.ts'
import { Protection } from './protection.ts'
import { PlanActivity, PlanRunSummary, PlanSummary, RecoveryPlan, SiteFailover } from './recovery-plan.ts'

export const WallLayout = z.enum(['sites', 'machines', 'plans', 'incident'])
export type WallLayout = z.infer<typeof WallLayout>

/** Opens the wall without signing in, and nothing else. */
export const DisplayLink = z
  .object({
    id: Id,
    name: Name,
    layout: WallLayout,
    cycleSeconds: z
      .number()
      .int()
      .nullable()
      .describe('How long each picture stays; null: it stays with the first'),
    createdBy: z.string(),
    createdAt: InstantText,
    expiresAt: InstantText.nullable(),
    lastUsedAt: InstantText.nullable(),
  })
  .meta({ id: 'DisplayLink' })
export const DisplayLinkInput = z.strictObject({
  name: Name,
  layout: WallLayout.default('sites'),
  cycleSeconds: z.number().int().min(5).max(3600).nullable().default(null),
  expiresInDays: z.number().int().min(1).max(3650).nullable().default(null),
})
export const CreatedDisplayLink = DisplayLink.extend({
  path: z.string().describe('To be opened on the screen, behind the address of the console. Shown this once'),
  secret: z.string().describe('The part of the path that opens it'),
}).meta({ id: 'CreatedDisplayLink' })

export const WallRunSummary = PlanRunSummary.omit({ startedBy: true, evidence: true, note: true }).meta({
  id: 'WallRunSummary',
})
export type WallRunSummary = z.infer<typeof WallRunSummary>
export const WallMachine = Protection.pick({
  id: true,
  name: true,
  state: true,
  health: true,
  direction: true,
  activeSiteId: true,
  source: true,
  target: true,
  lagSeconds: true,
  lagTargetSeconds: true,
}).meta({ id: 'WallMachine' })
export type WallMachine = z.infer<typeof WallMachine>
export const WallPlan = PlanSummary.omit({
  version: true,
  savedAt: true,
  savedBy: true,
  comment: true,
  lastRun: true,
  activeRun: true,
  nextTestAt: true,
})
  .extend({ activeRun: WallRunSummary.nullable(), readiness: Readiness.omit({ reasons: true }) })
  .meta({ id: 'WallPlan' })
export type WallPlan = z.infer<typeof WallPlan>
export const WallSiteFailover = SiteFailover.pick({
  id: true,
  siteId: true,
  siteName: true,
  state: true,
  startedAt: true,
  endedAt: true,
})
  .extend({
    plans: z.array(
      SiteFailover.shape.plans.element
        .omit({ why: true, run: true })
        .extend({ run: WallRunSummary.nullable() }),
    ),
  })
  .meta({ id: 'WallSiteFailover' })
export type WallSiteFailover = z.infer<typeof WallSiteFailover>
export const WallOverview = Overview.pick({
  counts: true,
  worstLag: true,
  sites: true,
  links: true,
  serverTime: true,
})
  .extend({
    alerts: z.array(Alert.pick({ id: true, severity: true, code: true, raisedAt: true, subjectName: true })),
    waiting: z
      .number()
      .int()
      .describe('Jobs that wait for an answer; those of plans are counted at their runs'),
  })
  .meta({ id: 'WallOverview' })
export type WallOverview = z.infer<typeof WallOverview>
export const WallPicture = z
  .object({
    overview: WallOverview,
    machines: z.array(WallMachine).describe('What is wrong first; bounded'),
    plans: z.array(WallPlan),
    runs: z.array(WallRunSummary).describe('Those that go on, and the newest that are over'),
    siteFailovers: z.array(WallSiteFailover),
  })
  .meta({ id: 'WallPicture' })
export const WallActivity = PlanActivity.omit({
  jobId: true,
  runId: true,
  addresses: true,
  hasScreenshot: true,
  note: true,
  failure: true,
  output: true,
  answer: true,
  steeredBy: true,
  asks: true,
})
  .extend({ asks: PlanActivity.shape.asks.unwrap().omit({ text: true }).nullable() })
  .meta({ id: 'WallActivity' })
export type WallActivity = z.infer<typeof WallActivity>
export const WallRun = WallRunSummary.extend({
  plan: RecoveryPlan.describe('Its order and names; what its steps do is left out'),
  activities: z.array(WallActivity),
  predictedSeconds: Seconds.nullable(),
  spreadSeconds: Seconds.nullable(),
  targetRtoSeconds: z.number().nullable(),
}).meta({ id: 'WallRun' })
export type WallRun = z.infer<typeof WallRun>
