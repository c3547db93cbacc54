// The fields that the forms of several kinds of step share.
import {
  ActionIcon,
  Button,
  Fieldset,
  Group,
  NumberInput,
  Select,
  Stack,
  Text,
  TextInput,
} from '@mantine/core'
import { IconPlus, IconX } from '@tabler/icons-react'
import { useState } from 'react'
import { SpanInput } from '../../../ui/SpanInput.tsx'
import type { ActionOf, ItemId, SiteId } from '../plan-draft.ts'
import { recordOf, rowsOf, type WordRow } from './word-rows.ts'

export type Endpoint = ActionOf<'dns'>['value']
export type Command = Pick<ActionOf<'script'>, 'where' | 'command' | 'arguments' | 'environment'>
export type Site = { readonly value: SiteId; readonly label: string }
export type Machine = { readonly value: ItemId; readonly label: string }

/** What the forms know of the plan around the step. */
export type FormFacts = {
  readonly machines: readonly Machine[]
  /** All that there are, whether programs can be run there or not. */
  readonly sites: readonly Site[]
  /** Those in Azure, whether machines can run there or not. */
  readonly azureSites: readonly Site[]
  /** Names of the secret parameters. */
  readonly secrets: readonly string[]
  readonly blocked: boolean
}

/** `field` names what is typed in, so that its letters become one edit. */
export type FormOf<Value> = FormFacts & {
  readonly value: Value
  readonly onChange: (value: Value, field?: string) => void
}

/** The name of several fields together stands as that of a single one does. */
export const legendAsLabel = {
  root: { marginInline: 0 },
  legend: { fontWeight: 600, fontSize: 'var(--mantine-font-size-sm)', padding: 0 },
} as const

type MachineSelectProps = Pick<FormFacts, 'machines' | 'blocked'> & {
  readonly label: string
  readonly value: ItemId | null
  readonly onChange: (id: ItemId) => void
}

export function MachineSelect({ label, value, machines, blocked, onChange }: MachineSelectProps) {
  const gone = value !== null && machines.every((machine) => machine.value !== value)
  return (
    <Select
      label={label}
      searchable
      limit={100}
      allowDeselect={false}
      disabled={blocked}
      placeholder="Choose a machine of the plan"
      data={machines.map((machine) => ({ ...machine, value: machine.value as string }))}
      value={gone ? null : value}
      error={gone ? 'That machine has left the plan: choose another one' : null}
      onChange={(id) => id !== null && onChange(id as ItemId)}
    />
  )
}

type SiteSelectProps = Pick<FormFacts, 'sites' | 'blocked'> & {
  readonly label?: string
  readonly placeholder?: string
  /** Null: nobody has chosen one. */
  readonly value: SiteId | null
  readonly onChange: (id: SiteId) => void
}

export function SiteSelect({
  label = 'Site',
  placeholder = 'Choose a site',
  value,
  sites,
  blocked,
  onChange,
}: SiteSelectProps) {
  const gone = value !== null && sites.every((site) => site.value !== value)
  return (
    <Select
      label={label}
      searchable
      allowDeselect={false}
      disabled={blocked}
      placeholder={placeholder}
      data={sites.map((site) => ({ ...site, value: site.value as string }))}
      value={gone ? null : value}
      error={gone ? 'That site is not there: choose another one' : null}
      onChange={(id) => id !== null && onChange(id as SiteId)}
    />
  )
}

type EndpointFieldsProps = FormOf<Endpoint> & { readonly label: string }

/** An address that is known, or a machine's, whatever it gets when it comes up. */
export function EndpointFields({ label, value, onChange, machines, blocked }: EndpointFieldsProps) {
  return (
    <Group gap={6} align="flex-end" wrap="nowrap">
      <Select
        w={120}
        label={label}
        allowDeselect={false}
        disabled={blocked}
        data={[
          { value: 'machine', label: 'a machine' },
          { value: 'address', label: 'an address' },
        ]}
        value={value.kind}
        onChange={(kind) => {
          const [first] = machines
          if (kind === 'address') onChange({ kind, address: '' })
          else if (kind === 'machine' && first) onChange({ kind, machine: first.value })
        }}
      />
      <div style={{ flex: 1, minWidth: 0 }}>
        {value.kind === 'machine' ? (
          <MachineSelect
            label="Machine"
            value={value.machine}
            machines={machines}
            blocked={blocked}
            onChange={(machine) => onChange({ kind: 'machine', machine })}
          />
        ) : (
          <TextInput
            label="Address"
            placeholder="10.0.0.5 or {{name}}"
            readOnly={blocked}
            value={value.address}
            onChange={(event) =>
              onChange({ kind: 'address', address: event.currentTarget.value }, `${label} address`)
            }
          />
        )}
      </div>
    </Group>
  )
}

