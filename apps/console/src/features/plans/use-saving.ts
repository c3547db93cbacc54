// Between the drawing and what is kept: saving, hearing of what others save, and the keys for it.
import { useHotkeys } from '@mantine/hooks'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { PlanDetail } from '@understudy/contract/recovery-plan'
import { useEffect } from 'react'
import { api, client, problemOf } from '../../api/client.ts'
import { toastDone } from '../../ui/toast-job.tsx'
import { bodyOf } from './plan-draft.ts'
import type { DrawnPlan } from './use-plan-editor.ts'

type Ends = { readonly onSaved: () => void; readonly onOvertaken: () => void }

const isOvertaken = (error: unknown): boolean =>
  error !== null && problemOf(error).code === 'recovery-plan/edited-meanwhile'

export function useSaving(
  planId: string,
  { plan, base, changed, editor }: DrawnPlan,
  { onSaved, onOvertaken }: Ends,
) {
  const queries = useQueryClient()
  const save = useMutation({
    mutationFn: (comment: string) =>
      client.plans.save({ id: planId, plan: bodyOf(plan), version: base.version, comment }),
    onSuccess: (detail) => {
      queries.setQueryData(api.plans.get.queryKey({ input: { id: planId } }), detail)
      editor.rebase(detail.plan, detail.version)
      toastDone(
        detail.version === base.version
          ? `Nothing has changed: ${detail.name} is still version ${detail.version}`
          : `${detail.name} is saved as version ${detail.version}`,
      )
      onSaved()
    },
    onError: (error) => {
      if (isOvertaken(error)) onOvertaken()
    },
    onSettled: () => queries.invalidateQueries({ queryKey: api.plans.key() }),
  })
  return {
    save: save.mutate,
    isPending: save.isPending,
    // That somebody else was first has a dialog of its own, after which it is past.
    error: isOvertaken(save.error) ? null : save.error,
    /** Why it cannot be saved; a plan with faults can. */
    reason: (refused: string | null): string | null => {
      if (refused !== null) return refused
      if (!changed) return 'Nothing has changed since the last version'
      return plan.name.trim() === '' ? 'Give the plan a name' : null
    },
  }
}

/** Whoever has changed nothing sees what others save as it comes. Whoever has is told, and decides. */
export function useFollowing(
  detail: Pick<PlanDetail, 'plan' | 'version'>,
  { base, changed, editor }: DrawnPlan,
): void {
  const newer = detail.version > base.version && !changed
  useEffect(() => {
    if (newer) editor.rebase(detail.plan, detail.version)
  }, [newer, detail, editor])
}

/** Text fields keep their own undo. */
export function useShortcuts({ editor }: DrawnPlan, onSave: () => void): void {
  useHotkeys([
    ['mod+Z', editor.undo],
    ['mod+shift+Z', editor.redo],
    ['mod+Y', editor.redo],
  ])
  useHotkeys([['mod+S', onSave]], [])
}
