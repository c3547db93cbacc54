// Plans are edited as whole documents, version by version: whoever saves says which version he began with.
import { Refusal } from '@understudy/base/errors'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PlanNames, ProtectionNames, RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import { activePlanRunStates, type PlanRun, type PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import { isSameValue } from '@understudy/domain/recovery-plans/same-value'
import type { SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import type { Page } from '../ports/page.ts'
import type { PlanVersion } from '../ports/plan-stores.ts'
import type { Asker, NewPlan, SavePlanRequest } from '../requests.ts'
import { plansOfBoots } from './boots-of-run.ts'

/** A plan may be kept with faults: it is drawn in several sittings. It is not run with them. Refuses a secret that stands in it. */
export async function createPlan(parts: EngineParts, wanted: NewPlan, asker: Asker): Promise<PlanVersion> {
  const id = parts.newId() as PlanId
  refuseUnfit(wanted)
  const first = versionOf(parts, { ...wanted, id }, { version: 1, by: asker.by, comment: '' })
  await parts.stores.plans.create(first)
  await tell(parts, first, `made by ${asker.by}`)
  return first
}

/**
 * Refuses when somebody else has saved meanwhile: whoever asks merges, and saves what comes of it. What differs in nothing from the
 * newest version makes none: that one is returned.
 */
export async function savePlan(parts: EngineParts, request: SavePlanRequest): Promise<PlanVersion> {
  const { plan, version, comment, by } = request
  refuseUnfit(plan)
  const next = versionOf(parts, plan, { version: version + 1, by, comment })
  const before = await loadPlan(parts, plan.id)
  if (isSameValue(before.plan, next.plan)) return before
  if (await parts.stores.plans.save(next)) {
    await tell(parts, next, `saved by ${by} as version ${next.version}`)
    return next
  }
  const newest = await loadPlan(parts, plan.id)
  throw new Refusal({
    code: 'recovery-plan/edited-meanwhile',
    message: `"${newest.plan.name}" was saved by ${newest.savedBy} meanwhile: it is at version ${newest.version} now`,
    remedy: 'Compare with the newest version, take over what is to stay, and save again.',
    facts: { version: newest.version },
  })
}

/** An older version becomes the newest one, as it was. */
export async function restorePlan(
  parts: EngineParts,
  id: PlanId,
  version: number,
  asker: Asker,
): Promise<PlanVersion> {
  const newest = await loadPlan(parts, id)
  const older = await parts.stores.plans.version(id, version)
  if (!older) throw noVersion(newest.plan.name, version)
  const comment = `Version ${version} again`
  return await savePlan(parts, { by: asker.by, plan: older.plan, version: newest.version, comment })
}

export const noVersion = (name: string, version: number): Refusal =>
  new Refusal({
    code: 'plan-version/not-found',
    message: `"${name}" has no version ${version}`,
    remedy: 'Choose one of its versions.',
  })

export async function removePlan(parts: EngineParts, id: PlanId, asker: Asker): Promise<void> {
  const kept = await loadPlan(parts, id)
  await refuseUnsettled(parts, kept)
  // Read before they go with the plan, and settled after it: what is told of them then leads nowhere.
  const told = await runsOf(parts, id)
  await parts.stores.plans.remove(id)
  for (const subject of [id, ...told]) await parts.stores.alerts.resolveAll(subject, parts.clock.now())
  parts.live.changed('alerts', null)
  await tell(parts, kept, `removed by ${asker.by}`)
}

async function runsOf({ stores }: EngineParts, planId: PlanId): Promise<readonly PlanRunId[]> {
  const ids: PlanRunId[] = []
  let cursor: string | null = null
  do {
    const page: Page<PlanRun> = await stores.planRuns.list({ planId }, { limit: 500, cursor })
    ids.push(...page.rows.map((run) => run.id))
    cursor = page.next
  } while (cursor !== null)
  return ids
}

/** With the plan its machines would be parted: what it has brought up is committed, rolled back or cleaned up together. */
async function refuseUnsettled({ stores }: EngineParts, { plan }: PlanVersion): Promise<void> {
  const boots = await stores.runs.active()
  const runIds = new Set((await plansOfBoots({ stores }, boots)).values())
  const runs = await Promise.all([...runIds].map((runId) => stores.planRuns.find(runId)))
  // One that goes on is told by the store.
  const isOpen = (run: PlanRun): boolean => run.planId === plan.id && !activePlanRunStates.includes(run.state)
  if (!runs.some((run) => run !== null && isOpen(run))) return
  throw new Refusal({
    code: 'recovery-plan/not-settled',
    message: `"${plan.name}" has brought up machines that are neither committed nor rolled back nor cleaned up`,
    remedy: 'See to that at its newest run, then remove the plan.',
  })
}

export async function loadPlan({ stores }: Pick<EngineParts, 'stores'>, id: PlanId): Promise<PlanVersion> {
  const kept = await stores.plans.find(id)
  if (kept) return kept
  throw new Refusal({
    code: 'recovery-plan/not-found',
    message: `There is no recovery plan ${id}`,
    remedy: 'Reload the page: it may have been removed.',
  })
}

/** Every protection that there is has its name here. */
export async function protectionNames({ stores }: Pick<EngineParts, 'stores'>): Promise<ProtectionNames> {
  return new Map((await stores.protections.list()).map(({ id, name }) => [id, name]))
}

/** The same, with every site. */
export async function planNames({ stores }: Pick<EngineParts, 'stores'>): Promise<PlanNames> {
  const [protections, sites] = await Promise.all([protectionNames({ stores }), siteNames({ stores })])
  return new Map<ProtectionId | SiteId, string>([...sites, ...protections])
}

export async function siteNames({
  stores,
}: Pick<EngineParts, 'stores'>): Promise<ReadonlyMap<SiteId, string>> {
  return new Map((await stores.sites.list()).map(({ id, name }) => [id, name]))
}

/** What no version may be kept with, although a plan may have faults. */
function refuseUnfit({ name, parameters }: NewPlan): void {
  if (name.trim() === '')
    throw new Refusal({
      code: 'recovery-plan/no-name',
      message: 'The plan has no name',
      remedy: 'Name it after what it brings back, such as "Web shop".',
    })
  // A version is kept for ever, in clear, and whoever may see the plan may see it.
  const open = parameters.find((parameter) => parameter.type === 'secret' && parameter.default !== null)
  if (open)
    throw new Refusal({
      code: 'recovery-plan/secret-default',
      message: `A secret has no default, but "${open.name}" has one`,
      remedy: 'Remove the default and keep the value with the plan instead, or have it asked at the start.',
    })
}

const versionOf = (
  { clock }: EngineParts,
  plan: RecoveryPlan,
  { version, by, comment }: { readonly version: number; readonly by: string; readonly comment: string },
): PlanVersion => ({
  plan: { ...plan, name: plan.name.trim() },
  version,
  savedAt: clock.now(),
  savedBy: by,
  comment,
})

async function tell(parts: EngineParts, { plan, version }: PlanVersion, what: string): Promise<void> {
  parts.live.changed('plans', plan.id)
  await recordEvent(parts, {
    severity: 'info',
    code: 'recovery-plan/saved',
    message: `The recovery plan "${plan.name}" was ${what}`,
    subject: { id: plan.id, name: plan.name },
    facts: { version },
  })
}
