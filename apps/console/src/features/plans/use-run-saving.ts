import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { api, client, problemOf } from '../../api/client.ts'
import { toastDone } from '../../ui/toast-job.tsx'
import { bodyOf } from './plan-draft.ts'
import type { DrawnPlan } from './use-plan-editor.ts'

/** Somebody else was quicker, or the run was: then both are joined. */
const overtaken: readonly string[] = ['plan-run/edited-meanwhile', 'plan-run/started']

/** Takes an edit over into the run that it is about. */
export function useRunSaving(
  runId: string,
  { plan, base }: Pick<DrawnPlan, 'plan' | 'base'>,
  { onSaved, onOvertaken }: { readonly onSaved: () => void; readonly onOvertaken: () => void },
) {
  const done = useRef(onSaved)
  done.current = onSaved
  const queries = useQueryClient()
  const save = useMutation({
    mutationFn: () => client.planRuns.edit({ id: runId, plan: bodyOf(plan), planRevision: base.version }),
    onSuccess: (run) => {
      queries.setQueryData(api.planRuns.get.queryKey({ input: { id: runId } }), run)
      toastDone('The run goes on with your changes')
    },
    onError: (error) => {
      if (overtaken.includes(problemOf(error).code)) onOvertaken()
    },
    onSettled: () => queries.invalidateQueries({ queryKey: api.planRuns.key() }),
  })
  // After the next drawing: until then the page would ask whether what is saved already may be lost.
  useEffect(() => {
    if (save.isSuccess) done.current()
  }, [save.isSuccess])
  return {
    save: () => save.mutate(),
    isPending: save.isPending,
    isSaved: save.isSuccess,
    error: save.error,
  }
}
