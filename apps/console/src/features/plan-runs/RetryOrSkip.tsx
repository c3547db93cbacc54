import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { PlanActivity, PlanRun } from '@understudy/contract/recovery-plan'
import { roleOf } from '@understudy/contract/roles'
import { useState } from 'react'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'
import { type Steering, steeringOf, steeringWords } from './steering.ts'

/** For a machine or step that has failed, or is in the way. Both ask before they act. */
export function RetryOrSkip({ run, activity }: { readonly run: PlanRun; readonly activity: PlanActivity }) {
  const [asked, setAsked] = useState<Steering | null>(null)
  const whyRefused = useWhyRefused()
  const { retry, skip } = steeringOf(run, activity)
  return (
    <>
      <Group gap="xs">
        <ActionButton
          reason={whyRefused(roleOf.planRuns.retry) ?? retry}
          onClick={() => setAsked('retry')}
          variant={retry === null ? 'filled' : 'default'}
        >
          Try again
        </ActionButton>
        <ActionButton
          reason={whyRefused(roleOf.planRuns.skip) ?? skip}
          onClick={() => setAsked('skip')}
          variant="default"
        >
          Skip
        </ActionButton>
      </Group>
      {asked && <Confirm run={run} activity={activity} what={asked} onClose={() => setAsked(null)} />}
    </>
  )
}

type ConfirmProps = {
  readonly run: PlanRun
  readonly activity: PlanActivity
  readonly what: Steering
  readonly onClose: () => void
}

function Confirm({ run, activity, what, onClose }: ConfirmProps) {
  useFocusBack()
  const queries = useQueryClient()
  const act = useMutation({
    mutationFn: () => client.planRuns[what]({ id: run.id, itemId: activity.itemId }),
    onSuccess: onClose,
    onSettled: () => queries.invalidateQueries({ queryKey: api.planRuns.key() }),
  })
  const { title, effect, confirm } = steeringWords(what, { run, activity })
  return (
    <Modal opened onClose={onClose} title={title} size={460}>
      <Stack gap="md">
        <Text size="sm">{effect}</Text>
        <ProblemAlert error={act.error} />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose} data-autofocus={what === 'skip' ? true : undefined}>
            Cancel
          </Button>
          <Button
            color={what === 'skip' ? 'red' : 'teal'}
            loading={act.isPending}
            onClick={() => act.mutate()}
            data-autofocus={what === 'retry' ? true : undefined}
          >
            {confirm}
          </Button>
        </Group>
      </Stack>
    </Modal>
  )
}
