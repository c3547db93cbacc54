import { referencesOf, type TextUse } from './action-texts.ts'
import type { PlanParameter } from './plan.ts'
import type { StepAction } from './step-action.ts'
import { type Fault, faultsWhere } from './step-fault.ts'

/** Whether the parameters that an action names are there, and where it would take a secret. Pure. */
export function checkUses(action: StepAction, parameters: readonly PlanParameter[]): readonly Fault[] {
  const typeOf = (name: string) => parameters.find((parameter) => parameter.name === name)?.type
  const key = action.kind === 'dns' ? action.tsig?.secretParameter : undefined
  const faults = referencesOf(action).flatMap(({ name, use }): readonly Fault[] => {
    const type = typeOf(name)
    if (type === undefined) return [unknownParameter(name)]
    return type === 'secret' ? checkSecretUse(name, use) : []
  })
  return [
    // A name may stand in many texts; it is told once.
    ...new Map(faults.map((fault) => [fault.message, fault])).values(),
    ...faultsWhere([
      [
        key !== undefined && typeOf(key) !== undefined && typeOf(key) !== 'secret',
        'key-not-secret',
        `signs with the parameter "${key}", which is no secret`,
        'Make it a parameter of the type "secret".',
      ],
    ]),
  ]
}

const unknownParameter = (name: string): Fault => ({
  code: 'unknown-parameter',
  message: `uses the parameter "${name}", which the plan does not have`,
  remedy: 'Correct the name, or add the parameter.',
})

function checkSecretUse(name: string, use: TextUse): readonly Fault[] {
  switch (use) {
    case 'shown':
      return [
        {
          code: 'secret-shown',
          message: `would show the secret "${name}"`,
          remedy: 'Take it out of this text: whoever may know it knows where it is kept.',
        },
      ]
    case 'exposed':
      return [
        {
          level: 'warning',
          code: 'secret-exposed',
          message: `uses the secret "${name}" where process lists or logs of others show it`,
          remedy: 'Pass it in an environment variable, a header or a body instead.',
        },
      ]
    case 'private':
      return []
  }
}
