import { Refusal } from '@understudy/base/errors'
import { toIso } from '@understudy/base/instant'
import type { StartPlanInput } from '@understudy/contract/recovery-plan'
import { mayCall } from '@understudy/contract/roles'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import { referencesOf } from '@understudy/domain/recovery-plans/action-texts'
import { diffPlans } from '@understudy/domain/recovery-plans/diff-plans'
import { mergePlans } from '@understudy/domain/recovery-plans/merge-plans'
import type {
  PlanMachine,
  PlanParameter,
  PlanStep,
  RecoveryPlan,
} from '@understudy/domain/recovery-plans/plan'
import type { ItemId, PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import { isStep, stepsOf } from '@understudy/domain/recovery-plans/plan-items'
import type { PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import { changeOf } from '@understudy/domain/recovery-plans/run-edit'
import { isSameValue } from '@understudy/domain/recovery-plans/same-value'
import {
  type AnswererRole,
  commandOf,
  isAzureChange,
  isOurs,
  type StepAction,
} from '@understudy/domain/recovery-plans/step-action'
import type { PlanVersion } from '@understudy/engine/ports/plan-stores'
import { noVersion, planNames, protectionNames, siteNames } from '@understudy/engine/recovery-plans/save-plan'
import type { StartPlanRequest } from '@understudy/engine/requests'
import type { z } from 'zod'
import { callerOf } from './asker.ts'
import { type ApiDeps, os, type RequestContext } from './context.ts'
import { findPlan, findPlanRun } from './find.ts'
import { toPlanChoice } from './plan-choice.ts'
import { planToYaml, yamlToPlan } from './plan-document.ts'
import { showDocument } from './show-document.ts'
import { checkPlan, showPlan, showPlanSummaries } from './show-plan.ts'
import { showPlanRun, summarizePlanRun } from './show-plan-run.ts'
import { powerOffConfirmed } from './show-running-twice.ts'
import { showChosenPoint, showTimeLine } from './show-time-line.ts'

export const byOf = (context: RequestContext) => {
  const { name, user } = callerOf(context)
  return { by: name, byId: user.id as string }
}

export function planRoutes(deps: ApiDeps) {
  const { plans } = deps.engine
  const show = async (id: string) => showPlan(deps, await findPlan(deps, id))
  const startRequest = (
    id: string,
    input: z.infer<typeof StartPlanInput>,
    context: RequestContext,
  ): StartPlanRequest => {
    const { kind, point, parameters, ...settings } = input
    return {
      ...byOf(context),
      ...(context.jobId === null ? {} : { planRunId: context.jobId as PlanRunId }),
      planId: id as PlanId,
      kind,
      point: toPlanChoice(point),
      parameters,
      settings,
    }
  }

  return {
    list: os.plans.list.handler(async () => {
      const items = await showPlanSummaries(deps)
      return { items, next: null, total: items.length }
    }),
    get: os.plans.get.handler(({ input }) => show(input.id)),
    create: os.plans.create.handler(async ({ input, context }) => {
      context.audit(null, { name: input.name })
      refuseServerScripts(context, null, input)
      return showPlan(deps, await plans.create(input, byOf(context)))
    }),
    save: os.plans.save.handler(async ({ input, context }) => {
      const { id, plan, version, comment } = input
      context.audit(id, { version, comment })
      const kept = await findPlan(deps, id)
      refuseServerScripts(context, kept.plan, plan)
      const saved = { ...plan, id: kept.plan.id }
      return showPlan(deps, await plans.save({ ...byOf(context), plan: saved, version, comment }))
    }),
    remove: os.plans.remove.handler(async ({ input, context }) => {
      context.audit(input.id, {})
      await plans.remove(input.id as PlanId, byOf(context))
      return {}
    }),
    check: os.plans.check.handler(async ({ input: { plan, kind } }) =>
      checkPlan(deps, plan, kind, await plans.findings(plan, kind)),
    ),
    dryRun: os.plans.dryRun.handler(async ({ input, context }) => {
      const { id, ...rest } = input
      const { plan } = await findPlan(deps, id)
      const { findings, points } = await plans.dryRun(startRequest(id, rest, context))
      return {
        ...(await checkPlan(deps, plan, input.kind, findings)),
        points: points.map(showChosenPoint),
      }
    }),
    powerOffOld: os.plans.powerOffOld.handler(async ({ input, context }) => {
      const { plan } = await findPlan(deps, input.id)
      const confirmed = input.protectionIds as ProtectionId[]
      context.audit(plan.id, { name: plan.name, protectionIds: confirmed })
      return powerOffConfirmed(deps, plan, { confirmed, by: byOf(context).by })
    }),
    timeLine: os.plans.timeLine.handler(async ({ input }) => {
      const { plan } = await findPlan(deps, input.id)
      return showTimeLine(await plans.points(plan))
    }),
    versions: os.plans.versions.handler(async ({ input }) => {
      await findPlan(deps, input.id)
      const versions = await deps.stores.plans.versions(input.id as PlanId)
      return { items: versions.map(showVersion) }
    }),
    version: os.plans.version.handler(async ({ input }) => {
      const kept = await findVersion(deps, input.id, input.version)
      return { ...showVersion(kept), plan: showDocument(kept.plan) }
    }),
    restore: os.plans.restore.handler(async ({ input, context }) => {
      context.audit(input.id, { version: input.version })
      const older = await findVersion(deps, input.id, input.version)
      refuseServerScripts(context, (await findPlan(deps, input.id)).plan, older.plan)
      return showPlan(deps, await plans.restore(input.id as PlanId, input.version, byOf(context)))
    }),
    diff: os.plans.diff.handler(async ({ input }) => {
      const [from, to] = await Promise.all([
        findVersion(deps, input.id, input.from),
        findVersion(deps, input.id, input.to),
      ])
      return {
        items: diffPlans(from.plan, to.plan, await planNames(deps)).map((line) => ({ ...line })),
      }
    }),
    merge: os.plans.merge.handler(async ({ input }) => {
      const [base, newest] = await Promise.all([
        findVersion(deps, input.id, input.version),
        findPlan(deps, input.id),
      ])
      const merged = mergePlans({
        base: base.plan,
        mine: input.plan,
        theirs: newest.plan,
        names: await planNames(deps),
      })
      const { version } = newest
      return merged.kind === 'merged'
        ? { kind: 'merged', plan: showDocument(merged.plan), version }
        : { kind: 'conflicts', version, conflicts: merged.conflicts.map((conflict) => ({ ...conflict })) }
    }),
    document: os.plans.document.handler(async ({ input }) => {
      const { plan } = await findPlan(deps, input.id)
      return { format: 'yaml', text: planToYaml(plan, await textNames(deps)) }
    }),
    importDocument: os.plans.importDocument.handler(async ({ input, context }) => {
      const plan = yamlToPlan(input.text, await textNames(deps))
      context.audit(null, { name: plan.name })
      refuseServerScripts(context, null, plan)
      return showPlan(deps, await plans.create(plan, byOf(context)))
    }),
    changeSecrets: os.plans.changeSecrets.handler(async ({ input, context }) => {
      const { plan } = await findPlan(deps, input.id)
      context.audit(input.id, { names: Object.keys(input.secrets) })
      const known = new Set(plan.parameters.filter(({ type }) => type === 'secret').map(({ name }) => name))
      const unknown = Object.entries(input.secrets).find(
        ([name, value]) => value !== null && !known.has(name),
      )
      if (unknown)
        throw new Refusal({
          code: 'recovery-plan/parameter-unknown',
          message: `"${plan.name}" has no secret parameter "${unknown[0]}"`,
          remedy: 'Save the plan with the parameter first.',
        })
      await deps.stores.plans.changeSecrets(plan.id, input.secrets)
      deps.live.changed('plans', plan.id)
      return show(input.id)
    }),
    start: os.plans.start.handler(async ({ input, context }) => {
      const { id, ...rest } = input
      const { kind, point, acceptUnfenced } = input
      context.audit(id, { kind, point, acceptUnfenced })
      await findPlan(deps, id)
      return showPlanRun(deps, await plans.start(startRequest(id, rest, context)))
    }),
  }
}

export function planRunRoutes(deps: ApiDeps) {
  const { plans } = deps.engine
  const show = async (id: string) => showPlanRun(deps, await findPlanRun(deps, id))
  type Steering = (id: PlanRunId, asker: { readonly by: string }) => Promise<void>
  const steer = async (id: string, context: RequestContext, act: Steering) => {
    context.audit(id, {})
    await act((await findPlanRun(deps, id)).id, byOf(context))
    return show(id)
  }
  const activityOf = (input: { id: string; itemId: string }, context: RequestContext) => {
    context.audit(input.id, { itemId: input.itemId })
    return { ...byOf(context), planRunId: input.id as PlanRunId, itemId: input.itemId as ItemId }
  }

  return {
    list: os.planRuns.list.handler(async ({ input }) => {
      const { planId, state, limit, cursor } = input
      const filter = {
        ...(planId === undefined ? {} : { planId: planId as PlanId }),
        ...(state === undefined ? {} : { states: state }),
      }
      const page = await deps.stores.planRuns.list(filter, { limit, cursor: cursor ?? null })
      const items = await Promise.all(page.rows.map((run) => summarizePlanRun(deps, run)))
      return { items, next: page.next, total: null }
    }),
    get: os.planRuns.get.handler(({ input }) => show(input.id)),
    pause: os.planRuns.pause.handler(({ input, context }) => steer(input.id, context, plans.pause)),
    resume: os.planRuns.resume.handler(({ input, context }) => steer(input.id, context, plans.resume)),
    cancel: os.planRuns.cancel.handler(({ input, context }) => steer(input.id, context, plans.cancel)),
    edit: os.planRuns.edit.handler(async ({ input, context }) => {
      const { id, planRevision, plan } = input
      context.audit(id, { planRevision })
      const run = await findPlanRun(deps, id)
      refuseServerScripts(context, run.plan, plan)
      const { removed, changed } = changeOf(run.plan, plan)
      refuseForPeople(context, [...removed, ...changed])
      const mayAnswer = ({ action }: PlanStep): boolean => mayDo(context, roleOfStep(action))
      await plans.edit({ ...byOf(context), planRunId: run.id, planRevision, plan, mayAnswer })
      return show(id)
    }),
    merge: os.planRuns.merge.handler(async ({ input: { id, base, plan }, context }) => {
      context.audit(id, {})
      const run = await findPlanRun(deps, id)
      const { merged, planRevision, theirs } = await plans.mergeEdit({ planRunId: run.id, base, plan })
      const stand = { planRevision, theirs: showDocument(theirs) }
      return merged.kind === 'merged'
        ? {
            kind: 'merged',
            ...stand,
            plan: showDocument(merged.plan),
            givenUp: merged.givenUp.map(({ at, message }) => ({ at, message })),
          }
        : { kind: 'conflicts', ...stand, conflicts: merged.conflicts.map((conflict) => ({ ...conflict })) }
    }),
    followUp: os.planRuns.followUp.handler(async ({ input, context }) => {
      const { id, kind, point } = input
      context.audit(id, { kind, point })
      const run = await findPlanRun(deps, id)
      const planRunId = context.jobId === null ? {} : { planRunId: context.jobId as PlanRunId }
      const request = { ...byOf(context), ...planRunId, followsUp: run.id, kind, point: toPlanChoice(point) }
      return showPlanRun(deps, await plans.followUp(request))
    }),
    retry: os.planRuns.retry.handler(async ({ input, context }) => {
      await plans.retry(activityOf(input, context))
      return show(input.id)
    }),
    skip: os.planRuns.skip.handler(async ({ input, context }) => {
      const request = activityOf(input, context)
      // To let an approval pass takes whoever may give it.
      const { plan } = await findPlanRun(deps, input.id)
      refuseForPeople(
        context,
        stepsOf(plan).filter(({ id }) => id === request.itemId),
      )
      await plans.skip(request)
      return show(input.id)
    }),
    answer: os.planRuns.answer.handler(async ({ input, context }) => {
      const { value, comment } = input
      const request = activityOf(input, context)
      context.audit(input.id, { itemId: input.itemId, value, comment })
      await refuseAnswer(deps, request.planRunId, request.itemId, context)
      await plans.answer({ ...request, value, comment })
      return show(input.id)
    }),
  }
}

const showVersion = ({ version, savedAt, savedBy, comment }: Omit<PlanVersion, 'plan'>) => ({
  version,
  savedAt: toIso(savedAt),
  savedBy,
  comment,
})

async function findVersion(deps: ApiDeps, id: string, version: number): Promise<PlanVersion> {
  const { plan } = await findPlan(deps, id)
  const kept = await deps.stores.plans.version(plan.id, version)
  if (kept) return kept
  throw noVersion(plan.name, version)
}

const textNames = async (deps: ApiDeps) => {
  const [protections, sites] = await Promise.all([protectionNames(deps), siteNames(deps)])
  return { protections, sites }
}

type OwnedParts = Pick<RecoveryPlan, 'groups' | 'parameters'>

/**
 * A program on our server, or on a host, may do whatever we may there, and a change in Azure whatever the sign-in of a site may in its
 * subscription: only an owner says that it is done.
 */
export function refuseServerScripts(
  context: RequestContext,
  before: OwnedParts | null,
  after: OwnedParts,
): void {
  if (mayCall('owner', callerOf(context).role)) return
  const known = before === null ? [] : scriptsOf(before)
  const fresh = scriptsOf(after).find((script) => known.every((other) => !isSameValue(other, script)))
  if (!fresh) return
  throw new Refusal(
    isAzureChange(fresh.action)
      ? {
          code: 'access/role-too-low',
          message:
            'A step that changes something in Azure may do whatever the sign-in of its site may there: to add or change one, or a parameter that it names, takes the role owner',
          remedy: 'Ask an owner to add the step.',
        }
      : {
          code: 'access/role-too-low',
          message:
            'A script on the server or on the host of a site may do whatever Understudy may there: to add or change one takes the role owner',
          remedy: 'Ask an owner to add the script, or run it in the guest.',
        },
  )
}

type OwnedAction = { readonly action: StepAction; readonly parameters: readonly PlanParameter[] }

function scriptsOf({ groups, parameters }: OwnedParts): readonly OwnedAction[] {
  return stepsOf({ groups }).flatMap(({ action }): readonly OwnedAction[] => {
    const where = commandOf(action)?.where
    if (where !== undefined && isOurs(where)) return [{ action, parameters: [] }]
    if (!isAzureChange(action)) return []
    // Its parameters say what it changes, where a program has them as arguments alone.
    const names = new Set(referencesOf(action).map(({ name }) => name))
    return [{ action, parameters: parameters.filter(({ name }) => names.has(name)) }]
  })
}

async function refuseAnswer(
  deps: ApiDeps,
  id: PlanRunId,
  itemId: ItemId,
  context: RequestContext,
): Promise<void> {
  const { plan } = await findPlanRun(deps, id)
  refuseForPeople(
    context,
    stepsOf(plan).filter((step) => step.id === itemId),
  )
}

/** Of these, what waits for a person waits for one with a certain role. */
function refuseForPeople(context: RequestContext, items: readonly (PlanMachine | PlanStep)[]): void {
  const { name, role } = callerOf(context)
  for (const item of items) {
    const wanted = isStep(item) ? roleOfStep(item.action) : null
    if (wanted === null || mayDo(context, wanted)) continue
    throw new Refusal({
      code: 'access/role-too-low',
      message: `This waits for somebody with the role ${wanted}; ${name} has the role ${role}`,
      remedy: 'Ask somebody with that role.',
    })
  }
}

const mayDo = (context: RequestContext, wanted: AnswererRole | null): boolean =>
  wanted === null || mayCall(wanted, callerOf(context).role)

function roleOfStep(action: StepAction): AnswererRole | null {
  switch (action.kind) {
    case 'manual':
      return action.assigneeRole
    case 'approval':
      return action.approverRole
    case 'script':
    case 'wait':
    case 'probe':
    case 'http':
    case 'dns':
    case 'load-balancer':
    case 'traffic-manager':
    case 'azure-load-balancer':
    case 'azure-dns':
    case 'azure-run-command':
      return null
  }
}
