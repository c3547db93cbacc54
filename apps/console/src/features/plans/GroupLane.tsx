import { useDraggable } from '@dnd-kit/core'
import { ActionIcon, Menu, NativeSelect, Text, TextInput } from '@mantine/core'
import {
  IconArrowDown,
  IconArrowUp,
  IconChevronRight,
  IconDots,
  IconGripVertical,
  IconPlus,
  IconTrash,
} from '@tabler/icons-react'
import { editGroup, isStep, moveGroup, type PlanGroup, removeGroup } from '@understudy/contract/plan-editing'
import type { PlanFinding } from '@understudy/contract/recovery-plan'
import { memo } from 'react'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { wordsOfAction } from './action-words.ts'
import classes from './canvas.module.css'
import { useFixed } from './fixed.ts'
import { ItemCard, type Timing } from './ItemCard.tsx'
import { keyOfSpot, wordsOfFindings } from './joined-findings.ts'
import { withNewGroup } from './new-items.ts'
import type { ItemId, PlanItem, SiteId } from './plan-draft.ts'
import { wordsOfRemoval } from './removal-words.ts'
import { type Carried, othersIn, type Part, type Slot } from './slots.ts'
import { useEditor } from './use-plan-editor.ts'

export type LaneFacts = {
  readonly nameOf: (id: ItemId | SiteId) => string
  readonly findings: ReadonlyMap<string, readonly PlanFinding[]>
  readonly timings: ReadonlyMap<string, Timing>
  readonly selected: string | null
  readonly blocked: boolean
  readonly onOpen: (id: ItemId) => void
  readonly onRemove: (id: ItemId) => void
}

type GroupLaneProps = LaneFacts & {
  readonly group: PlanGroup
  readonly index: number
  readonly groups: number
  readonly current: boolean
  /** Only when its place is in this group: the other lanes stay as they are. */
  readonly carried: Carried | null
  /** Only when it is in this group. */
  readonly slot: Slot | null
  readonly onCurrent: (id: PlanGroup['id']) => void
}

const partTitles: Record<Part, string> = { before: 'Before', machines: 'Machines, together', after: 'After' }
const emptyWords: Record<Part, string> = {
  before: 'No step',
  machines: 'Drop machines here',
  after: 'No step',
}

/** A group: what is done before, its machines together, what is done after. */
export const GroupLane = memo(function GroupLane(props: GroupLaneProps) {
  const { group, index, current, findings, onCurrent } = props
  const fixed = useFixed().groups.has(group.id)
  const { setNodeRef, setActivatorNodeRef, listeners, attributes, isDragging } = useDraggable({
    id: group.id,
    data: { carried: { kind: 'group', id: group.id } satisfies Carried },
    disabled: props.blocked || fixed,
  })
  const wrong = findings.get(keyOfSpot({ kind: 'group', id: group.id })) ?? []
  return (
    <section
      ref={setNodeRef}
      className={classes.lane}
      data-lane={group.id}
      data-current={current || undefined}
      data-carried={isDragging || undefined}
      aria-label={`Group ${group.name}`}
      onFocusCapture={() => onCurrent(group.id)}
      onPointerDownCapture={() => onCurrent(group.id)}
    >
      <div className={classes.rail}>
        <span className={classes.number}>{index + 1}</span>
        {!props.blocked && !fixed && (
          <button
            ref={setActivatorNodeRef}
            type="button"
            className={classes.grip}
            {...listeners}
            aria-describedby={attributes['aria-describedby']}
            aria-label={`Move the group ${group.name}`}
          >
            <IconGripVertical size={17} aria-hidden />
          </button>
        )}
      </div>
      <div>
        <LaneHead group={group} index={index} groups={props.groups} blocked={props.blocked} fixed={fixed} />
        {wrong.map((finding) => (
          <Text size="xs" px={10} pt={4} key={`${finding.code} ${finding.message}`} component="div">
            <StatusMark tone={finding.level === 'blocker' ? 'bad' : 'at-risk'}>{finding.message}</StatusMark>{' '}
            {finding.remedy}
          </Text>
        ))}
        <div
          className={classes.parts}
          data-no-before={group.before.length === 0 || undefined}
          data-no-after={group.after.length === 0 || undefined}
        >
          <PartList {...props} part="before" />
          <IconChevronRight size={16} className={classes.arrow} aria-hidden />
          <PartList {...props} part="machines" />
          <IconChevronRight size={16} className={classes.arrow} aria-hidden />
          <PartList {...props} part="after" />
        </div>
      </div>
    </section>
  )
})

type LaneHeadProps = Pick<GroupLaneProps, 'group' | 'index' | 'groups' | 'blocked'> & {
  /** Something of it, or of a group behind it, has started. */
  readonly fixed: boolean
}

