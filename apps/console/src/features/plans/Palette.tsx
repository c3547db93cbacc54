import { useDraggable } from '@dnd-kit/core'
import { Box, Button, Group, Select, Stack, Text, TextInput } from '@mantine/core'
import { IconSearch, IconServer2, IconStack2 } from '@tabler/icons-react'
import { replaceEqualDeep } from '@tanstack/react-query'
import { machinesOf, type StepKind } from '@understudy/contract/plan-editing'
import { memo, useDeferredValue, useMemo, useRef, useState } from 'react'
import { formatCount } from '../../lib/format.ts'
import { keysOf } from '../../lib/keys-of.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import classes from './canvas.module.css'
import { titleOfStepKind } from './new-items.ts'
import type { GroupId, Names, Plan, ProtectionId } from './plan-draft.ts'
import type { Carried } from './slots.ts'
import { iconOfItem } from './step-icons.ts'
import { useAzureSites } from './use-sites.ts'

/** More are found by a few letters. */
const mostShown = 60

type PaletteProps = {
  readonly plan: Plan
  readonly names: Names
  readonly current: GroupId | null
  readonly onCurrent: (id: GroupId) => void
  /** A click, or Enter: to the end of the group that is worked on. */
  readonly onAdd: (carried: readonly Carried[]) => void
}

/** Machines and steps to be dragged into the groups, or added with a click. */
export const Palette = memo(function Palette({ plan, names, current, onCurrent, onAdd }: PaletteProps) {
  const found = useMemo(() => freeMachines(plan, names), [plan, names])
  const kept = useRef(found)
  const hasAzure = useAzureSites().length > 0
  kept.current = replaceEqualDeep(kept.current, found)
  return (
    <Stack gap="sm">
      {plan.groups.length > 0 && (
        <Select
          size="xs"
          label="A click adds to"
          allowDeselect={false}
          value={current}
          data={plan.groups.map(({ id, name }) => ({ value: id as string, label: name || 'without a name' }))}
          onChange={(id) => id !== null && onCurrent(id as GroupId)}
        />
      )}
      <Box>
        <Text size="xs" c="var(--ink-quiet)" fw={500} mb={4} id="palette-steps">
          Steps and groups
        </Text>
        <StepChips label="palette-steps" kinds={everywhere} withGroup onAdd={onAdd} />
      </Box>
      {hasAzure && (
        <Box>
          <Text size="xs" c="var(--ink-quiet)" fw={500} mb={4} id="palette-azure">
            Steps in Azure
          </Text>
          <StepChips label="palette-azure" kinds={inAzure} onAdd={onAdd} />
        </Box>
      )}
      <MachineChips free={kept.current} known={names.size} onAdd={onAdd} />
    </Stack>
  )
})

type ChipProps = Pick<PaletteProps, 'onAdd'>

// What only a site in Azure can do takes no room where there is none.
const inAzure: readonly StepKind[] = [
  'traffic-manager',
  'azure-load-balancer',
  'azure-dns',
  'azure-run-command',
]
const everywhere = keysOf(titleOfStepKind).filter((kind) => !inAzure.includes(kind))

type StepChipsProps = ChipProps & {
  /** The id of what says what they are. */
  readonly label: string
  readonly kinds: readonly StepKind[]
  readonly withGroup?: boolean
}

const StepChips = memo(function StepChips({ label, kinds, withGroup = false, onAdd }: StepChipsProps) {
  return (
    <ul className={classes.paletteList} aria-labelledby={label}>
      {kinds.map((stepKind) => (
        <li key={stepKind}>
          <Chip
            id={`palette ${stepKind}`}
            icon={iconOfItem[stepKind]}
            carried={{ kind: 'new-step', stepKind }}
            onAdd={onAdd}
          >
            {titleOfStepKind[stepKind]}
          </Chip>
        </li>
      ))}
      {withGroup && (
        <li>
          <Chip id="palette group" icon={IconStack2} carried={{ kind: 'new-group' }} onAdd={onAdd}>
            Group
          </Chip>
        </li>
      )}
    </ul>
  )
})

type FreeMachine = { readonly id: ProtectionId; readonly name: string }

type MachineChipsProps = ChipProps & { readonly free: readonly FreeMachine[]; readonly known: number }

const MachineChips = memo(function MachineChips({ free, known, onAdd }: MachineChipsProps) {
  const [typed, setTyped] = useState('')
  const search = useDeferredValue(typed.trim().toLowerCase())
  const found = search === '' ? free : free.filter(({ name }) => name.toLowerCase().includes(search))
  const shown = found.slice(0, mostShown)
  return (
    <Box>
      <Group justify="space-between" mb={4} wrap="nowrap">
        <Text size="xs" c="var(--ink-quiet)" fw={500} id="palette-machines">
          Protected machines
        </Text>
        {found.length > 1 && (
          <Button
            variant="subtle"
            size="compact-xs"
            onClick={() => onAdd(found.map(({ id }) => ({ kind: 'new-machine', protectionId: id })))}
          >
            Add all {formatCount(found.length)}
          </Button>
        )}
      </Group>
      {free.length > 8 && (
        <TextInput
          size="xs"
          mb={6}
          aria-label="Search the machines"
          placeholder="Search"
          leftSection={<IconSearch size={14} />}
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
        />
      )}
      <ul className={classes.paletteList} aria-labelledby="palette-machines">
        {shown.map(({ id, name }) => (
          <li key={id}>
            <Chip
              id={`palette ${id}`}
              icon={IconServer2}
              carried={{ kind: 'new-machine', protectionId: id }}
              onAdd={onAdd}
            >
              {name}
            </Chip>
          </li>
        ))}
        {found.length === 0 && (
          <li>
            <Text size="xs" c="var(--ink-quiet)">
              {wordsOfNone(known, free.length)}
            </Text>
            {known === 0 && <LinkAnchor to="/protect">Protect machines</LinkAnchor>}
          </li>
        )}
      </ul>
      {found.length > mostShown && (
        <Text size="xs" c="var(--ink-quiet)" mt={4}>
          {formatCount(found.length - mostShown)} more: search for them.
        </Text>
      )}
    </Box>
  )
})

const wordsOfNone = (known: number, free: number): string => {
  if (known === 0) return 'No machine is protected yet.'
  return free === 0 ? 'All of them are in the plan.' : 'No machine with this name.'
}

function freeMachines(plan: Plan, names: Names): readonly FreeMachine[] {
  const taken = new Set(machinesOf(plan).map(({ protectionId }) => protectionId))
  return [...names]
    .filter(([id]) => !taken.has(id))
    .map(([id, name]) => ({ id, name }))
    .toSorted((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }))
}

type AnyChipProps = ChipProps & {
  readonly id: string
  readonly icon: typeof IconServer2
  readonly carried: Carried
  readonly children: string
}

function Chip({ id, icon: Shape, carried, onAdd, children }: AnyChipProps) {
  const { setNodeRef, listeners, attributes } = useDraggable({ id, data: { carried } })
  return (
    <button
      ref={setNodeRef}
      type="button"
      className={classes.paletteItem}
      {...listeners}
      aria-describedby={attributes['aria-describedby']}
      onClick={() => onAdd([carried])}
    >
      <Shape size={15} stroke={1.7} className={classes.icon} aria-hidden />
      <span className={classes.name}>{children}</span>
    </button>
  )
}
