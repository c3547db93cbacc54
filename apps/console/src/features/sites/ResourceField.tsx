// Things of Azure's that settings name by their resource ids: chosen from those that are there, or typed where they cannot be listed.
import { ActionIcon, Button, Group, Select, Stack, Text, TextInput } from '@mantine/core'
import { IconX } from '@tabler/icons-react'
import { type ReactNode, useState } from 'react'
import { chosenOf, listedAs, type Option } from './resource-options.ts'

type FieldProps = {
  readonly label: string
  readonly description: string
  /** What its resource id looks like. */
  readonly placeholder: string
  readonly options: readonly Option[]
  readonly error: string | null
}

type ResourceFieldProps = FieldProps & {
  readonly value: string
  readonly onChange: (id: string) => void
}

/** One of them, or none. */
export function ResourceField({ options, value, onChange, ...field }: ResourceFieldProps) {
  const [typed, setTyped] = useState(false)
  const listed = value === '' ? null : listedAs(options, value)
  const isTyped = options.length === 0 || typed || (value !== '' && listed === null)
  return (
    <WithOtherWay
      isTyped={isTyped}
      hasOptions={options.length > 0}
      label={field.label}
      onTurn={() => {
        if (isTyped && listed === null) onChange('')
        setTyped(!isTyped)
      }}
    >
      {isTyped ? (
        <TextInput
          {...field}
          description={`Resource id. ${field.description}`}
          value={value}
          onChange={(event) => {
            // It stays a field for typing, whatever the text becomes on its way.
            setTyped(true)
            onChange(event.currentTarget.value)
          }}
          spellCheck={false}
        />
      ) : (
        <Select
          {...field}
          placeholder="None"
          searchable
          clearable
          clearButtonProps={{ 'aria-label': `None: ${field.label}` }}
          nothingFoundMessage="Nothing of this name"
          data={[...options]}
          value={listed}
          onChange={(id) => onChange(id ?? '')}
        />
      )}
    </WithOtherWay>
  )
}

type ResourcesFieldProps = FieldProps & {
  /** With white space between them. */
  readonly value: string
  readonly onChange: (ids: string) => void
}

/** Any number of them. */
export function ResourcesField({ options, value, onChange, ...field }: ResourcesFieldProps) {
  const [typed, setTyped] = useState(false)
  const ids = value.split(/\s+/).filter((id) => id !== '')
  const chosen = chosenOf(options, ids)
  const isTyped = options.length === 0 || typed
  return (
    <WithOtherWay
      isTyped={isTyped}
      hasOptions={options.length > 0}
      label={field.label}
      onTurn={() => setTyped(!isTyped)}
    >
      {isTyped ? (
        <TextInput
          {...field}
          description={`${field.description}; resource ids, with a space between them`}
          value={value.replaceAll('\n', ' ')}
          onChange={(event) => onChange(event.currentTarget.value)}
          spellCheck={false}
        />
      ) : (
        <Stack gap={4}>
          <Select
            {...field}
            placeholder={ids.length === 0 ? 'None' : 'One more'}
            searchable
            nothingFoundMessage="Nothing more of this name"
            data={options.filter(({ value: id }) => listedAs(chosen, id) === null)}
            value={null}
            onChange={(id) => id !== null && onChange([...ids, id].join('\n'))}
          />
          {chosen.map(({ value: id, label }) => (
            <Group key={id} gap={4} wrap="nowrap" justify="space-between">
              <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
                {label}
              </Text>
              <ActionIcon
                variant="subtle"
                color="gray"
                aria-label={`Leave out ${label}`}
                onClick={() =>
                  onChange(ids.filter((other) => listedAs([{ value: id, label }], other) === null).join('\n'))
                }
              >
                <IconX size={14} />
              </ActionIcon>
            </Group>
          ))}
        </Stack>
      )}
    </WithOtherWay>
  )
}

type WithOtherWayProps = {
  readonly isTyped: boolean
  readonly hasOptions: boolean
  readonly label: string
  readonly onTurn: () => void
  readonly children: ReactNode
}

/** What is not in the list may still be there: in another subscription, or where the sign-in may not look. */
const WithOtherWay = ({ isTyped, hasOptions, label, onTurn, children }: WithOtherWayProps) => (
  <Stack gap={2}>
    {children}
    {hasOptions && (
      <Button
        variant="subtle"
        size="compact-xs"
        w="fit-content"
        aria-label={isTyped ? `${label}: choose from the list` : `${label}: type the resource id`}
        onClick={onTurn}
      >
        {isTyped ? 'Choose from the list' : 'Type the resource id'}
      </Button>
    )}
  </Stack>
)
