import {
  ActionIcon,
  Button,
  Checkbox,
  Group,
  Select,
  Skeleton,
  Stack,
  Text,
  TextInput,
  Tooltip,
} from '@mantine/core'
import { IconArrowDown, IconArrowUp, IconCopy, IconTrash, IconX } from '@tabler/icons-react'
import {
  addItem,
  addNeed,
  editItem,
  isApproval,
  isStep,
  itemsOf,
  machinesOf,
  moveItem,
  type PlanStep,
  removeItem,
  removeNeed,
} from '@understudy/contract/plan-editing'
import type { PlanFinding } from '@understudy/contract/recovery-plan'
import { lazy, Suspense, useMemo, useState } from 'react'
import { Findings } from '../../ui/Findings.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { clockOf } from './expected-clock.ts'
import type { Timing } from './ItemCard.tsx'
import { copyOfStep, titleOfStepKind } from './new-items.ts'
import type { ItemId, Names, Plan, PlanItem } from './plan-draft.ts'
import { startKinds, titleOfRun } from './plan-kinds.ts'
import { wordsOfRemoval } from './removal-words.ts'
import type { Part } from './slots.ts'
import { useEditor } from './use-plan-editor.ts'
import { useAzureSites, useSites } from './use-sites.ts'

// A plan is there before anybody opens a step of it.
const ActionFields = lazy(async () => ({
  default: (await import('./step-forms/ActionFields.tsx')).ActionFields,
}))

type ItemFormProps = {
  readonly plan: Plan
  readonly names: Names
  readonly item: PlanItem
  readonly findings: readonly PlanFinding[]
  readonly timing: Timing | null
  readonly blocked: boolean
  readonly onSelect: (id: ItemId | null) => void
}

/** Everything that can be said of one machine or step. */
export function ItemForm(props: ItemFormProps) {
  const { plan, names, item, findings, timing, blocked, onSelect } = props
  const kind = isStep(item) ? titleOfStepKind[item.action.kind] : 'Machine'
  const name = isStep(item) ? item.name : (names.get(item.protectionId) ?? 'not protected any more')
  return (
    <Panel
      title={isStep(item) ? kind : name}
      actions={
        <Tooltip label="Close the form">
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label="Close the form"
            onClick={() => onSelect(null)}
          >
            <IconX size={16} />
          </ActionIcon>
        </Tooltip>
      }
    >
      <Stack gap="sm">
        <Findings findings={findings} label={`What is wrong with ${name}`} />
        {isStep(item) && <StepFields {...props} step={item} />}
        <FailureField item={item} blocked={blocked} />
        <NeedsField plan={plan} names={names} item={item} blocked={blocked} />
        {isStep(item) && <WhenFields step={item} blocked={blocked} />}
        <PlaceFields plan={plan} item={item} blocked={blocked} />
        {timing && <TimingWords timing={timing} />}
        {!blocked && <ItemActions {...props} name={name} />}
      </Stack>
    </Panel>
  )
}

function StepFields({ plan, names, step, blocked }: ItemFormProps & { readonly step: PlanStep }) {
  const editor = useEditor()
  const machines = useMemo(
    () =>
      machinesOf(plan).map(({ id, protectionId }) => ({
        value: id,
        label: names.get(protectionId) ?? 'not protected any more',
      })),
    [plan, names],
  )
  const sites = [...useSites()].map(([value, label]) => ({ value, label }))
  const azureSites = useAzureSites()
  const set = (change: Partial<PlanStep>, field?: string): void =>
    editor.edit(
      `change “${step.name}”`,
      (before) => editItem(before, { ...step, ...change }),
      field && `${step.id} ${field}`,
    )
  return (
    <>
      <TextInput
        label="Name"
        readOnly={blocked}
        value={step.name}
        onChange={(event) => set({ name: event.currentTarget.value }, 'name')}
      />
      <Suspense fallback={<Skeleton h={240} />}>
        <ActionFields
          key={step.id}
          value={step.action}
          machines={machines}
          sites={sites}
          azureSites={azureSites}
          secrets={plan.parameters.filter(({ type }) => type === 'secret').map((parameter) => parameter.name)}
          blocked={blocked}
          onChange={(action, field) => set({ action }, field)}
        />
      </Suspense>
      {plan.parameters.length > 0 && (
        <Text size="xs" c="var(--ink-quiet)">
          Every text may name a parameter:{' '}
          {plan.parameters.map((parameter) => `{{${parameter.name}}}`).join(', ')}
        </Text>
      )}
    </>
  )
}

