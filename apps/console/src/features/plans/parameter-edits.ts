// Editing the parameters of a plan as their form does it. Pure.
import type { PlanParameter } from '@understudy/contract/plan-editing'

export const newParameter = (taken: readonly PlanParameter[]): PlanParameter => {
  const names = new Set(taken.map(({ name }) => name))
  let number = taken.length + 1
  while (names.has(`parameter-${number}`)) number += 1
  return {
    name: `parameter-${number}`,
    description: '',
    type: 'text',
    choices: [],
    default: null,
    asked: true,
  }
}

/** What belongs to the former type goes: a default that is none any more, choices that nobody is offered. */
export function withType(parameter: PlanParameter, type: PlanParameter['type']): PlanParameter {
  const kept = parameter.default
  const fits =
    (type === 'text' && typeof kept === 'string') ||
    (type === 'number' && typeof kept === 'number') ||
    (type === 'boolean' && typeof kept === 'boolean')
  return {
    ...parameter,
    type,
    choices: type === 'choice' ? parameter.choices : [],
    default: fits ? kept : type === 'boolean' ? false : null,
    // Nobody should type a secret that is kept with the plan.
    asked: type === 'secret' ? false : parameter.asked,
  }
}

export function withChoices(parameter: PlanParameter, choices: readonly string[]): PlanParameter {
  const isOffered = typeof parameter.default === 'string' && choices.includes(parameter.default)
  return { ...parameter, choices, default: isOffered ? parameter.default : null }
}
