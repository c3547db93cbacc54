import {
  ActionIcon,
  Box,
  Button,
  Checkbox,
  Group,
  NumberInput,
  Select,
  SimpleGrid,
  Stack,
  Text,
  TextInput,
} from '@mantine/core'
import { IconPlus, IconTrash, IconVariable } from '@tabler/icons-react'
import { editPlan, type PlanParameter } from '@understudy/contract/plan-editing'
import type { PlanFinding } from '@understudy/contract/recovery-plan'
import { type ReactNode, useState } from 'react'
import { EmptyState } from '../../ui/EmptyState.tsx'
import { Findings } from '../../ui/Findings.tsx'
import classes from './ParameterForm.module.css'
import { newParameter, withChoices, withType } from './parameter-edits.ts'
import type { Plan } from './plan-draft.ts'
import { TextList } from './step-forms/fields.tsx'
import { useEditor } from './use-plan-editor.ts'

type ParameterFormProps = {
  readonly plan: Plan
  readonly findings: readonly PlanFinding[]
  readonly blocked: boolean
  /** Where the value of a secret is kept: apart from the plan. */
  readonly secretOf: (parameter: PlanParameter) => ReactNode
}

const types = [
  { value: 'text', label: 'text' },
  { value: 'number', label: 'number' },
  { value: 'boolean', label: 'yes or no' },
  { value: 'choice', label: 'choice' },
  { value: 'secret', label: 'secret' },
] as const

/** What differs from run to run, and what nobody may read in the plan. */
export function ParameterForm({ plan, findings, blocked, secretOf }: ParameterFormProps) {
  const editor = useEditor()
  const { parameters } = plan
  const set = (next: readonly PlanParameter[], what: string, field?: string): void =>
    editor.edit(what, (before) => editPlan(before, { parameters: next }), field)
  const add = blocked ? null : (
    <Button
      variant="default"
      w="fit-content"
      leftSection={<IconPlus size={15} />}
      onClick={() => set([...parameters, newParameter(parameters)], 'add a parameter')}
    >
      Add a parameter
    </Button>
  )
  if (parameters.length === 0)
    return (
      <EmptyState icon={IconVariable} title="No parameter" action={add}>
        A step can name one wherever it takes a text: <code>{'{{team}}'}</code>. Its value is a default, or
        asked for when the plan is started; a secret is kept apart from the plan and shown to nobody.
      </EmptyState>
    )
  return (
    <Stack gap="sm">
      {parameters.map((parameter, index) => (
        <ParameterRow
          // biome-ignore lint/suspicious/noArrayIndexKey: its name is what is being typed.
          key={index}
          parameter={parameter}
          findings={findings.filter(({ at }) => at.kind === 'parameter' && at.name === parameter.name)}
          blocked={blocked}
          secret={parameter.type === 'secret' ? secretOf(parameter) : null}
          onChange={(changed, field) =>
            set(
              parameters.with(index, changed),
              `change the parameter “${changed.name}”`,
              field && `parameter ${index} ${field}`,
            )
          }
          onRemove={() =>
            set(
              parameters.filter((_, at) => at !== index),
              `remove the parameter “${parameter.name}”`,
            )
          }
        />
      ))}
      {add}
    </Stack>
  )
}

type ParameterRowProps = {
  readonly parameter: PlanParameter
  readonly findings: readonly PlanFinding[]
  readonly blocked: boolean
  readonly secret: ReactNode
  readonly onChange: (parameter: PlanParameter, field?: string) => void
  readonly onRemove: () => void
}

