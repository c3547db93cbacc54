import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { PlanDetail } from '@understudy/contract/recovery-plan'
import { roleOf } from '@understudy/contract/roles'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { toastDone, toastProblem } from '../../ui/toast-job.tsx'
import { SecretField } from './ParameterForm.tsx'

/** Kept beside the plan and sealed: no version, comparison or export holds it. */
export function PlanSecret({ detail, name }: { readonly detail: PlanDetail; readonly name: string }) {
  const queries = useQueryClient()
  const refused = useWhyRefused()(roleOf.plans.changeSecrets)
  const isSaved = detail.plan.parameters.some((each) => each.name === name && each.type === 'secret')
  const keep = useMutation({
    mutationFn: (value: string | null) =>
      client.plans.changeSecrets({ id: detail.id, secrets: { [name]: value } }),
    onSuccess: (changed, value) => {
      queries.setQueryData(api.plans.get.queryKey({ input: { id: detail.id } }), changed)
      toastDone(
        value === null ? `The value of ${name} is forgotten` : `The value of ${name} is kept with the plan`,
      )
    },
    onError: (error) => toastProblem(`The value of ${name} could not be kept`, error),
  })
  return (
    <SecretField
      name={name}
      kept={detail.keptSecrets.includes(name)}
      reason={refused ?? (isSaved ? null : 'Save the plan with this parameter first.')}
      pending={keep.isPending}
      onKeep={(value) => keep.mutate(value)}
    />
  )
}
