import { useDraggable } from '@dnd-kit/core'
import { IconAlertTriangleFilled, IconCircleXFilled, IconLock, IconRoute } from '@tabler/icons-react'
import { isStep } from '@understudy/contract/plan-editing'
import type { PlanTimetable } from '@understudy/contract/recovery-plan'
import { memo } from 'react'
import classes from './canvas.module.css'
import { clockOf } from './expected-clock.ts'
import { useFixed } from './fixed.ts'
import { titleOfStepKind } from './new-items.ts'
import type { ItemId, PlanItem } from './plan-draft.ts'
import type { Carried } from './slots.ts'
import { iconOfItem } from './step-icons.ts'

export type Timing = PlanTimetable['items'][number]

type ItemCardProps = {
  readonly item: PlanItem
  readonly name: string
  /** What it does, in one line. */
  readonly words: string
  /** The gravest that is wrong with it, and all of it in words; null: nothing. */
  readonly worst: 'blocker' | 'warning' | null
  readonly wrong: string
  readonly timing: Timing | null
  readonly selected: boolean
  readonly blocked: boolean
  readonly onOpen: (id: ItemId) => void
  readonly onRemove: (id: ItemId) => void
}

/** A machine or step in its lane. Two hundred of them stay quick because each is drawn only when it changes itself. */
export const ItemCard = memo(function ItemCard(props: ItemCardProps) {
  const { item, name, words, worst, wrong, timing, selected, onOpen, onRemove } = props
  const state = useFixed().items.get(item.id) ?? null
  const blocked = props.blocked || state !== null
  const carried: Carried = { kind: 'item', id: item.id }
  const { setNodeRef, listeners, attributes, isDragging } = useDraggable({
    id: item.id,
    data: { carried },
    disabled: blocked,
  })
  const kind = isStep(item) ? item.action.kind : 'machine'
  return (
    <button
      ref={setNodeRef}
      type="button"
      {...listeners}
      {...(blocked ? {} : { 'aria-describedby': attributes['aria-describedby'] })}
      className={classes.card}
      data-kind={kind === 'machine' ? 'machine' : 'step'}
      data-selected={selected || undefined}
      data-carried={isDragging || undefined}
      data-critical={timing?.critical || undefined}
      data-fixed={state !== null || undefined}
      aria-pressed={selected}
      onClick={() => onOpen(item.id)}
      onKeyDown={(event) => {
        if (event.key === 'Delete' && !blocked) onRemove(item.id)
        else listeners?.onKeyDown?.(event)
      }}
    >
      <CardContent
        kind={kind}
        name={name}
        words={words}
        worst={worst}
        wrong={wrong}
        timing={timing}
        state={state}
      />
    </button>
  )
})

type CardContentProps = Pick<ItemCardProps, 'name' | 'words' | 'worst' | 'wrong' | 'timing'> & {
  readonly kind: keyof typeof iconOfItem
  /** Of what has begun how it stands, else null. */
  readonly state: string | null
}

/** On its own: when something is picked up, dnd-kit asks every card again, and this part says the same. */
const CardContent = memo(function CardContent({
  kind,
  name,
  words,
  worst,
  wrong,
  timing,
  state,
}: CardContentProps) {
  return (
    <>
      <CardFace kind={kind} name={name} words={words} />
      <span className={classes.signs}>
        {worst === 'blocker' && <IconCircleXFilled size={14} color="var(--bad)" aria-hidden />}
        {worst === 'warning' && <IconAlertTriangleFilled size={14} color="var(--at-risk)" aria-hidden />}
        {state !== null && (
          <span className={classes.fixed}>
            <IconLock size={13} aria-hidden /> {state}
          </span>
        )}
        {timing?.critical && <IconRoute size={14} color="var(--accent)" aria-hidden />}
        {timing && (
          <span className={classes.clock} aria-hidden>
            {clockOf(timing.startSeconds)}
          </span>
        )}
      </span>
      <span className={classes.unseen}>
        {state === null ? '' : ' It has started, and stays as it is.'}
        {wrong}
        {timing && wordsOfTiming(timing)}
      </span>
    </>
  )
})

const wordsOfTiming = ({ startSeconds, endSeconds, critical }: Timing): string =>
  ` Begins after ${clockOf(startSeconds)}, takes ${clockOf(endSeconds - startSeconds)}.${critical ? ' On the critical path.' : ''}`

type FaceProps = { readonly kind: keyof typeof iconOfItem; readonly name: string; readonly words: string }

/** What of a card is also seen while it is carried. */
export function CardFace({ kind, name, words }: FaceProps) {
  const Shape = iconOfItem[kind]
  return (
    <>
      <Shape size={16} stroke={1.7} className={classes.icon} aria-hidden />
      <span className={classes.face}>
        <span className={classes.name}>
          {kind !== 'machine' && <span className={classes.unseen}>{titleOfStepKind[kind]} </span>}
          {name}
        </span>
        {words !== '' && <span className={classes.words}>{words}</span>}
      </span>
    </>
  )
}
