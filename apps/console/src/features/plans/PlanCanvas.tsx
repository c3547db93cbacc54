import { DndContext, DragOverlay, MeasuringStrategy } from '@dnd-kit/core'
import { VisuallyHidden } from '@mantine/core'
import { IconStack2 } from '@tabler/icons-react'
import { isStep, itemsOf, removeItem } from '@understudy/contract/plan-editing'
import type { PlanFinding } from '@understudy/contract/recovery-plan'
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { EmptyState } from '../../ui/EmptyState.tsx'
import classes from './canvas.module.css'
import { GroupLane } from './GroupLane.tsx'
import { CardFace, type Timing } from './ItemCard.tsx'
import { findingsBySpot } from './joined-findings.ts'
import { Palette } from './Palette.tsx'
import type { GroupId, ItemId, Names, Plan, SiteId } from './plan-draft.ts'
import { wordsOfRemoval } from './removal-words.ts'
import { type Carried, firstSlot, nameOfCarried, putDown, type Slot, shapeOf } from './slots.ts'
import { useCarrying } from './use-carrying.ts'
import { useEditor } from './use-plan-editor.ts'
import { useSites } from './use-sites.ts'

type PlanCanvasProps = {
  readonly plan: Plan
  readonly names: Names
  readonly findings: readonly PlanFinding[]
  readonly timings: ReadonlyMap<string, Timing>
  readonly selected: string | null
  readonly onSelect: (id: ItemId | null) => void
  /** May only look. */
  readonly blocked: boolean
  /** What is selected, as a form. */
  readonly aside: ReactNode
}

const instructions = {
  draggable:
    'Press space to pick it up. Then the arrow keys go from place to place, left and right from list to list; space puts it down, Escape leaves it where it was. Enter opens it, Delete removes it.',
}
/** We say it ourselves, with the names of the places. */
const silent = {
  onDragStart: () => undefined,
  onDragOver: () => undefined,
  onDragEnd: () => undefined,
  onDragCancel: () => undefined,
}

/** Palette, lanes, and the form of what is selected. */
export function PlanCanvas(props: PlanCanvasProps) {
  const { plan, names, findings, timings, selected, onSelect, blocked, aside } = props
  const editor = useEditor()
  const [chosen, setCurrent] = useState<GroupId | null>(null)
  const current = (plan.groups.find(({ id }) => id === chosen) ?? plan.groups.at(-1))?.id ?? null
  const onPutDown = (carried: Carried, made: Plan, slot: Slot): void => {
    if (slot.kind === 'in-group') setCurrent(slot.groupId)
    if (carried.kind === 'new-step') onSelect(newestOf(plan, made))
  }
  const { carrying, sensors, ...drag } = useCarrying({ plan, names, current, editor, onPutDown })
  useScrollTo(carrying?.by === 'keyboard' ? carrying.slot : null)

  const now = useRef({ plan, names, current })
  now.current = { plan, names, current }
  const add = useCallback(
    (all: readonly Carried[]): void => {
      const { plan, names, current } = now.current
      const made = all.reduce(
        (before, carried) =>
          putDown(before, carried, firstSlot(before, carried, current), () => crypto.randomUUID()),
        plan,
      )
      const [first] = all
      if (!first) return
      const name = all.length === 1 ? nameOfCarried(plan, names, first) : `${all.length} machines`
      editor.edit(`add “${name}”`, () => made)
      editor.say(`${name} ${all.length === 1 ? 'is' : 'are'} added`)
      if (first.kind === 'new-step') onSelect(newestOf(plan, made))
    },
    [editor, onSelect],
  )
  const nameOf = useNames(plan, names)
  const onRemove = useCallback(
    (id: ItemId) => {
      editor.edit(`remove “${nameOf(id)}”`, (before) => removeItem(before, id).plan)
      editor.say(wordsOfRemoval(nameOf(id)))
      if (selected === id) onSelect(null)
    },
    [editor, nameOf, selected, onSelect],
  )
  const bySpot = useMemo(() => findingsBySpot(findings), [findings])
  const carried = carrying?.carried ?? null
  const slot = carrying?.slot ?? null
  const lane = { nameOf, findings: bySpot, timings, selected, blocked, onOpen: onSelect, onRemove }

  return (
    <DndContext
      sensors={sensors}
      {...drag}
      collisionDetection={noCollisions}
      measuring={measuring}
      accessibility={{ announcements: silent, screenReaderInstructions: instructions }}
    >
      <div
        className={classes.desk}
        data-open={aside !== null || undefined}
        data-carries={carried ? shapeOf(plan, carried) : undefined}
      >
        {blocked ? (
          <div />
        ) : (
          <section className={classes.aside} aria-label="Palette">
            <Palette plan={plan} names={names} current={current} onCurrent={setCurrent} onAdd={add} />
          </section>
        )}
        <div data-plan-canvas>
          <ol className={classes.lanes} aria-label="Groups in their order">
            {plan.groups.map((group, index) => (
              <li
                key={group.id}
                className={classes.slot}
                data-drop={dropOfLane(plan, carried, slot, index) ?? undefined}
              >
                <GroupLane
                  {...lane}
                  group={group}
                  index={index}
                  groups={plan.groups.length}
                  current={!blocked && group.id === current}
                  {...(slot?.kind === 'in-group' && slot.groupId === group.id
                    ? { carried, slot }
                    : { carried: null, slot: null })}
                  onCurrent={setCurrent}
                />
              </li>
            ))}
          </ol>
          <DropForNewGroup
            blocked={blocked}
            first={plan.groups.length === 0}
            target={slot?.kind === 'new-group'}
          />
        </div>
        {aside !== null && <div className={classes.aside}>{aside}</div>}
      </div>
      <DragOverlay dropAnimation={null}>
        {carrying?.by === 'pointer' && <Lifted plan={plan} names={names} carried={carrying.carried} />}
      </DragOverlay>
    </DndContext>
  )
}

