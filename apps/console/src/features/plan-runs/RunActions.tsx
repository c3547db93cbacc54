import { Button, Group, List, Modal, Stack, Text } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import type { PlanRun } from '@understudy/contract/recovery-plan'
import { roleOf } from '@understudy/contract/roles'
import { useState } from 'react'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'
import { PointChoiceFields } from './PointChoiceFields.tsx'
import { latestPoint, type PointDraft, pointOf } from './point-draft.ts'
import {
  type AskedRunAction,
  askOf,
  offeredActions,
  type RunActionKind,
  usualAction,
  wordsOfRunAction,
} from './run-asks.ts'

/** Exactly what the server allows now; follow-ups that it does not allow yet stay visible with their reason. */
export function RunActions({ run }: { readonly run: PlanRun }) {
  const [asked, setAsked] = useState<AskedRunAction | null>(null)
  const navigate = useNavigate()
  const act = (action: RunActionKind): void => {
    if (action !== 'edit') setAsked(action)
    else
      void navigate({
        to: '/plans/$planId/runs/$runId/edit',
        params: { planId: run.planId, runId: run.id },
      })
  }
  const whyRefused = useWhyRefused()
  const { steering, following } = offeredActions(run)
  const buttons = [...steering, ...following]
  const usual = usualAction(buttons)
  return (
    <>
      <Group gap="xs" role="group" aria-label="Actions">
        {buttons.map(({ action, reason }) => (
          <ActionButton
            key={action}
            reason={whyRefused(roleOfRunAction(action)) ?? reason}
            onClick={() => act(action)}
            {...looksOf(action, action === usual)}
          >
            {wordsOfRunAction[action]}
          </ActionButton>
        ))}
      </Group>
      {asked && <RunActionDialog run={run} action={asked} onClose={() => setAsked(null)} />}
    </>
  )
}

const roleOfRunAction = (action: RunActionKind) => {
  const { pause, resume, cancel, edit, followUp } = roleOf.planRuns
  return (
    ({ pause, resume, cancel, edit } as Partial<Record<RunActionKind, typeof edit | typeof pause>>)[action] ??
    followUp
  )
}

const looksOf = (action: RunActionKind, isUsual: boolean) =>
  action === 'cancel' || action === 'roll-back'
    ? ({ color: 'red', variant: 'outline' } as const)
    : ({ variant: isUsual ? 'filled' : 'default' } as const)

type RunActionDialogProps = {
  readonly run: PlanRun
  readonly action: AskedRunAction
  readonly onClose: () => void
}

function RunActionDialog({ run, action, onClose }: RunActionDialogProps) {
  useFocusBack()
  const queries = useQueryClient()
  const navigate = useNavigate()
  const [key] = useState(() => crypto.randomUUID())
  const [draft, setDraft] = useState<PointDraft>(latestPoint)
  const ask = askOf(action, run)
  const point = pointOf(draft)
  const act = useMutation({
    mutationFn: (): Promise<PlanRun> => runAction(run.id, action, { point, key }),
    onSuccess: ({ id, planId }) => {
      onClose()
      if (id !== run.id) void navigate({ to: '/plans/$planId/runs/$runId', params: { planId, runId: id } })
    },
    onSettled: () => queries.invalidateQueries({ queryKey: api.planRuns.key() }),
  })
  const ready = !ask.choosesPoint || point !== null
  return (
    <Modal opened onClose={onClose} title={ask.title} size={ask.choosesPoint ? 760 : 520}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (ready && !act.isPending) act.mutate()
        }}
      >
        <Stack gap="md">
          {ask.effects.length === 1 ? (
            <Text size="sm">{ask.effects[0]}</Text>
          ) : (
            <List size="sm" spacing={6} pr="md">
              {ask.effects.map((effect) => (
                <List.Item key={effect}>{effect}</List.Item>
              ))}
            </List>
          )}
          {ask.choosesPoint && <PointChoiceFields planId={run.planId} draft={draft} onChange={setDraft} />}
          <ProblemAlert error={act.error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose} data-autofocus={ask.danger ? true : undefined}>
              {action === 'cancel' ? 'Let it go on' : 'Cancel'}
            </Button>
            <Button
              type="submit"
              color={ask.danger ? 'red' : 'teal'}
              disabled={!ready}
              loading={act.isPending}
              data-autofocus={ask.danger ? undefined : true}
            >
              {ask.confirm}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}

function runAction(
  id: string,
  action: AskedRunAction,
  { point, key }: { readonly point: ReturnType<typeof pointOf>; readonly key: string },
): Promise<PlanRun> {
  switch (action) {
    case 'pause':
      return client.planRuns.pause({ id })
    case 'resume':
      return client.planRuns.resume({ id })
    case 'cancel':
      return client.planRuns.cancel({ id })
    case 'clean-up':
    case 'change-point':
    case 'roll-back':
    case 'commit':
    case 'reprotect':
      return client.planRuns.followUp(
        { id, kind: action, point: point ?? { kind: 'latest' } },
        { context: { idempotencyKey: key } },
      )
  }
}
