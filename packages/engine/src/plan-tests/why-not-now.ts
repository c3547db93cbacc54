// What keeps a scheduled test from beginning now.
import type { ProtectionState } from '@understudy/domain/protection/protection'
import type { RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import { machinesOf } from '@understudy/domain/recovery-plans/plan-items'
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

/** In words; null: nothing. Touches nothing. */
export async function whyNoTestNow(parts: EngineParts, plan: RecoveryPlan): Promise<string | null> {
  const { stores } = parts
  const [runs, protections, boots] = await Promise.all([
    stores.planRuns.active(),
    stores.protections.list(),
    stores.runs.active(),
  ])
  const failover = runs.find(({ kind }) => kind !== 'test' && kind !== 'clean-up')
  if (failover) return `${wordsOfRun(failover)} is under way`
  const moved = protections.find(({ state }) => failingOver.includes(state))
  if (moved) return `A failover of "${moved.name}" is under way, or nobody has committed it yet`
  const own = runs.find(({ planId }) => planId === plan.id)
  if (own) return `${wordsOfRun(own)} is under way`
  const members = new Set(machinesOf(plan).map(({ protectionId }) => protectionId))
  const up = boots.find(({ kind, protectionId }) => kind === 'test' && members.has(protectionId))
  const nameOf = (id: string): string => protections.find((each) => each.id === id)?.name ?? id
  if (up) return `A test of "${nameOf(up.protectionId)}" is up already; clean it up first`
  const findings = await findingsOf(parts, plan, 'test')
  return findings.find(({ level }) => level === 'blocker')?.message ?? null
}
