// The parameters of one run: what they are, and what the steps make of them.
import { Refusal } from '@understudy/base/errors'
import { isChosenByParameter, mapTexts, replaceReferences } from './action-texts.ts'
import type { ParameterType, ParameterValue, PlanParameter } from './plan.ts'
import { atParameter, type PlanFinding } from './plan-finding.ts'
import { commandOf, type StepAction } from './step-action.ts'

export type ParameterSources = {
  /** What whoever starts the run has filled in. Unchecked: from a form, or from a script. */
  readonly given: Readonly<Record<string, unknown>>
  /** Secrets of the plan that are kept apart from it, by the name of their parameter. */
  readonly keptSecrets: Readonly<Record<string, string>>
}

export type ParameterValues = ReadonlyMap<string, ParameterValue>

export type ResolvedParameters =
  | {
      readonly kind: 'resolved'
      readonly values: ParameterValues
      /** What must never be seen: for maskerFor. */
      readonly secrets: readonly string[]
    }
  /** All that is wrong at once, each beside its parameter. */
  | { readonly kind: 'refused'; readonly findings: readonly PlanFinding[] }

/** A given value goes before a kept secret and before the default. Pure. */
export function resolveParameters(
  parameters: readonly PlanParameter[],
  { given, keptSecrets }: ParameterSources,
): ResolvedParameters {
  const findings: PlanFinding[] = unknownNames(parameters, given)
  const values = new Map<string, ParameterValue>()
  for (const parameter of parameters) {
    const checked = chooseValue(
      parameter,
      ownValue(given, parameter.name),
      ownValue(keptSecrets, parameter.name),
    )
    if (checked.kind === 'value') values.set(parameter.name, checked.value)
    else findings.push(checked.finding)
  }
  if (findings.length > 0) return { kind: 'refused', findings }
  const secrets = parameters.flatMap(({ name, type }) =>
    type === 'secret' ? [String(values.get(name) ?? '')] : [],
  )
  return { kind: 'resolved', values, secrets }
}

/** A parameter may be called `constructor`. */
const ownValue = (record: Readonly<Record<string, unknown>>, name: string): unknown =>
  Object.hasOwn(record, name) ? record[name] : undefined

const unknownNames = (
  parameters: readonly PlanParameter[],
  given: ParameterSources['given'],
): PlanFinding[] =>
  Object.keys(given)
    .filter((name) => parameters.every((parameter) => parameter.name !== name))
    .map((name) =>
      wrong(
        name,
        'parameter-unknown',
        `The plan has no parameter "${name}"`,
        'Leave it out, or correct its name.',
      ),
    )

type Checked =
  | { readonly kind: 'value'; readonly value: ParameterValue }
  | { readonly kind: 'wrong'; readonly finding: PlanFinding }

function chooseValue(parameter: PlanParameter, given: unknown, keptSecret: unknown): Checked {
  const { name, asked } = parameter
  const refused = (code: string, message: string, remedy: string): Checked => ({
    kind: 'wrong',
    finding: wrong(name, code, message, remedy),
  })
  if (given !== undefined && given !== null && !asked)
    return refused(
      'parameter-not-asked',
      `The parameter "${name}" is fixed by the plan`,
      'Leave it out, or edit the plan so that it is asked at the start.',
    )
  const value = given ?? (parameter.type === 'secret' ? keptSecret : parameter.default)
  if (value === undefined || value === null)
    return refused(
      'parameter-missing',
      `The parameter "${name}" has no value`,
      asked ? 'Fill it in.' : 'Edit the plan and give it one.',
    )
  const fault = faultOfValue(parameter, value)
  if (fault !== null)
    return refused('parameter-type', `The parameter "${name}" ${fault}`, 'Give it a value of its type.')
  return { kind: 'value', value: value as ParameterValue }
}

const wrong = (name: string, code: string, message: string, remedy: string): PlanFinding => ({
  at: atParameter(name),
  level: 'blocker',
  code: `recovery-plan/${code}`,
  message,
  remedy,
})

/** What is wrong with a value, as `must be ...`; null: nothing. Never quotes the value: it may be a secret at the wrong place. Pure. */
export function faultOfValue(
  { type, choices }: Pick<PlanParameter, 'type' | 'choices'>,
  value: unknown,
): string | null {
  const is = (fits: boolean): string | null => (fits ? null : mustBe(type, choices))
  switch (type) {
    case 'text':
      return is(typeof value === 'string')
    case 'secret':
      // An empty one is nobody's secret: it was forgotten.
      return is(typeof value === 'string' && value !== '')
    case 'number':
      return is(typeof value === 'number' && Number.isFinite(value))
    case 'boolean':
      return is(typeof value === 'boolean')
    case 'choice':
      return is(typeof value === 'string' && choices.includes(value))
  }
}

const mustBe = (type: ParameterType, choices: readonly string[]): string => {
  switch (type) {
    case 'text':
      return 'must be a text'
    case 'secret':
      return 'must be a text that is not empty'
    case 'number':
      return 'must be a number'
    case 'boolean':
      return 'must be true or false'
    case 'choice':
      return `must be one of: ${choices.map((choice) => `"${choice}"`).join(', ')}`
  }
}

/**
 * The text with each `{{name}}` replaced once; what a value holds is not read again, or one parameter could name another. Refuses a
 * name that is not known: half a command is worse than none. Pure.
 */
export const substitute = (text: string, values: ParameterValues): string =>
  replaceReferences(text, (name) => {
    const value = values.get(name)
    if (value === undefined)
      throw new Refusal({
        code: 'recovery-plan/parameter-unknown',
        message: `The plan has no parameter "${name}"`,
        remedy: 'Edit the step, or add the parameter to the plan.',
      })
    return String(value)
  })

/**
 * The action as it is done, with every text substituted. Nothing of it may be kept or shown without maskerFor. Refuses a program on
 * our server, or on a host, that a parameter would choose, whoever let that step in. Pure.
 */
export function substituteAction(action: StepAction, values: ParameterValues): StepAction {
  const command = commandOf(action)
  if (command !== null && isChosenByParameter(command))
    throw new Refusal({
      code: 'recovery-plan/command-parameter',
      message: 'A parameter would choose the program that runs on the server or on the host of a site',
      remedy: 'Name the program in the step itself, and give it the parameter as an argument.',
    })
  return mapTexts(action, (text) => substitute(text, values))
}