const failures = [
  { value: 'stop', label: 'stop: nothing more begins' },
  { value: 'ask', label: 'ask: what needs it waits for somebody' },
  { value: 'continue', label: 'go on as if it had succeeded' },
] as const

/** What has no answer, or a refusal, is not approved. A plan that says so nevertheless shows what has to be changed. */
const failuresOf = (item: PlanItem) =>
  failures.filter(({ value }) => value !== 'continue' || !isApproval(item) || item.whenItFails === value)

function FailureField({ item, blocked }: Pick<ItemFormProps, 'item' | 'blocked'>) {
  const editor = useEditor()
  return (
    <Select
      label="When it fails"
      allowDeselect={false}
      disabled={blocked}
      data={failuresOf(item)}
      value={item.whenItFails}
      onChange={(chosen) => {
        const whenItFails = failures.find(({ value }) => value === chosen)?.value
        if (whenItFails)
          editor.edit('change what follows a failure', (plan) => editItem(plan, { ...item, whenItFails }))
      }}
    />
  )
}

type NeedsFieldProps = Pick<ItemFormProps, 'plan' | 'names' | 'item' | 'blocked'>

function NeedsField({ plan, names, item, blocked }: NeedsFieldProps) {
  const editor = useEditor()
  const nameOf = (other: PlanItem): string =>
    isStep(other) ? other.name : (names.get(other.protectionId) ?? 'not protected any more')
  const [search, setSearch] = useState('')
  const known = new Map(itemsOf(plan).map((placed) => [placed.item.id, nameOf(placed.item)]))
  const others = useMemo(
    () =>
      plan.groups.map((group) => ({
        group: group.name || 'without a name',
        items: [...group.before, ...group.machines, ...group.after]
          .filter(({ id }) => id !== item.id && !item.needs.includes(id))
          .map((other) => ({
            value: other.id as string,
            label: isStep(other) ? other.name : (names.get(other.protectionId) ?? 'not protected any more'),
          })),
      })),
    [plan, names, item],
  )
  return (
    <Stack gap={4}>
      <Select
        label="Needs"
        description="Waits for these as well, wherever they are in the plan."
        placeholder={item.needs.length === 0 ? 'nothing more than its place' : 'one more'}
        searchable
        limit={100}
        disabled={blocked}
        data={others}
        value={null}
        searchValue={search}
        onSearchChange={setSearch}
        nothingFoundMessage="Nothing with this name"
        onChange={(need) => {
          setSearch('')
          if (need !== null)
            editor.edit('add what it needs', (before) =>
              addNeed(before, { item: item.id, need: need as ItemId }),
            )
        }}
      />
      {item.needs.map((need) => (
        <Group key={need} gap={4} wrap="nowrap" justify="space-between">
          <Text size="sm" truncate>
            {known.get(need) ?? need}
          </Text>
          {!blocked && (
            <ActionIcon
              variant="subtle"
              color="gray"
              size="sm"
              aria-label={`No longer needs ${known.get(need) ?? need}`}
              onClick={() =>
                editor.edit('remove what it needs', (before) => removeNeed(before, { item: item.id, need }))
              }
            >
              <IconX size={14} />
            </ActionIcon>
          )}
        </Group>
      ))}
    </Stack>
  )
}

function WhenFields({ step, blocked }: { readonly step: PlanStep; readonly blocked: boolean }) {
  const editor = useEditor()
  const set = (change: Partial<PlanStep>): void =>
    editor.edit(`change when “${step.name}” runs`, (plan) => editItem(plan, { ...step, ...change }))
  return (
    <Group gap="lg" align="flex-start">
      <Checkbox.Group
        label="Runs in a"
        value={[...step.kinds]}
        onChange={(chosen) => set({ kinds: startKinds.filter((kind) => chosen.includes(kind)) })}
      >
        <Stack gap={9} mt={4}>
          {startKinds.map((kind) => (
            <Checkbox key={kind} size="xs" value={kind} label={titleOfRun[kind]} disabled={blocked} />
          ))}
        </Stack>
      </Checkbox.Group>
      <Checkbox.Group
        label="On the way"
        value={[...step.directions]}
        onChange={(chosen) =>
          set({ directions: (['forward', 'reverse'] as const).filter((way) => chosen.includes(way)) })
        }
      >
        <Stack gap={9} mt={4}>
          <Checkbox size="xs" value="forward" label="there" disabled={blocked} />
          <Checkbox size="xs" value="reverse" label="back" disabled={blocked} />
        </Stack>
      </Checkbox.Group>
    </Group>
  )
}

