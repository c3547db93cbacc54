import { Checkbox, NumberInput, PasswordInput, Select, Stack, Text, TextInput } from '@mantine/core'
import type { PlanDetail, PlanFinding } from '@understudy/contract/recovery-plan'
import { type Filled, type ParameterValue, valueIn } from './start-draft.ts'

type Parameter = PlanDetail['plan']['parameters'][number]

type ParameterFieldsProps = {
  /** What it is read out as. */
  readonly label?: string
  readonly parameters: readonly Parameter[]
  readonly draft: Filled
  readonly keptSecrets: readonly string[]
  readonly findings: ReadonlyMap<string, readonly PlanFinding[]>
  readonly onChange: (name: string, value: ParameterValue | null) => void
}

/** What the plan asks for at its start, each by its type. */
export function ParameterFields({
  label = 'Parameters',
  parameters,
  draft,
  keptSecrets,
  findings,
  onChange,
}: ParameterFieldsProps) {
  if (parameters.length === 0) return null
  return (
    <Stack gap="sm" role="group" aria-label={label}>
      {parameters.map((parameter) => (
        <Field
          key={parameter.name}
          parameter={parameter}
          value={valueIn(parameter, draft)}
          isKept={keptSecrets.includes(parameter.name)}
          problem={wordsOf(findings.get(parameter.name))}
          onChange={(value) => onChange(parameter.name, value)}
        />
      ))}
    </Stack>
  )
}

const wordsOf = (findings: readonly PlanFinding[] | undefined): string | null =>
  findings === undefined ? null : findings.map(({ message, remedy }) => `${message}. ${remedy}`).join(' ')

type FieldProps = {
  readonly parameter: Parameter
  readonly value: ParameterValue | null
  readonly isKept: boolean
  readonly problem: string | null
  readonly onChange: (value: ParameterValue | null) => void
}

function Field({ parameter, value, isKept, problem, onChange }: FieldProps) {
  const { name, description, type, choices } = parameter
  const shared = { label: name, description: description === '' ? undefined : description, error: problem }
  switch (type) {
    case 'text':
      return (
        <TextInput
          {...shared}
          value={String(value ?? '')}
          onChange={(event) => onChange(event.currentTarget.value)}
          autoComplete="off"
        />
      )
    case 'number':
      return (
        <NumberInput
          {...shared}
          value={typeof value === 'number' ? value : ''}
          onChange={(next) => onChange(typeof next === 'number' ? next : next === '' ? null : Number(next))}
        />
      )
    case 'boolean':
      return (
        <div>
          <Checkbox
            label={name}
            description={shared.description}
            checked={value === true}
            onChange={(event) => onChange(event.currentTarget.checked)}
          />
          {problem && (
            <Text size="xs" c="var(--bad)">
              {problem}
            </Text>
          )}
        </div>
      )
    case 'choice':
      return (
        <Select
          {...shared}
          data={[...choices]}
          value={typeof value === 'string' ? value : null}
          onChange={onChange}
          allowDeselect={false}
        />
      )
    case 'secret':
      return (
        <PasswordInput
          {...shared}
          placeholder={isKept ? 'Kept with the plan; fill in only to use another one' : ''}
          value={String(value ?? '')}
          onChange={(event) => onChange(event.currentTarget.value)}
          autoComplete="new-password"
          visibilityToggleButtonProps={{ 'aria-label': `Show ${name}` }}
        />
      )
  }
}
