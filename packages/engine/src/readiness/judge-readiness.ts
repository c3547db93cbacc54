// How far one may rely on machines and plans now: the facts are gathered here, the formula is the domain's.
import type { Instant } from '@understudy/base/instant'
import { lagSeconds } from '@understudy/domain/protection/lag'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import { diffPlans } from '@understudy/domain/recovery-plans/diff-plans'
import { lastTestOf } from '@understudy/domain/recovery-plans/last-test'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import { machinesOf } from '@understudy/domain/recovery-plans/plan-items'
import { machineReadiness, planReadiness, type Readiness } from '@understudy/domain/recovery-plans/readiness'
import { TEST_EVERY_DAYS } from '@understudy/domain/recovery-plans/test-schedule'
import { changesSinceTest, testedMachine } from '@understudy/domain/recovery-plans/tested-machine'
import { findingOfState } from '@understudy/domain/recovery-plans/validate-against'
import { lagTargetAt } from '@understudy/domain/replication/carried-pace'
import type { EngineParts } from '../engine-parts.ts'
import type { PlanVersion } from '../ports/plan-stores.ts'
import type { ProtectionSummary } from '../ports/stores.ts'
import { findingsOf } from '../recovery-plans/begin-run.ts'
import { membersReadOnce } from '../recovery-plans/members-read-once.ts'

type ReadinessParts = Pick<EngineParts, 'stores' | 'clock'>

const DAY_SECONDS = 86_400
/** One may run now; the one before it is what counts. */
const RECENT_TESTS = { limit: 2, cursor: null }

/**
 * Of protections that were just read, with their summaries. A machine is to be tested as often as the plan that asks for it most often. What its
 * target says is what it said when it was asked last.
 */
export async function machineReadinesses(
  { stores, clock }: ReadinessParts,
  protections: readonly Protection[],
  summaries: ReadonlyMap<ProtectionId, ProtectionSummary>,
): Promise<ReadonlyMap<ProtectionId, Readiness>> {
  const [policies, plans, settings] = await Promise.all([
    stores.policies.list(),
    stores.plans.list(),
    stores.tests.list(),
  ])
  const policyOf = new Map(policies.map((policy) => [policy.id, policy]))
  const everyOfPlan = new Map(settings.map(({ planId, testEveryDays }) => [planId, testEveryDays]))
  const everyDays = new Map<ProtectionId, number>()
  for (const { plan } of plans)
    for (const { protectionId } of machinesOf(plan)) {
      const days = everyOfPlan.get(plan.id) ?? TEST_EVERY_DAYS
      everyDays.set(protectionId, Math.min(days, everyDays.get(protectionId) ?? days))
    }
  const now = clock.now()
  return new Map(
    protections.flatMap((protection) => {
      const summary = summaries.get(protection.id)
      if (!summary) return []
      const policy = policyOf.get(protection.policyId)
      const every = {
        testEverySeconds: (everyDays.get(protection.id) ?? TEST_EVERY_DAYS) * DAY_SECONDS,
        lagTargetSeconds: policy ? lagTargetAt(policy, summary.pace) : Number.POSITIVE_INFINITY,
      }
      return [[protection.id, readinessOf(protection, summary, { ...every, now })] as const]
    }),
  )
}

function readinessOf(
  protection: Protection,
  { lastTestAt, lastTestPassed, testedAs, newestPoint, preflight = [] }: ProtectionSummary,
  around: { readonly testEverySeconds: number; readonly lagTargetSeconds: number; readonly now: Instant },
): Readiness {
  const ofState = findingOfState(protection)
  return machineReadiness({
    ...around,
    lastTest: lastTestAt === null ? null : { at: lastTestAt, passed: lastTestPassed === true },
    changesSinceTest: testedAs ? changesSinceTest(testedAs, testedMachine(protection)) : [],
    findings: ofState === null ? preflight : [ofState, ...preflight],
    lagSeconds: lagSeconds(newestPoint?.instant ?? null, around.now),
  })
}

/** Of plans that were just read. */
export async function planReadinesses(
  parts: EngineParts,
  plans: readonly PlanVersion[],
): Promise<ReadonlyMap<PlanId, Readiness>> {
  if (plans.length === 0) return new Map()
  const { clock } = parts
  const stores = await membersReadOnce(parts.stores)
  const [protections, summaries, settings] = await Promise.all([
    stores.protections.list(),
    stores.protections.summaries(),
    stores.tests.list(),
  ])
  const machines = await machineReadinesses({ stores, clock }, protections, summaries)
  const names = new Map(protections.map(({ id, name }) => [id, name]))
  const everyDays = new Map(settings.map(({ planId, testEveryDays }) => [planId, testEveryDays]))
  const judged = await Promise.all(
    plans.map(async ({ plan }) => {
      const filter = { planId: plan.id, kinds: ['test'] as const }
      const [{ rows }, findings] = await Promise.all([
        stores.planRuns.list(filter, RECENT_TESTS),
        findingsOf({ ...parts, stores }, plan, 'unplanned'),
      ])
      const lastTest = lastTestOf(rows)
      const members = machinesOf(plan).flatMap(({ id, protectionId }) => {
        const known = machines.get(protectionId)
        return known ? [{ id, name: names.get(protectionId) ?? protectionId, readiness: known }] : []
      })
      const readiness = planReadiness({
        lastTest,
        testEverySeconds: (everyDays.get(plan.id) ?? TEST_EVERY_DAYS) * DAY_SECONDS,
        changesSinceTest:
          lastTest === null ? [] : diffPlans(lastTest.run.plan, plan, names).map(({ words }) => words),
        // What is about a machine alone costs points there.
        findings: findings.filter(({ at }) => at.kind !== 'item' || !members.some(({ id }) => id === at.id)),
        now: clock.now(),
        machines: members,
      })
      return [plan.id, readiness] as const
    }),
  )
  return new Map(judged)
}
