// What keeps a scheduled test from beginning now.
import type { ProtectionState } from '@understudy/domain/protection/protection'
import { planRunKinds, type RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import { machinesOf } from '@understudy/domain/recovery-plans/plan-items'
import { followUpKinds, type PlanRun } from '@understudy/domain/recovery-plans/plan-run'
import type { EngineParts } from '../engine-parts.ts'
import { findingsOf } from '../recovery-plans/begin-run.ts'
import { wordsOfRun } from '../recovery-plans/conduct-run.ts'

/** Until somebody has committed or rolled back, a failover is under way: people have other things to do than to look at a test. */
const failingOver: readonly ProtectionState[] = [
  'failingOver',
  'failedOver',
  'rollingBack',
  'committing',
  'reprotecting',
]

const isOfTest = ({ kind }: Pick<PlanRun, 'kind'>): boolean => kind === 'test' || kind === 'clean-up'
const movingKinds = [...planRunKinds, ...followUpKinds].filter((kind) => !isOfTest({ kind }))

/** In words; null: nothing. Touches nothing. */
export async function whyNoTestNow(parts: EngineParts, plan: RecoveryPlan): Promise<string | null> {
  const { stores } = parts
  const [sites, runs, protections, boots] = await Promise.all([
    stores.siteFailovers.active(),
    stores.planRuns.active(),
    stores.protections.list(),
    stores.runs.active(),
  ])
  // Plans of it that wait for their turn have no run yet, and a test would stand in their way.
  const [site] = sites
  if (site) return `The failover of the site "${site.siteName}" is under way`
  const failover = runs.find((run) => !isOfTest(run))
  if (failover) return `${wordsOfRun(failover)} is under way`
  const moved = protections.find(({ state }) => failingOver.includes(state))
  if (moved) return `A failover of "${moved.name}" is under way, or nobody has committed it yet`
  const own = runs.find(({ planId }) => planId === plan.id)
  if (own) return `${wordsOfRun(own)} is under way`
  const stopped = await stoppedRunOf(parts, plan)
  if (stopped) return `${wordsOfRun(stopped)} has failed and can still go on; try it again, or cancel it`
  const members = new Set(machinesOf(plan).map(({ protectionId }) => protectionId))
  const up = boots.find(({ kind, protectionId }) => kind === 'test' && members.has(protectionId))
  const nameOf = (id: string): string => protections.find((each) => each.id === id)?.name ?? id
  if (up) return `A test of "${nameOf(up.protectionId)}" is up already; clean it up first`
  const findings = await findingsOf(parts, plan, 'test')
  return findings.find(({ level }) => level === 'blocker')?.message ?? null
}

/** Somebody is about to try it again, and one run of a plan goes on at a time. Older ones are history. */
async function stoppedRunOf(parts: EngineParts, plan: RecoveryPlan): Promise<PlanRun | null> {
  const page = { limit: 1, cursor: null }
  const { rows } = await parts.stores.planRuns.list({ planId: plan.id, kinds: movingKinds }, page)
  // Of a run that was followed up the follow-up is the newest one.
  return rows.find(({ state }) => state === 'failed') ?? null
}
