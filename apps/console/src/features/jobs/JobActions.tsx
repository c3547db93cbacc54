import { Group, Stack } from '@mantine/core'
import { IconPlayerStop, IconRefresh } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { Job } from '@understudy/contract/job'
import { roleOfJob } from '@understudy/contract/roles'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { retryKey } from './retry-key.ts'

/** Cancel and retry. `onRetried`: the job runs again, under its own id; go and watch it. */
export function JobActions({
  job,
  onRetried,
}: {
  readonly job: Job
  readonly onRetried: (jobId: string) => void
}) {
  const queries = useQueryClient()
  const onSettled = () => queries.invalidateQueries({ queryKey: api.jobs.key() })
  const cancel = useMutation({ mutationFn: () => client.jobs.cancel({ id: job.id }), onSettled })
  const retry = useMutation({
    mutationFn: () => client.jobs.retry({ id: job.id }, { context: { idempotencyKey: retryKey(job) } }),
    onSuccess: ({ jobId }) => onRetried(jobId),
    onSettled,
  })
  const readOnly = useWhyRefused()(roleOfJob[job.kind])
  return (
    <Stack gap="xs" align="flex-end">
      <Group gap="xs">
        {job.canRetry && (
          <ActionButton
            reason={readOnly}
            loading={retry.isPending}
            onClick={() => retry.mutate()}
            leftSection={<IconRefresh size={16} />}
          >
            Retry
          </ActionButton>
        )}
        {job.endedAt === null && (
          <ActionButton
            reason={readOnly ?? (job.canCancel ? null : 'This step cannot be interrupted any more')}
            loading={cancel.isPending}
            onClick={() => cancel.mutate()}
            variant="default"
            leftSection={<IconPlayerStop size={16} />}
          >
            Cancel
          </ActionButton>
        )}
      </Group>
      <ProblemAlert error={cancel.error ?? retry.error} />
    </Stack>
  )
}
