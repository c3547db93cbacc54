// The plan being drawn: its history, what is kept on the server, and what has just been done, for ears too.
import type { PlanDetail } from '@understudy/contract/recovery-plan'
import { createContext, useContext, useMemo, useReducer } from 'react'
import { beginHistory, type History, recordEdit, redo, redoable, undo, undoable } from './edit-history.ts'
import type { Plan } from './plan-draft.ts'

type State = {
  readonly history: History
  /** The version that the edit began with: saving says it, and is refused when there is a newer one. */
  readonly base: { readonly plan: Plan; readonly version: number }
  /** Said to whoever listens instead of looking. Counted, so that the same words twice are said twice. */
  readonly said: { readonly words: string; readonly count: number }
}

type Change =
  | {
      readonly kind: 'edit'
      readonly what: string
      readonly field: string | null
      readonly make: (plan: Plan) => Plan
    }
  | { readonly kind: 'undo' }
  | { readonly kind: 'redo' }
  | { readonly kind: 'say'; readonly words: string }
  /** What is kept on the server is the new beginning. `draft`: what goes on being drawn on top of it; null: nothing. */
  | { readonly kind: 'rebase'; readonly plan: Plan; readonly version: number; readonly draft: Plan | null }

export type PlanEditor = {
  /** `what`: what it does, for the undo button. `field`: edits of one field become one. */
  readonly edit: (what: string, make: (plan: Plan) => Plan, field?: string) => void
  readonly undo: () => void
  readonly redo: () => void
  readonly say: (words: string) => void
  readonly rebase: (plan: Plan, version: number, draft?: Plan) => void
}

export type DrawnPlan = {
  readonly plan: Plan
  readonly base: State['base']
  readonly changed: boolean
  readonly said: State['said']
  readonly undoable: string | null
  readonly redoable: string | null
  readonly editor: PlanEditor
}

export function usePlanEditor(detail: PlanDetail): DrawnPlan {
  const [state, dispatch] = useReducer(next, detail, begin)
  // Always the same object: a card of two hundred is not drawn again because its neighbour was edited.
  const editor = useMemo<PlanEditor>(
    () => ({
      edit: (what, make, field) => dispatch({ kind: 'edit', what, make, field: field ?? null }),
      undo: () => dispatch({ kind: 'undo' }),
      redo: () => dispatch({ kind: 'redo' }),
      say: (words) => dispatch({ kind: 'say', words }),
      rebase: (plan, version, draft) => dispatch({ kind: 'rebase', plan, version, draft: draft ?? null }),
    }),
    [],
  )
  const { history, base, said } = state
  return {
    plan: history.present.plan,
    base,
    changed: history.present.plan !== base.plan,
    said,
    undoable: undoable(history),
    redoable: redoable(history),
    editor,
  }
}

const begin = ({ plan, version }: PlanDetail): State => ({
  history: beginHistory(plan),
  base: { plan, version },
  said: { words: '', count: 0 },
})

function next(state: State, change: Change): State {
  const { history } = state
  const saying = (words: string): State['said'] => ({ words, count: state.said.count + 1 })
  switch (change.kind) {
    case 'say':
      return { ...state, said: saying(change.words) }
    case 'edit': {
      const { make, what, field } = change
      return { ...state, history: recordEdit(history, { plan: make(history.present.plan), what, field }) }
    }
    case 'undo': {
      const what = undoable(history)
      return what === null ? state : { ...state, history: undo(history), said: saying(`Taken back: ${what}`) }
    }
    case 'redo': {
      const what = redoable(history)
      return what === null ? state : { ...state, history: redo(history), said: saying(`Done again: ${what}`) }
    }
    case 'rebase': {
      const { plan, version, draft } = change
      const base = { plan, version }
      // Undo goes back to what is kept now, never behind it: saving that would throw the others' work away unasked.
      if (draft)
        return {
          ...state,
          base,
          history: recordEdit(beginHistory(plan), { plan: draft, what: 'your own changes', field: null }),
        }
      return { ...state, base, history: beginHistory(plan) }
    }
  }
}

/** How every part of the editor changes the plan. */
export const EditorContext = createContext<PlanEditor | null>(null)

export function useEditor(): PlanEditor {
  const editor = useContext(EditorContext)
  if (!editor) throw new Error('Outside of the plan editor')
  return editor
}
