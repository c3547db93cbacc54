import { Button, Group, Modal, NumberInput, Stack, Text } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { SiteFailover } from '@understudy/contract/recovery-plan'
import { roleOf } from '@understudy/contract/roles'
import { useState } from 'react'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'

/** More at a time, or no more at all. */
export function SiteFailoverActions({ failover }: { readonly failover: SiteFailover }) {
  const [asked, setAsked] = useState<'stop' | 'at-once' | null>(null)
  const whyRefused = useWhyRefused()
  const waits = failover.plans.some(({ state }) => state === 'waiting')
  const over = waits ? null : 'No plan waits for its turn any more'
  return (
    <Group gap="xs" role="group" aria-label="Actions">
      <ActionButton
        variant="default"
        reason={whyRefused(roleOf.siteFailovers.change) ?? over}
        onClick={() => setAsked('at-once')}
      >
        Plans at a time: {failover.atOnce}
      </ActionButton>
      <ActionButton
        color="red"
        variant="outline"
        reason={whyRefused(roleOf.siteFailovers.stop) ?? over}
        onClick={() => setAsked('stop')}
      >
        Begin no more
      </ActionButton>
      {asked && <AskDialog failover={failover} asked={asked} onClose={() => setAsked(null)} />}
    </Group>
  )
}

type AskDialogProps = {
  readonly failover: SiteFailover
  readonly asked: 'stop' | 'at-once'
  readonly onClose: () => void
}

function AskDialog({ failover, asked, onClose }: AskDialogProps) {
  useFocusBack()
  const queries = useQueryClient()
  const [atOnce, setAtOnce] = useState(failover.atOnce)
  const { id } = failover
  const act = useMutation({
    mutationFn: () =>
      asked === 'stop' ? client.siteFailovers.stop({ id }) : client.siteFailovers.change({ id, atOnce }),
    onSuccess: onClose,
    onSettled: () => queries.invalidateQueries({ queryKey: api.siteFailovers.key() }),
  })
  return (
    <Modal
      opened
      onClose={onClose}
      title={asked === 'stop' ? 'Begin no more plans?' : 'Plans at a time'}
      size={460}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (!act.isPending) act.mutate()
        }}
      >
        <Stack gap="md">
          {asked === 'stop' ? (
            <Text size="sm">
              What has begun goes on; cancel a run by itself if that must stop too. The plans that wait for
              their turn are left out, and can be started one by one.
            </Text>
          ) : (
            <NumberInput
              label="Plans at a time"
              description="One that waits for people keeps its place: with more places the others go on."
              min={1}
              max={20}
              allowDecimal={false}
              value={atOnce}
              onChange={(value) => setAtOnce(typeof value === 'number' ? value : 1)}
              data-autofocus
            />
          )}
          <ProblemAlert error={act.error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={act.isPending} {...(asked === 'stop' ? { color: 'red' } : {})}>
              {asked === 'stop' ? 'Begin no more' : 'Change it'}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