type DropForNewGroupProps = { readonly blocked: boolean; readonly first: boolean; readonly target: boolean }

/** Below the last lane; of an empty plan it is all there is, and says how a plan is drawn. */
function DropForNewGroup({ blocked, first, target }: DropForNewGroupProps) {
  if (blocked) return null
  return (
    <div
      className={classes.newGroup}
      data-first={first || undefined}
      data-new-group
      data-target={target || undefined}
    >
      {first ? (
        <EmptyState icon={IconStack2} title="What comes up first?">
          Drag its machines here, or click them: a group is made for them. Machines of one group come up
          together; the next group waits for it. Steps go before or after the machines of a group: a probe
          that the database answers, a script, somebody who says yes. By keyboard: space picks up, the arrow
          keys move, space puts down.
        </EmptyState>
      ) : (
        'Drop here for a new group'
      )}
    </div>
  )
}

const noCollisions = () => []
const measuring = { droppable: { strategy: MeasuringStrategy.BeforeDragging } }

function Lifted({
  plan,
  names,
  carried,
}: {
  readonly plan: Plan
  readonly names: Names
  readonly carried: Carried
}) {
  const item =
    carried.kind === 'item' ? itemsOf(plan).find((placed) => placed.item.id === carried.id)?.item : undefined
  const kind =
    carried.kind === 'new-step' ? carried.stepKind : item && isStep(item) ? item.action.kind : 'machine'
  return (
    <div className={classes.card} data-lifted>
      <CardFace kind={kind} name={nameOfCarried(plan, names, carried)} words="" />
      <VisuallyHidden>is being moved</VisuallyHidden>
    </div>
  )
}

/** A line above the lane that the group would come to stand before; below the last one, where it would become the last. */
function dropOfLane(
  plan: Plan,
  carried: Carried | null,
  slot: Slot | null,
  index: number,
): 'before' | 'after' | null {
  if (!carried || slot?.kind !== 'between-groups') return null
  const others = plan.groups.filter(({ id }) => carried.kind !== 'group' || id !== carried.id)
  const place = others.findIndex(({ id }) => id === plan.groups[index]?.id)
  if (place === -1) return null
  if (place === slot.index) return 'before'
  return slot.index === others.length && place === others.length - 1 ? 'after' : null
}

function newestOf(before: Plan, after: Plan): ItemId | null {
  const known = new Set(itemsOf(before).map(({ item }) => item.id))
  return itemsOf(after).find(({ item }) => !known.has(item.id))?.item.id ?? null
}

/** The same function as long as it says the same of every item, so that cards are not drawn anew for nothing. */
function useNames(plan: Plan, names: Names): (id: ItemId | SiteId) => string {
  const sites = useSites()
  const known = new Map<ItemId | SiteId, string>([
    ...sites,
    ...itemsOf(plan).map(
      ({ item }) =>
        [
          item.id,
          isStep(item)
            ? item.name || 'without a name'
            : (names.get(item.protectionId) ?? 'not protected any more'),
        ] as const,
    ),
  ])
  const [kept, setKept] = useState(() => known)
  const isSame = kept.size === known.size && [...known].every(([id, name]) => kept.get(id) === name)
  if (!isSame) setKept(known)
  const table = isSame ? kept : known
  return useCallback((id: ItemId | SiteId) => table.get(id) ?? id, [table])
}

/** Whoever moves by keyboard has no pointer to scroll with. */
function useScrollTo(slot: Slot | null): void {
  useEffect(() => {
    if (slot === null) return
    const mark = document.querySelector(
      '[data-drop], [data-list][data-target], [data-new-group][data-target]',
    )
    mark?.scrollIntoView({ block: 'nearest' })
  }, [slot])
}
