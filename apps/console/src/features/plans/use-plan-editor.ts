// The plan being drawn: its history, and what is kept on the server.
import type { PlanDetail } from '@understudy/contract/recovery-plan'
import { createContext, useContext, useMemo, useReducer, useRef } from 'react'
import { type Announcer, createAnnouncer } from './announcer.ts'
import { beginHistory, type History, recordEdit, redo, redoable, undo, undoable } from './edit-history.ts'
import type { Plan } from './plan-draft.ts'

type State = {
  readonly history: History
  /** The version that the edit began with: saving says it, and is refused when there is a newer one. */
  readonly base: { readonly plan: Plan; readonly version: number }
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
  /** What is kept on the server is the new beginning. `draft`: what goes on being drawn on top of it; null: nothing. */
  | { readonly kind: 'rebase'; readonly plan: Plan; readonly version: number; readonly draft: Plan | null }

export type PlanEditor = {
  /** `what`: what it does, for the undo button. `field`: edits of one field become one. */
  readonly edit: (what: string, make: (plan: Plan) => Plan, field?: string) => void
  readonly undo: () => void
  readonly redo: () => void
  readonly say: Announcer['say']
  readonly rebase: (plan: Plan, version: number, draft?: Plan) => void
}

export type DrawnPlan = {
  readonly plan: Plan
  readonly base: State['base']
  readonly changed: boolean
  readonly undoable: string | null
  readonly redoable: string | null
  readonly editor: PlanEditor
  readonly announcer: Announcer
}

/** `beginning`: what is kept, under the version or revision that an edit of it begins with. */
export function usePlanEditor(beginning: Pick<PlanDetail, 'plan' | 'version'>): DrawnPlan {
  const [state, dispatch] = useReducer(next, beginning, begin)
  const { history, base } = state
  const now = useRef(history)
  now.current = history
  // Always the same objects: a card of two hundred is not drawn again because its neighbour was edited.
  const { editor, announcer } = useMemo(() => {
    const said = createAnnouncer()
    const made: PlanEditor = {
      edit: (what, make, field) => dispatch({ kind: 'edit', what, make, field: field ?? null }),
      undo: () => {
        const what = undoable(now.current)
        if (what !== null) said.say(`Taken back: ${what}`)
        dispatch({ kind: 'undo' })
      },
      redo: () => {
        const what = redoable(now.current)
        if (what !== null) said.say(`Done again: ${what}`)
        dispatch({ kind: 'redo' })
      },
      say: said.say,
      rebase: (plan, version, draft) => dispatch({ kind: 'rebase', plan, version, draft: draft ?? null }),
    }
    return { editor: made, announcer: said }
  }, [])
  return {
    plan: history.present.plan,
    base,
    changed: history.present.plan !== base.plan,
    undoable: undoable(history),
    redoable: redoable(history),
    editor,
    announcer,
  }
}

const begin = ({ plan, version }: Pick<PlanDetail, 'plan' | 'version'>): State => ({
  history: beginHistory(plan),
  base: { plan, version },
})

function next(state: State, change: Change): State {
  const { history } = state
  switch (change.kind) {
    case 'edit': {
      const { make, what, field } = change
      return { ...state, history: recordEdit(history, { plan: make(history.present.plan), what, field }) }
    }
    case 'undo':
      return { ...state, history: undo(history) }
    case 'redo':
      return { ...state, history: redo(history) }
    case 'rebase': {
      const { plan, version, draft } = change
      const kept = beginHistory(plan)
      // Undo goes back to what is kept now, never behind it: saving that would throw the others' work away unasked.
      return {
        base: { plan, version },
        history: draft ? recordEdit(kept, { plan: draft, what: 'your own changes', field: null }) : kept,
      }
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
