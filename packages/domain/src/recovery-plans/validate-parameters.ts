import { isParameterName } from './action-texts.ts'
import { faultOfValue } from './parameters.ts'
import type { PlanParameter } from './plan.ts'
import { atParameter, blocker, findingsWhere, type PlanFinding } from './plan-finding.ts'

/** What is wrong with the parameters themselves; how steps use them is validateStep's. Pure. */
export const validateParameters = (parameters: readonly PlanParameter[]): readonly PlanFinding[] =>
  parameters.flatMap((parameter, index) => [
    ...checkName(parameter, parameters.slice(0, index)),
    ...checkValues(parameter),
  ])

const checkName = ({ name }: PlanParameter, former: readonly PlanParameter[]): readonly PlanFinding[] =>
  findingsWhere([
    [
      !isParameterName(name),
      blocker(atParameter(name), {
        code: 'parameter-name',
        message: `A parameter cannot be called "${name}"`,
        remedy: 'Begin with a letter, then use letters, digits, "_" and "-".',
      }),
    ],
    [
      former.some((other) => other.name === name),
      blocker(atParameter(name), {
        code: 'parameter-twice',
        message: `There are two parameters "${name}"`,
        remedy: 'Rename one of them.',
      }),
    ],
  ])

function checkValues(parameter: PlanParameter): readonly PlanFinding[] {
  const { name, type, choices, asked } = parameter
  const at = atParameter(name)
  if (type === 'secret')
    return findingsWhere([
      [
        parameter.default !== null,
        blocker(at, {
          code: 'secret-in-plan',
          message: `The secret "${name}" stands in the plan itself`,
          remedy: 'Remove it here and keep it as a secret of the plan, or have it asked at the start.',
        }),
      ],
    ])
  const fault = parameter.default === null ? null : faultOfValue(parameter, parameter.default)
  return findingsWhere([
    [
      type === 'choice' && choices.length === 0,
      blocker(at, {
        code: 'no-choices',
        message: `The parameter "${name}" offers nothing to choose from`,
        remedy: 'Add the choices.',
      }),
    ],
    [
      fault !== null,
      blocker(at, {
        code: 'default-type',
        message: `The default of "${name}" ${fault}`,
        remedy: 'Correct the default, or change the type.',
      }),
    ],
    [
      parameter.default === null && !asked,
      blocker(at, {
        code: 'parameter-never-set',
        message: `Nobody gives "${name}" a value`,
        remedy: 'Give it a default, or have it asked at the start.',
      }),
    ],
  ])
}
