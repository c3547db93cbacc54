// A plan as YAML or JSON for people: what can be left out has a default, machines go by the names of
// their protections, and sites by theirs.
import { z } from 'zod'
import { StepAction } from './plan-action.ts'
import { newPlanHead, planGroup, planItem, planStep } from './recovery-plan.ts'

const needs = planItem.needs.default([])
const whenItFails = planItem.whenItFails.default('stop')

const TextStep = planStep.extend({
  needs,
  whenItFails,
  kinds: planStep.shape.kinds.default(['test', 'planned', 'unplanned', 'fail-back']),
  directions: planStep.shape.directions.default(['forward', 'reverse']),
  action: StepAction,
})
const TextMachine = z.strictObject({
  id: planItem.id,
  protection: z
    .string()
    .min(1)
    .max(120)
    .describe('Name of its protection; its id where several have that name'),
  needs,
  whenItFails,
})
const TextGroup = planGroup.extend({
  start: planGroup.shape.start.default('in-order'),
  before: z.array(TextStep).max(200).default([]),
  machines: z.array(TextMachine).max(1000).default([]),
  after: z.array(TextStep).max(200).default([]),
})

/** What is exported and imported. Published as a JSON schema at `/api/plan.schema.json`. */
export const PlanText = z
  .strictObject({
    understudyPlan: z.literal(1).describe('Version of this format'),
    ...newPlanHead,
    priority: newPlanHead.priority.default(5),
    targetRtoSeconds: newPlanHead.targetRtoSeconds.default(null),
    parameters: newPlanHead.parameters
      .default([])
      .describe('Asked for at the start or kept; the texts of steps take their values by name: {{name}}'),
    groups: z.array(TextGroup).max(200),
  })
  .meta({ title: 'Understudy recovery plan' })

/** JSON Schema 2020-12 of what is written by hand: defaults may be left out. */
export const planSchema = (): object => z.toJSONSchema(PlanText, { io: 'input' })
