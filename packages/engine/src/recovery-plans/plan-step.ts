// One step of a plan as a job: secrets are filled in here, and nothing leaves here with one in it.
import { Outage, Refusal } from '@understudy/base/errors'
import { maskerFor } from '@understudy/domain/recovery-plans/mask-secrets'
import { resolveParameters, substituteAction } from '@understudy/domain/recovery-plans/parameters'
import type { PlanMachine, PlanStep } from '@understudy/domain/recovery-plans/plan'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import { isStep, itemsOf } from '@understudy/domain/recovery-plans/plan-items'
import type { PlanActivity, PlanRun, PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import { type StepAction, siteOfAction } from '@understudy/domain/recovery-plans/step-action'
import type { EngineContext } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import type { JobBody, TaskScope } from '../jobs/job-scope.ts'
import { StepFailure, type StepWork } from '../ports/step-runner.ts'
import type { Asker } from '../requests.ts'
import { placesOfMachines } from './machine-places.ts'
import { servicesOf } from './program-sites.ts'
import { loadRun } from './steer-run.ts'

export type PlanStepRequest = Asker & {
  readonly planRunId: PlanRunId
  readonly itemId: ItemId
  readonly attempt: number
}

export const planStep = (context: EngineContext): JobBody<PlanStepRequest> => ({
  tasks: () => ['Do the step'],
  async run(job, request) {
    // What a step does may have had its effect although it failed: only a person says that it begins once more.
    await job.task('Do the step', (task) => doStep(context.parts, job.id, request, task), { retries: 0 })
  },
})

type Fields = { readonly run: PlanRun; readonly step: PlanStep; readonly activity: PlanActivity }

async function doStep(
  parts: EngineParts,
  attemptId: string,
  request: PlanStepRequest,
  task: TaskScope,
): Promise<void> {
  const { run, step, activity } = await load(parts, request)
  const values = await valuesOf(parts, run)
  const mask = maskerFor(values.secrets)
  const keep = async (output: string | null): Promise<void> => {
    if (output === null) return
    const from = { state: 'running', attempt: request.attempt, run: anyState } as const
    await parts.stores.planRuns.moveActivity(run.id, step.id, from, { output: mask(output) })
    parts.live.changed('plan-runs', run.id)
  }
  try {
    const work = await workOf(parts, { run, step, activity }, values, attemptId)
    const outcome = await parts.steps.run(work, (line) => void task.heldUpBy(mask(line)), task.signal)
    await keep(outcome.output)
    task.note(mask(outcome.note))
  } catch (error) {
    if (error instanceof StepFailure) await keep(error.output)
    throw toMasked(error, mask)
  }
}

/** The same kind of failure. Without its facts and its cause: what these hold, only whoever made them knows. */
function toMasked(error: unknown, mask: (text: string) => string): Error {
  if (error instanceof StepFailure || error instanceof Refusal || error instanceof Outage) {
    const { code, message, remedy } = error
    const words = { code, message: mask(message), remedy: mask(remedy) }
    return error instanceof Outage ? new Outage(words) : new Refusal(words)
  }
  const { name, message, stack = '' } = error instanceof Error ? error : new Error(String(error))
  return Object.assign(new Error(mask(message)), { name, stack: mask(stack) })
}

const anyState = ['running', 'paused', 'cancelling', 'failed', 'succeeded', 'cancelled'] as const

async function load(parts: EngineParts, { planRunId, itemId, attempt }: PlanStepRequest): Promise<Fields> {
  const run = await loadRun(parts, planRunId)
  const step = itemsOf(run.plan).find(({ item }) => item.id === itemId)?.item
  const activities = await parts.stores.planRuns.activities(planRunId)
  const activity = activities.find((each) => each.itemId === itemId)
  if (step && isStep(step) && activity?.state === 'running' && activity.attempt === attempt)
    return { run, step, activity }
  throw new Refusal({
    code: 'recovery-plan/step-gone',
    message: 'The step was skipped or tried again meanwhile',
    remedy: 'Look at the run of the plan.',
  })
}

type Values = {
  readonly values: Parameters<typeof substituteAction>[1]
  readonly secrets: readonly string[]
}

async function valuesOf({ stores }: EngineParts, run: PlanRun): Promise<Values> {
  const keptSecrets = await stores.planRuns.secrets(run.id)
  const asked = new Set(run.plan.parameters.filter(({ asked }) => asked).map(({ name }) => name))
  const given = Object.fromEntries(Object.entries(run.parameters).filter(([name]) => asked.has(name)))
  const resolved = resolveParameters(run.plan.parameters, { given, keptSecrets })
  if (resolved.kind === 'resolved') return resolved
  throw new Refusal({
    code: 'recovery-plan/parameters',
    message: resolved.findings.map(({ message }) => message).join('; '),
    remedy: 'Start the run anew and fill in its parameters.',
  })
}

async function workOf(
  parts: EngineParts,
  { run, step, activity }: Fields,
  { values, secrets }: Values,
  attemptId: string,
): Promise<StepWork> {
  const { action } = step
  if (action.kind === 'wait' || action.kind === 'manual' || action.kind === 'approval')
    throw new Refusal({
      code: 'recovery-plan/no-work',
      message: 'Nothing is to be done in this step',
      remedy: 'Look at the run of the plan.',
    })
  const siteId = siteOfAction(action)
  const [places, { host, cloud }] = await Promise.all([
    placesOfMachines(parts, run),
    servicesOf(parts, siteId),
  ])
  return {
    attemptId,
    action: substituteAction(action, values) as StepWork['action'],
    addressOf: (machine) => places.get(machine)?.addresses ?? [],
    guestOf: (machine) => places.get(machine)?.guest ?? null,
    hostOf: (site) => (site === siteId ? host : null),
    cloudOf: (site) => (site === siteId ? cloud : null),
    cloudMachineOf: (machine) => places.get(machine)?.inCloud ?? null,
    tsigSecret: tsigOf(action, values),
    mask: maskerFor(secrets),
    context: JSON.stringify(contextOf(run, places)),
    deadline: activity.deadline ?? parts.clock.now(),
  }
}

const tsigOf = (action: StepAction, values: Values['values']): string | null =>
  action.kind === 'dns' && action.tsig ? String(values.get(action.tsig.secretParameter) ?? '') : null

/** What scripts are told, as JSON. */
function contextOf(run: PlanRun, places: Awaited<ReturnType<typeof placesOfMachines>>): object {
  return {
    plan: { id: run.planId, name: run.planName, version: run.version },
    run: { id: run.id, startedBy: run.startedBy, startedAt: new Date(run.startedAt).toISOString() },
    kind: run.kind,
    direction: run.direction,
    groups: run.plan.groups.map((group) => ({
      name: group.name,
      machines: group.machines.map((machine: PlanMachine) => {
        const place = places.get(machine.id)
        return {
          name: place?.name ?? null,
          addresses: place?.addresses ?? [],
          point: place?.point ?? null,
        }
      }),
    })),
  }
}
