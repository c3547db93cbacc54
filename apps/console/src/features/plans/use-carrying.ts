// Dragging, by pointer and by keyboard: what is held, and where it would go now. dnd-kit tells when something is taken up, dropped or
// left; the place is found here, because a plan has hundreds of them and most are none for what is held.
import {
  type DragStartEvent,
  KeyboardSensor,
  MouseSensor,
  TouchSensor,
  useSensor,
  useSensors,
} from '@dnd-kit/core'
import { isKeyboardEvent } from '@dnd-kit/utilities'
import { useEffect, useRef, useState } from 'react'
import type { GroupId, Names, Plan } from './plan-draft.ts'
import { slotAtPoint } from './slot-at-point.ts'
import {
  type Carried,
  firstSlot,
  nameOfCarried,
  putDown,
  type Slot,
  type Step,
  stepSlot,
  wordsOfSlot,
} from './slots.ts'
import type { PlanEditor } from './use-plan-editor.ts'

export type Carrying = {
  readonly carried: Carried
  readonly by: 'pointer' | 'keyboard'
  /** Null: over nothing that takes it; dropping leaves everything as it was. */
  readonly slot: Slot | null
}

const stepOfKey: Readonly<Record<string, Step>> = {
  ArrowUp: 'previous',
  ArrowDown: 'next',
  ArrowLeft: 'previous-list',
  ArrowRight: 'next-list',
}

const mouse = { activationConstraint: { distance: 5 } }
/** A finger that moves at once scrolls; one that rests takes it up. */
const touch = { activationConstraint: { delay: 220, tolerance: 6 } }

type Facts = {
  readonly plan: Plan
  readonly names: Names
  readonly current: GroupId | null
  readonly editor: PlanEditor
  readonly onPutDown: (carried: Carried, before: Plan, slot: Slot) => void
}

export function useCarrying(facts: Facts) {
  const [carrying, setCarrying] = useState<Carrying | null>(null)
  // Handlers of dnd-kit and of the window see what is true when they run, not when they were made.
  const now = useRef({ carrying, ...facts })
  now.current = { carrying, ...facts }

  const goTo = (slot: Slot | null): void => {
    const held = now.current.carrying
    if (!held || isSameSlot(held.slot, slot)) return
    now.current.carrying = { ...held, slot }
    setCarrying(now.current.carrying)
    const { plan, editor } = now.current
    editor.say(slot ? `Now at ${wordsOfSlot(plan, held.carried, slot)}` : 'Over nothing that takes it')
  }
  const end = (): void => {
    now.current.carrying = null
    setCarrying(null)
  }

  const isPointing = carrying?.by === 'pointer'
  useEffect(() => {
    if (!isPointing) return
    let last: { readonly x: number; readonly y: number } | null = null
    const look = (): void => {
      const held = now.current.carrying
      if (held && last) goToRef.current(slotAtPoint(now.current.plan, held.carried, last.x, last.y))
    }
    const moved = (event: MouseEvent | TouchEvent): void => {
      const point = 'touches' in event ? event.touches[0] : event
      if (!point) return
      last = { x: point.clientX, y: point.clientY }
      look()
    }
    const listening = { passive: true, capture: true }
    window.addEventListener('mousemove', moved, listening)
    window.addEventListener('touchmove', moved, listening)
    // The page scrolls below a pointer that rests at its edge.
    window.addEventListener('scroll', look, listening)
    return () => {
      window.removeEventListener('mousemove', moved, listening)
      window.removeEventListener('touchmove', moved, listening)
      window.removeEventListener('scroll', look, listening)
    }
  }, [isPointing])
  const goToRef = useRef(goTo)
  goToRef.current = goTo

  // The same for as long as the editor is open: a new sensor would draw every card anew.
  const [keyboard] = useState(() => ({
    /** dnd-kit would move things by pixels; here a key goes to the next place that takes what is held. */
    coordinateGetter: (event: KeyboardEvent) => {
      const step = stepOfKey[event.code]
      const held = now.current.carrying
      if (!step || !held?.slot) return undefined
      event.preventDefault()
      goToRef.current(stepSlot(now.current.plan, held.carried, held.slot, step))
      return undefined
    },
    // Enter opens what has the focus.
    keyboardCodes: { start: ['Space'], cancel: ['Escape'], end: ['Space', 'Enter'] },
  }))
  const sensors = useSensors(
    useSensor(MouseSensor, mouse),
    useSensor(TouchSensor, touch),
    useSensor(KeyboardSensor, keyboard),
  )

  return {
    carrying,
    sensors,
    onDragStart: ({ active, activatorEvent }: DragStartEvent): void => {
      const { plan, names, current, editor } = now.current
      const carried = active.data.current?.carried as Carried
      const by = isKeyboardEvent(activatorEvent) ? 'keyboard' : 'pointer'
      const slot = by === 'keyboard' ? firstSlot(plan, carried, current) : null
      now.current.carrying = { carried, by, slot }
      setCarrying(now.current.carrying)
      const place = slot ? `, ${wordsOfSlot(plan, carried, slot)}` : ''
      editor.say(`${nameOfCarried(plan, names, carried)} is picked up${place}`)
    },
    onDragEnd: (): void => {
      const { plan, names, editor, carrying: held, onPutDown } = now.current
      end()
      if (!held?.slot) {
        editor.say('Nothing was moved')
        return
      }
      const { carried, slot } = held
      const name = nameOfCarried(plan, names, carried)
      const isNew = carried.kind.startsWith('new-')
      // Made once, here: what makes the new plan may run twice, and an id is given only once.
      const made = putDown(plan, carried, slot, () => crypto.randomUUID())
      if (made === plan) {
        editor.say(`${name} stays where it was`)
        return
      }
      editor.edit(`${isNew ? 'add' : 'move'} “${name}”`, () => made)
      editor.say(`${name} is put down at ${wordsOfSlot(plan, carried, slot)}`)
      onPutDown(carried, made, slot)
    },
    onDragCancel: (): void => {
      end()
      now.current.editor.say('Left where it was')
    },
  }
}

const isSameSlot = (one: Slot | null, other: Slot | null): boolean =>
  one === other || JSON.stringify(one) === JSON.stringify(other)