/** The same as dragging it, for whoever does not drag. */
function PlaceFields({ plan, item, blocked }: Pick<ItemFormProps, 'plan' | 'item' | 'blocked'>) {
  const editor = useEditor()
  const place = itemsOf(plan).find((placed) => placed.item.id === item.id)
  if (!place) return null
  const list: readonly PlanItem[] = plan.groups[place.groupIndex]?.[place.part] ?? []
  const options = plan.groups.flatMap((group) =>
    (isStep(item) ? (['before', 'after'] as const) : (['machines'] as const)).map((part) => ({
      value: `${part} ${group.id}`,
      label: part === 'machines' ? group.name : `${part === 'before' ? 'Before' : 'After'}: ${group.name}`,
    })),
  )
  const move = (groupId: string, part: Part, index: number): void => {
    editor.edit('move it', (before) =>
      moveItem(before, item.id, { groupId: groupId as typeof place.groupId, part, index }),
    )
    editor.say('Moved')
  }
  return (
    <Group gap={6} align="flex-end" wrap="nowrap">
      <Select
        flex={1}
        label="Place"
        allowDeselect={false}
        disabled={blocked}
        data={options}
        value={`${place.part} ${place.groupId}`}
        onChange={(chosen) => {
          const [part, ...id] = chosen?.split(' ') ?? []
          if (part) move(id.join(' '), part as Part, Number.MAX_SAFE_INTEGER)
        }}
      />
      <ActionIcon
        variant="default"
        size={30}
        aria-label="Earlier in its list"
        disabled={blocked || place.index === 0}
        onClick={() => move(place.groupId, place.part, place.index - 1)}
      >
        <IconArrowUp size={15} />
      </ActionIcon>
      <ActionIcon
        variant="default"
        size={30}
        aria-label="Later in its list"
        disabled={blocked || place.index === list.length - 1}
        onClick={() => move(place.groupId, place.part, place.index + 1)}
      >
        <IconArrowDown size={15} />
      </ActionIcon>
    </Group>
  )
}

const TimingWords = ({ timing }: { readonly timing: Timing }) => (
  <Text size="xs" c="var(--ink-quiet)" className="number">
    Expected from {clockOf(timing.startSeconds)} to {clockOf(timing.endSeconds)} after the start
    {timing.critical
      ? ': on the critical path, so every second of it counts.'
      : `; it could take ${clockOf(timing.slackSeconds)} longer before anything else waits.`}
  </Text>
)

function ItemActions({ item, name, onSelect }: ItemFormProps & { readonly name: string }) {
  const editor = useEditor()
  const duplicate = (): void => {
    const uuid = crypto.randomUUID()
    editor.edit(`duplicate “${name}”`, (plan) => {
      const place = itemsOf(plan).find((placed) => placed.item.id === item.id)
      const copy = copyOfStep(plan, item.id, uuid)
      return place && copy ? addItem(plan, copy, { ...place, index: place.index + 1 }) : plan
    })
    editor.say(`${name} is there twice now`)
  }
  return (
    <Group justify="space-between">
      {isStep(item) ? (
        <Button variant="default" leftSection={<IconCopy size={15} />} onClick={duplicate}>
          Duplicate
        </Button>
      ) : (
        <span />
      )}
      <Button
        variant="default"
        c="var(--bad)"
        leftSection={<IconTrash size={15} />}
        onClick={() => {
          editor.edit(`remove “${name}”`, (plan) => removeItem(plan, item.id).plan)
          editor.say(wordsOfRemoval(name))
          onSelect(null)
        }}
      >
        Remove from the plan
      </Button>
    </Group>
  )
}