function ParameterRow({ parameter, findings, blocked, secret, onChange, onRemove }: ParameterRowProps) {
  return (
    <fieldset className={classes.row}>
      <legend className={classes.legend}>{`{{${parameter.name}}}`}</legend>
      <SimpleGrid cols={{ base: 1, sm: 2, lg: 4 }} spacing="sm">
        <TextInput
          label="Name"
          readOnly={blocked}
          value={parameter.name}
          onChange={(event) => onChange({ ...parameter, name: event.currentTarget.value }, 'name')}
        />
        <Select
          label="Type"
          allowDeselect={false}
          disabled={blocked}
          data={[...types]}
          value={parameter.type}
          onChange={(chosen) => {
            const type = types.find(({ value }) => value === chosen)?.value
            if (type) onChange(withType(parameter, type))
          }}
        />
        <TextInput
          label="What it is, for the form"
          readOnly={blocked}
          value={parameter.description}
          onChange={(event) =>
            onChange({ ...parameter, description: event.currentTarget.value }, 'description')
          }
        />
        {secret ?? <DefaultField parameter={parameter} blocked={blocked} onChange={onChange} />}
      </SimpleGrid>
      {parameter.type === 'choice' && (
        <Box mt="sm">
          <TextList
            label="Choices"
            add="Add a choice"
            texts={parameter.choices}
            blocked={blocked}
            onChange={(choices, field) => onChange(withChoices(parameter, choices), field)}
          />
        </Box>
      )}
      <Group justify="space-between" mt="sm">
        <Checkbox
          size="xs"
          label="Asked when the plan is started"
          disabled={blocked}
          checked={parameter.asked}
          onChange={(event) => onChange({ ...parameter, asked: event.currentTarget.checked })}
        />
        {!blocked && (
          <ActionIcon
            variant="subtle"
            color="red"
            aria-label={`Remove the parameter ${parameter.name}`}
            onClick={onRemove}
          >
            <IconTrash size={16} />
          </ActionIcon>
        )}
      </Group>
      <Findings findings={findings} label={`What is wrong with ${parameter.name}`} />
    </fieldset>
  )
}

function DefaultField({
  parameter,
  blocked,
  onChange,
}: Pick<ParameterRowProps, 'parameter' | 'blocked' | 'onChange'>) {
  const set = (value: PlanParameter['default']): void => onChange({ ...parameter, default: value }, 'default')
  switch (parameter.type) {
    case 'text':
      return (
        <TextInput
          label="Default"
          placeholder="none"
          readOnly={blocked}
          value={typeof parameter.default === 'string' ? parameter.default : ''}
          onChange={(event) => set(event.currentTarget.value === '' ? null : event.currentTarget.value)}
        />
      )
    case 'number':
      return (
        <NumberInput
          label="Default"
          placeholder="none"
          readOnly={blocked}
          value={typeof parameter.default === 'number' ? parameter.default : ''}
          onChange={(value) => set(typeof value === 'number' ? value : null)}
        />
      )
    case 'boolean':
      return (
        <Select
          label="Default"
          allowDeselect={false}
          disabled={blocked}
          data={[
            { value: 'yes', label: 'yes' },
            { value: 'no', label: 'no' },
          ]}
          value={parameter.default === true ? 'yes' : 'no'}
          onChange={(chosen) => set(chosen === 'yes')}
        />
      )
    case 'choice':
      return (
        <Select
          label="Default"
          clearable
          placeholder="none"
          disabled={blocked}
          data={[...new Set(parameter.choices)].filter((choice) => choice !== '')}
          value={typeof parameter.default === 'string' ? parameter.default : null}
          onChange={set}
        />
      )
    case 'secret':
      return null
  }
}

type SecretFieldProps = {
  readonly name: string
  readonly kept: boolean
  /** Why it cannot be kept now; null: it can. */
  readonly reason: string | null
  readonly pending: boolean
  /** Null takes it away. */
  readonly onKeep: (value: string | null) => void
}

/** The value goes to the server at once and is shown to nobody again. */
export function SecretField({ name, kept, reason, pending, onKeep }: SecretFieldProps) {
  const [typed, setTyped] = useState('')
  return (
    <Stack gap={4}>
      <TextInput
        type="password"
        autoComplete="new-password"
        label={kept ? 'Value: kept with the plan' : 'Value: none is kept'}
        placeholder={kept ? 'type to replace it' : 'not set'}
        aria-label={`Value of ${name}`}
        disabled={reason !== null}
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        rightSectionWidth={62}
        rightSection={
          <Button
            size="compact-xs"
            variant="light"
            loading={pending}
            disabled={typed === ''}
            aria-label={`Keep the value of ${name}`}
            onClick={() => {
              onKeep(typed)
              setTyped('')
            }}
          >
            Keep
          </Button>
        }
      />
      {reason !== null && (
        <Text size="xs" c="var(--ink-quiet)">
          {reason}
        </Text>
      )}
      {kept && reason === null && (
        <Button variant="subtle" color="red" size="compact-xs" w="fit-content" onClick={() => onKeep(null)}>
          Forget the value
        </Button>
      )}
    </Stack>
  )
}
