// Things of Azure's that settings name by their resource ids: chosen from those that are there, or typed where they cannot be listed.
import { Button, MultiSelect, Select, Stack, Textarea, TextInput } from '@mantine/core'
import { type ReactNode, useState } from 'react'
import { listedAs, type Option, withSet } from './resource-options.ts'

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
  /** One a line. */
  readonly value: string
  readonly onChange: (ids: string) => void
}

/** Any number of them. */
export function ResourcesField({ options, value, onChange, ...field }: ResourcesFieldProps) {
  const [typed, setTyped] = useState(false)
  const ids = value.split(/\s+/).filter((id) => id !== '')
  const isTyped = options.length === 0 || typed
  return (
    <WithOtherWay
      isTyped={isTyped}
      hasOptions={options.length > 0}
      label={field.label}
      onTurn={() => setTyped(!isTyped)}
    >
      {isTyped ? (
        <Textarea
          {...field}
          description={`${field.description}; resource ids, one a line`}
          autosize
          minRows={1}
          maxRows={5}
          value={value}
          onChange={(event) => onChange(event.currentTarget.value)}
          spellCheck={false}
        />
      ) : (
        <MultiSelect
          {...field}
          placeholder={ids.length === 0 ? 'None' : ''}
          searchable
          nothingFoundMessage="Nothing of this name"
          data={[...withSet(options, ids)]}
          value={ids.map((id) => listedAs(options, id) ?? id)}
          onChange={(chosen) => onChange(chosen.join('\n'))}
        />
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
