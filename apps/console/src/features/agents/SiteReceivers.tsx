import { Group, Stack, Table, Text, Title, VisuallyHidden } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconPlus } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { formatBytes } from '@understudy/base/bytes'
import type { Agent } from '@understudy/contract/agent'
import type { Receiver } from '@understudy/contract/receiver'
import { roleOf } from '@understudy/contract/roles'
import type { Site } from '@understudy/contract/site'
import { useState } from 'react'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { toastProblem } from '../../ui/toast-job.tsx'
import { AssignReceiver } from './AssignReceiver.tsx'
import { toneOfState, wordsOfAssignment, wordsOfHardware, wordsOfState } from './agent-words.ts'
import { EnrolAgent } from './EnrolAgent.tsx'

const refetchInterval = 5000

type SiteReceiversProps = {
  readonly site: Pick<Site, 'id' | 'name'>
  /** Of the site: a new one appears among them. */
  readonly agents: readonly Agent[]
}

/** Computers in a rescue system: what servers of the site come home to. */
export function SiteReceivers({ site, agents }: SiteReceiversProps) {
  const whyRefused = useWhyRefused()
  const [enrolling, { open, close }] = useDisclosure()
  const [chosen, setChosen] = useState<Receiver | null>(null)
  const { data, error } = useQuery({
    ...api.agents.receivers.queryOptions({ input: { siteId: site.id } }),
    refetchInterval,
  })
  return (
    <Stack gap="xs" p={8} mt="md">
      <Group justify="space-between">
        <Title order={2} size="h5">
          Receivers
        </Title>
        <ActionButton
          reason={whyRefused(roleOf.agents.invite)}
          variant="default"
          leftSection={<IconPlus size={16} />}
          onClick={open}
        >
          Enrol a receiver
        </ActionButton>
      </Group>
      <ProblemAlert error={error} />
      {data?.items.length === 0 && (
        <Text size="sm" c="var(--ink-quiet)">
          To bring a server home whose replica runs elsewhere, start it, or a new one for it, from the rescue
          system, with an agent in it that is enrolled as a receiver.
        </Text>
      )}
      {data && data.items.length > 0 && (
        <Table.ScrollContainer minWidth={760} tabIndex={0}>
          <Table aria-label="Receivers">
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Computer</Table.Th>
                <Table.Th>State</Table.Th>
                <Table.Th>Disks</Table.Th>
                <Table.Th>Used for</Table.Th>
                <Table.Th>
                  <VisuallyHidden>Actions</VisuallyHidden>
                </Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {data.items.map((receiver) => (
                <ReceiverRow key={receiver.agentId} receiver={receiver} onUse={() => setChosen(receiver)} />
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {enrolling && <EnrolAgent site={site} agents={agents} becomes="receiver" onClose={close} />}
      {chosen && <AssignReceiver receiver={chosen} onDone={() => setChosen(null)} />}
    </Stack>
  )
}

function ReceiverRow({ receiver, onUse }: { readonly receiver: Receiver; readonly onUse: () => void }) {
  const { name, state, model, addresses, disks, assignment } = receiver
  const queries = useQueryClient()
  const whyRefused = useWhyRefused()
  const input = { id: receiver.agentId }
  const settled = {
    onError: (problem: unknown) => toastProblem(`${name} could not be let go`, problem),
    onSettled: () => queries.invalidateQueries({ queryKey: api.agents.key() }),
  }
  const takeBack = useMutation({ mutationFn: () => client.agents.takeBack(input), ...settled })
  const revoke = useMutation({ mutationFn: () => client.agents.revoke(input), ...settled })
  return (
    <Table.Tr>
      <Table.Td>
        <Text size="sm" fw={500}>
          {name}
        </Text>
        <Text size="xs" c="var(--ink-quiet)">
          {[wordsOfHardware(model), ...addresses].join(' · ')}
        </Text>
      </Table.Td>
      <Table.Td>
        <StatusMark tone={toneOfState[state]}>{wordsOfState[state]}</StatusMark>
      </Table.Td>
      <Table.Td>
        {disks === null
          ? '–'
          : disks.map((disk) => (
              <Text key={disk.path} size="xs">
                {disk.path} · {formatBytes(disk.bytes)} · {disk.model ?? 'no model'}
                {disk.blocked !== null && `: ${disk.blocked}`}
              </Text>
            ))}
      </Table.Td>
      <Table.Td>
        {assignment ? `${assignment.serverName}: ${wordsOfAssignment[assignment.state]}` : 'Nothing yet'}
      </Table.Td>
      <Table.Td>
        <Group gap={4} justify="flex-end" wrap="nowrap">
          {assignment ? (
            <ActionButton
              reason={whyRefused(roleOf.agents.takeBack)}
              variant="subtle"
              size="compact-xs"
              loading={takeBack.isPending}
              onClick={() => takeBack.mutate()}
              aria-label={`Do not use ${name} for ${assignment.serverName}`}
            >
              Take back
            </ActionButton>
          ) : (
            <>
              <ActionButton
                reason={
                  whyRefused(roleOf.agents.assign) ?? (disks === null ? 'It does not answer now' : null)
                }
                variant="subtle"
                size="compact-xs"
                onClick={onUse}
                aria-label={`Use ${name} for a server`}
              >
                Use for a server…
              </ActionButton>
              <ActionButton
                reason={whyRefused(roleOf.agents.revoke)}
                variant="subtle"
                color="red"
                size="compact-xs"
                loading={revoke.isPending}
                onClick={() => revoke.mutate()}
                aria-label={`Revoke the receiver ${name}`}
              >
                Revoke
              </ActionButton>
            </>
          )}
        </Group>
      </Table.Td>
    </Table.Tr>
  )
}