type WholeNumberProps = {
  readonly label: string
  readonly description?: string
  readonly value: number
  readonly min: number
  readonly max: number
  readonly blocked: boolean
  readonly onChange: (value: number) => void
}

export function WholeNumber({ label, description, value, min, max, blocked, onChange }: WholeNumberProps) {
  return (
    <NumberInput
      label={label}
      description={description}
      value={value}
      min={min}
      max={max}
      allowDecimal={false}
      clampBehavior="strict"
      readOnly={blocked}
      onChange={(typed) => typeof typed === 'number' && onChange(typed)}
    />
  )
}

type Timed = { readonly timeoutSeconds: number }

/** Nothing waits for ever. */
export function TimeoutField<Value extends Timed>({ value, onChange }: FormOf<Value>) {
  return (
    <SpanInput
      label="Give up after"
      seconds={value.timeoutSeconds}
      onChange={(timeoutSeconds) => onChange({ ...value, timeoutSeconds }, 'timeout')}
    />
  )
}

/** A program and where it runs. */
export function CommandFields({ value, onChange, machines, sites, blocked }: FormOf<Command>) {
  const [first] = machines
  const [site] = sites
  return (
    <>
      <Group gap={6} align="flex-end" wrap="nowrap">
        <Select
          w={150}
          label="Runs"
          allowDeselect={false}
          disabled={blocked}
          data={[
            { value: 'server', label: 'on our server' },
            { value: 'site', label: 'on the host of a site', disabled: !site },
            { value: 'guest', label: 'in a machine', disabled: !first },
          ]}
          value={value.where.kind}
          onChange={(kind) => {
            if (kind === 'server') onChange({ ...value, where: { kind } })
            else if (kind === 'site' && site) onChange({ ...value, where: { kind, site: site.value } })
            else if (kind === 'guest' && first) onChange({ ...value, where: { kind, machine: first.value } })
          }}
        />
        <div style={{ flex: 1, minWidth: 0 }}>
          {value.where.kind === 'site' && (
            <SiteSelect
              value={value.where.site}
              sites={sites}
              blocked={blocked}
              onChange={(chosen) => onChange({ ...value, where: { kind: 'site', site: chosen } })}
            />
          )}
          {value.where.kind === 'guest' && (
            <MachineSelect
              label="Machine"
              value={value.where.machine}
              machines={machines}
              blocked={blocked}
              onChange={(machine) => onChange({ ...value, where: { kind: 'guest', machine } })}
            />
          )}
        </div>
      </Group>
      {value.where.kind === 'server' && (
        <Text size="xs" c="var(--ink-quiet)">
          It may do whatever the server may: only an owner can save one.
        </Text>
      )}
      {value.where.kind === 'site' && (
        <Text size="xs" c="var(--ink-quiet)">
          Beside its disks, as the user that the site is reached as; of several hosts, on the first of its
          settings. Only an owner can save one.
        </Text>
      )}
      <TextInput
        label="Program"
        description="Its path. No shell reads it: arguments stay what they are."
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
        readOnly={blocked}
        value={value.command}
        onChange={(event) => onChange({ ...value, command: event.currentTarget.value }, 'command')}
      />
      <TextList
        label="Arguments"
        add="Add an argument"
        blocked={blocked}
        texts={value.arguments}
        onChange={(texts, field) => onChange({ ...value, arguments: texts }, field)}
      />
      <WordTable
        label="Environment"
        add="Add a variable"
        nameLabel="Variable"
        blocked={blocked}
        words={value.environment}
        onChange={(environment, field) => onChange({ ...value, environment }, field)}
      />
    </>
  )
}

