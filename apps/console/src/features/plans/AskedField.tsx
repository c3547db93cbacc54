import { NumberInput, Select, TextInput } from '@mantine/core'
import type { PlanParameter } from '@understudy/contract/plan-editing'

/** What was filled in, by the names of parameters. */
export type Given = Readonly<Record<string, string | number | boolean>>

type AskedFieldProps = {
  readonly parameter: PlanParameter
  readonly onChange: (value: string | number | boolean) => void
}

/** One parameter, as its type is filled in. */
export function AskedField({ parameter, onChange }: AskedFieldProps) {
  const { name, description, type, choices } = parameter
  const words = { label: name, description: description === '' ? undefined : description }
  const initial = parameter.default
  if (type === 'number')
    return (
      <NumberInput
        {...words}
        defaultValue={typeof initial === 'number' ? initial : ''}
        onChange={(value) => typeof value === 'number' && onChange(value)}
      />
    )
  if (type === 'choice' || type === 'boolean')
    return (
      <Select
        {...words}
        data={type === 'boolean' ? ['yes', 'no'] : [...new Set(choices)]}
        defaultValue={typeof initial === 'boolean' ? (initial ? 'yes' : 'no') : (initial as string | null)}
        onChange={(value) => value !== null && onChange(type === 'boolean' ? value === 'yes' : value)}
      />
    )
  return (
    <TextInput
      {...words}
      type={type === 'secret' ? 'password' : 'text'}
      autoComplete="off"
      defaultValue={typeof initial === 'string' ? initial : ''}
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  )
}
