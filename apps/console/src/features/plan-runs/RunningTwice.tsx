// Split brain across a plan, as one thing to deal with: which machines run twice, and what to do about all of them.
import { Alert, Button, Group, List, Modal, Stack, Table, Text } from '@mantine/core'
import { IconCopyX } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { RunningTwice as Twice } from '@understudy/contract/recovery-plan'
import { roleOf } from '@understudy/contract/roles'
import { useState } from 'react'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'
import { When } from '../../ui/When.tsx'

type RunningTwiceProps = {
  readonly planId: string
  readonly machines: readonly Twice[]
  /** Where their failover can be rolled back instead; null: it is this very page, at its top. */
  readonly runId?: string | null
}

export function RunningTwice({ planId, machines, runId = null }: RunningTwiceProps) {
  const [asked, setAsked] = useState(false)
  const refused = useWhyRefused()(roleOf.plans.powerOffOld)
  if (machines.length === 0) return null
  const rollsBack = machines.every(({ canRollBack }) => canRollBack)
  return (
    <Alert
      role="alert"
      color="red"
      variant="light"
      icon={<IconCopyX size={18} />}
      title={machines.length === 1 ? 'One machine runs twice' : `${machines.length} machines run twice`}
    >
      <Stack gap="sm">
        <Text size="sm">
          The site that they were failed over from answers again, and their old machines are on. Both take
          what users write, and what each has written must be merged by hand: end it at once.
        </Text>
        <Table.ScrollContainer minWidth={420}>
          <Table aria-label="Machines that run twice">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Machine</Table.Th>
                <Table.Th>The old one runs at</Table.Th>
                <Table.Th>The one that serves</Table.Th>
                <Table.Th>Seen</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {machines.map(({ protectionId, name, oldSite, servingSite, since }) => (
                <Table.Tr key={protectionId}>
                  <Table.Td fw={500}>{name}</Table.Td>
                  <Table.Td>{oldSite}</Table.Td>
                  <Table.Td>{servingSite}</Table.Td>
                  <Table.Td>
                    <When at={since} />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
        <Group gap="sm">
          <ActionButton color="red" reason={refused} onClick={() => setAsked(true)}>
            Power off the old {machines.length === 1 ? 'one' : 'ones'}
          </ActionButton>
          {rollsBack && (
            <Text size="sm">
              Or go on with the old ones:{' '}
              {runId === null ? (
                '“Roll back” at the top of this page throws away what the new ones have written.'
              ) : (
                <LinkAnchor to="/plans/$planId/runs/$runId" params={{ planId, runId }} underline="always">
                  roll the failover back
                </LinkAnchor>
              )}
            </Text>
          )}
        </Group>
      </Stack>
      {asked && <PowerOffDialog planId={planId} machines={machines} onClose={() => setAsked(false)} />}
    </Alert>
  )
}

type PowerOffDialogProps = Pick<RunningTwiceProps, 'planId' | 'machines'> & { readonly onClose: () => void }

function PowerOffDialog({ planId, machines, onClose }: PowerOffDialogProps) {
  useFocusBack()
  // What was read is what is confirmed: a machine seen only since then stands in the next dialog.
  const [confirmed] = useState(machines)
  const queries = useQueryClient()
  const act = useMutation({
    mutationFn: () =>
      client.plans.powerOffOld({
        id: planId,
        protectionIds: confirmed.map(({ protectionId }) => protectionId),
      }),
    onSuccess: ({ items }) => {
      if (items.every(({ why }) => why === null)) onClose()
    },
    onSettled: () => queries.invalidateQueries({ queryKey: api.key() }),
  })
  const refused = act.data?.items.filter(({ why }) => why !== null) ?? []
  return (
    <Modal opened onClose={onClose} title="Power off the old machines?" size={560}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (!act.isPending) act.mutate()
        }}
      >
        <Stack gap="md">
          <List size="sm" spacing={4}>
            {confirmed.map(({ protectionId, name, oldSite }) => (
              <List.Item key={protectionId}>
                <b>{name}</b> at {oldSite}
              </List.Item>
            ))}
          </List>
          <Text size="sm">
            Each is switched off like a pulled plug, and only while the one that serves is seen running. What
            the old ones have written since they came back stays on their disks until a fail-back overwrites
            it.
          </Text>
          {refused.length > 0 && (
            <Alert color="red" variant="light" role="alert" title="Not all of them can be switched off">
              {refused.map(({ protectionId, name, why }) => (
                <Text size="sm" key={protectionId}>
                  {name}: {why}
                </Text>
              ))}
            </Alert>
          )}
          <ProblemAlert error={act.error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose} data-autofocus>
              Cancel
            </Button>
            <Button type="submit" color="red" loading={act.isPending}>
              Power off
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