type TextListProps = {
  readonly label: string
  readonly add: string
  readonly texts: readonly string[]
  readonly blocked: boolean
  readonly onChange: (texts: readonly string[], field?: string) => void
}

export function TextList({ label, add, texts, blocked, onChange }: TextListProps) {
  return (
    <Fieldset legend={label} variant="unstyled" styles={legendAsLabel}>
      <Stack gap={4}>
        {texts.map((text, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a text is its place; nothing else tells two equal ones apart.
          <Group key={index} gap={4} wrap="nowrap">
            <TextInput
              flex={1}
              aria-label={`${label} ${index + 1}`}
              readOnly={blocked}
              value={text}
              onChange={(event) =>
                onChange(texts.with(index, event.currentTarget.value), `${label} ${index}`)
              }
            />
            {!blocked && (
              <RemoveRow
                label={`${label.toLowerCase()} ${index + 1}`}
                onRemove={() => onChange(texts.filter((_, at) => at !== index))}
              />
            )}
          </Group>
        ))}
        {!blocked && <AddRow label={add} onAdd={() => onChange([...texts, ''])} />}
        {blocked && texts.length === 0 && <Text size="xs">none</Text>}
      </Stack>
    </Fieldset>
  )
}

type WordTableProps = {
  readonly label: string
  readonly add: string
  readonly nameLabel: string
  readonly words: Readonly<Record<string, string>>
  readonly blocked: boolean
  readonly onChange: (words: Readonly<Record<string, string>>, field?: string) => void
}

/** Names and values. A row without a name yet, or with that of another, is only here: the plan has it once it has its own. */
export function WordTable({ label, add, nameLabel, words, blocked, onChange }: WordTableProps) {
  const [rows, setRows] = useState<readonly WordRow[]>(() => rowsOf(words))
  const shown = isSameRecord(recordOf(rows), words) ? rows : rowsOf(words)
  const change = (next: readonly WordRow[], field?: string): void => {
    setRows(next)
    onChange(recordOf(next), field)
  }
  const set = (index: number, row: Partial<WordRow>): void => {
    const former = shown[index]
    if (former) change(shown.with(index, { ...former, ...row }), `${label} ${index}`)
  }
  return (
    <Fieldset legend={label} variant="unstyled" styles={legendAsLabel}>
      <Stack gap={4}>
        {shown.map((row, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the name is what is being typed.
          <Group key={index} gap={4} wrap="nowrap">
            <TextInput
              w={120}
              aria-label={`${nameLabel} ${index + 1}`}
              placeholder={nameLabel}
              readOnly={blocked}
              value={row.name}
              onChange={(event) => set(index, { name: event.currentTarget.value })}
            />
            <TextInput
              flex={1}
              aria-label={`Value of ${nameLabel.toLowerCase()} ${index + 1}`}
              readOnly={blocked}
              value={row.value}
              onChange={(event) => set(index, { value: event.currentTarget.value })}
            />
            {!blocked && (
              <RemoveRow
                label={`${nameLabel.toLowerCase()} ${index + 1}`}
                onRemove={() => change(shown.filter((_, at) => at !== index))}
              />
            )}
          </Group>
        ))}
        {!blocked && <AddRow label={add} onAdd={() => change([...shown, { name: '', value: '' }])} />}
      </Stack>
    </Fieldset>
  )
}

const isSameRecord = (one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>) =>
  JSON.stringify(Object.entries(one).toSorted()) === JSON.stringify(Object.entries(other).toSorted())

function RemoveRow({ label, onRemove }: { readonly label: string; readonly onRemove: () => void }) {
  return (
    <ActionIcon variant="subtle" color="gray" aria-label={`Remove ${label}`} onClick={onRemove}>
      <IconX size={14} />
    </ActionIcon>
  )
}

function AddRow({ label, onAdd }: { readonly label: string; readonly onAdd: () => void }) {
  return (
    <Button
      variant="subtle"
      size="compact-xs"
      w="fit-content"
      leftSection={<IconPlus size={13} />}
      onClick={onAdd}
    >
      {label}
    </Button>
  )
}