const LaneHead = memo(function LaneHead({ group, index, groups, blocked, fixed }: LaneHeadProps) {
  const editor = useEditor()
  const move = (to: number): void => {
    editor.edit(`move the group “${group.name}”`, (plan) => moveGroup(plan, group.id, to))
    editor.say(`Group ${group.name} is number ${to + 1} of ${groups} now`)
  }
  const remove = (): void => {
    editor.edit(`remove the group “${group.name}”`, (plan) => removeGroup(plan, group.id).plan)
    editor.say(wordsOfRemoval(`Group ${group.name}`))
  }
  return (
    <div className={classes.head}>
      <TextInput
        size="xs"
        variant="unstyled"
        aria-label="Name of the group"
        value={group.name}
        readOnly={blocked}
        placeholder="Name it"
        flex="1 1 120px"
        classNames={{ input: classes.groupName ?? '' }}
        onChange={(event) => {
          const name = event.currentTarget.value
          editor.edit(
            'rename a group',
            (plan) => editGroup(plan, group.id, { name }),
            `group ${group.id} name`,
          )
        }}
      />
      <NativeSelect
        size="xs"
        aria-label={`When the group ${group.name} begins`}
        value={group.start}
        disabled={blocked || fixed}
        data={[
          { value: 'in-order', label: index === 0 ? 'begins first' : 'after the groups before it' },
          { value: 'at-once', label: 'at once, waits for nobody' },
        ]}
        onChange={(event) => {
          const start = event.currentTarget.value === 'at-once' ? 'at-once' : 'in-order'
          editor.edit(`change when “${group.name}” begins`, (plan) => editGroup(plan, group.id, { start }))
        }}
      />
      {!blocked && (
        <Menu position="bottom-end" withinPortal>
          <Menu.Target>
            <ActionIcon variant="subtle" color="gray" aria-label={`More for the group ${group.name}`}>
              <IconDots size={16} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item
              leftSection={<IconArrowUp size={15} />}
              disabled={fixed || index === 0}
              onClick={() => move(index - 1)}
            >
              Move up
            </Menu.Item>
            <Menu.Item
              leftSection={<IconArrowDown size={15} />}
              disabled={fixed || index === groups - 1}
              onClick={() => move(index + 1)}
            >
              Move down
            </Menu.Item>
            <Menu.Item
              leftSection={<IconPlus size={15} />}
              onClick={() => {
                const uuid = crypto.randomUUID()
                editor.edit('add a group', (plan) => withNewGroup(plan, uuid, index + 1))
              }}
            >
              New group below
            </Menu.Item>
            <Menu.Item leftSection={<IconTrash size={15} />} color="red" disabled={fixed} onClick={remove}>
              Remove with everything in it
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      )}
    </div>
  )
})

function PartList({ part, ...props }: GroupLaneProps & { readonly part: Part }) {
  const { group, carried, slot } = props
  const items: readonly PlanItem[] = group[part]
  const target = slot?.kind === 'in-group' && slot.part === part ? slot : null
  const others = target ? othersIn(group, part, carried) : items
  const beforeId = target ? (others[target.index]?.id ?? null) : null
  const afterId = target && beforeId === null ? (others.at(-1)?.id ?? null) : null
  const label = `${partTitles[part]}: ${group.name}`
  return (
    <div className={classes.part}>
      <span className={classes.partTitle} aria-hidden>
        {partTitles[part]}
        {part === 'machines' && items.length > 0 ? ` (${items.length})` : ''}
      </span>
      <ul
        className={classes.list}
        data-list={part}
        data-many={part === 'machines' || undefined}
        data-target={target !== null || undefined}
        aria-label={label}
      >
        {items.map((item) => (
          <li
            key={item.id}
            className={classes.cell}
            data-id={item.id}
            data-drop={item.id === beforeId ? 'before' : item.id === afterId ? 'after' : undefined}
          >
            <Card item={item} {...props} />
          </li>
        ))}
        {items.length === 0 && <li className={classes.empty}>{emptyWords[part]}</li>}
      </ul>
    </div>
  )
}

function Card({
  item,
  nameOf,
  findings,
  timings,
  selected,
  blocked,
  onOpen,
  onRemove,
}: LaneFacts & { readonly item: PlanItem }) {
  const wrong = findings.get(keyOfSpot({ kind: 'item', id: item.id })) ?? []
  const blocks = wrong.some(({ level }) => level === 'blocker')
  const waits = item.needs.length === 0 ? '' : `waits for ${item.needs.map(nameOf).join(', ')}`
  return (
    <ItemCard
      item={item}
      name={nameOf(item.id)}
      words={isStep(item) ? wordsOfAction(item.action, nameOf) : waits}
      worst={wrong.length === 0 ? null : blocks ? 'blocker' : 'warning'}
      wrong={
        wrong.length === 0
          ? ''
          : ` ${wordsOfFindings(wrong)}: ${wrong.map(({ message }) => message).join('. ')}.`
      }
      timing={timings.get(item.id) ?? null}
      selected={selected === item.id}
      blocked={blocked}
      onOpen={onOpen}
      onRemove={onRemove}
    />
  )
}
