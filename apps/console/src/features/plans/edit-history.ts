// Undo and redo: every edit gives a new plan, so the former ones are kept. Pure.
import type { Plan } from './plan-draft.ts'

/** Enough for an hour of drawing; plans share what has not changed. */
export const mostSteps = 300

type Entry = {
  readonly plan: Plan
  /** What made it from the one before, as a person would say it: `move "web-1"`. */
  readonly what: string
  /** Edits of one field follow each other letter by letter: with the same key they are one. Null: always one by itself. */
  readonly field: string | null
}

export type History = {
  readonly past: readonly Entry[]
  readonly present: Entry
  readonly future: readonly Entry[]
}

export const beginHistory = (plan: Plan): History => ({
  past: [],
  present: { plan, what: '', field: null },
  future: [],
})

export function recordEdit(history: History, next: Entry): History {
  const { past, present } = history
  if (next.plan === present.plan) return history
  const goesOn = next.field !== null && next.field === present.field
  return {
    past: goesOn ? past : [...past, present].slice(-mostSteps),
    present: next,
    future: [],
  }
}

export function undo(history: History): History {
  const former = history.past.at(-1)
  if (!former) return history
  // Whoever types on after an undo begins a new edit.
  const present = { ...former, field: null }
  return { past: history.past.slice(0, -1), present, future: [history.present, ...history.future] }
}

export function redo(history: History): History {
  const [next, ...future] = history.future
  if (!next) return history
  return { past: [...history.past, history.present], present: { ...next, field: null }, future }
}

/** What the next undo takes back; null: nothing. */
export const undoable = ({ past, present }: History): string | null =>
  past.length === 0 ? null : present.what
export const redoable = ({ future }: History): string | null => future[0]?.what ?? null
