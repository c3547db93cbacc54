import { Group, Table, Text, VisuallyHidden } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { formatBytes } from '@understudy/base/bytes'
import type { Agent } from '@understudy/contract/agent'
import { roleOf } from '@understudy/contract/roles'
import { useState } from 'react'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { formatCount } from '../../lib/format.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ConfirmByName } from '../../ui/ConfirmByName.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { toastProblem } from '../../ui/toast-job.tsx'
import { When } from '../../ui/When.tsx'
import { AcceptHardware } from './AcceptHardware.tsx'
import { toneOfState, wordsOfRole, wordsOfSkew, wordsOfState, wordsOfVersionSkew } from './agent-words.ts'

export function AgentTable({ agents }: { readonly agents: readonly Agent[] }) {
  const [revoked, setRevoked] = useState<Agent | null>(null)
  const [accepted, setAccepted] = useState<Agent | null>(null)
  return (
    <>
      <Table.ScrollContainer minWidth={980} tabIndex={0}>
        <Table aria-label="Agents">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Agent</Table.Th>
              <Table.Th>State</Table.Th>
              <Table.Th>Last heard</Table.Th>
              <Table.Th>Version</Table.Th>
              <Table.Th ta="right">Throughput</Table.Th>
              <Table.Th ta="right">Backlog</Table.Th>
              <Table.Th>Clock</Table.Th>
              <Table.Th ta="right">Free disk</Table.Th>
              <Table.Th>
                <VisuallyHidden>Actions</VisuallyHidden>
              </Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {agents.map((agent) => (
              <AgentRow
                key={agent.id}
                agent={agent}
                onAccept={() => setAccepted(agent)}
                onRevoke={() => setRevoked(agent)}
              />
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      {accepted && <AcceptHardware agent={accepted} onDone={() => setAccepted(null)} />}
      {revoked && <RevokeAgent agent={revoked} onDone={() => setRevoked(null)} />}
    </>
  )
}

type RowProps = { readonly agent: Agent; readonly onAccept: () => void; readonly onRevoke: () => void }

function AgentRow({ agent, onAccept, onRevoke }: RowProps) {
  const { health, state } = agent
  return (
    <Table.Tr>
      <Table.Td>
        <Text size="sm" fw={500}>
          {agent.name}
        </Text>
        <Text size="xs" c="var(--ink-quiet)">
          {agent.roles.map((role) => wordsOfRole[role]).join(', ')} · {agent.system}
        </Text>
      </Table.Td>
      <Table.Td>
        <StatusMark tone={toneOfState[state]}>{wordsOfState[state]}</StatusMark>
        {agent.revokedAt !== null && (
          <Text size="xs" c="var(--ink-quiet)">
            by {agent.revokedBy}, <When at={agent.revokedAt} />
          </Text>
        )}
        {agent.otherHardware !== null && <StatusMark tone="bad">Comes from other hardware</StatusMark>}
      </Table.Td>
      <Table.Td>
        <When at={agent.seenAt} absent="never" />
      </Table.Td>
      <Table.Td>
        {agent.version}
        {agent.versionSkew !== 'near' && (
          <StatusMark tone="bad">{wordsOfVersionSkew[agent.versionSkew]}</StatusMark>
        )}
        {agent.upgrade !== null && (
          <Text size="xs" c="var(--ink-quiet)">
            {agent.upgrade.version} is here
          </Text>
        )}
        {agent.upgradeFailure !== null && (
          <Text size="xs" c="var(--ink-quiet)" maw={240}>
            {agent.upgradeFailure}
          </Text>
        )}
      </Table.Td>
      <Table.Td ta="right" className="number">
        {health && state === 'connected' ? `${formatBytes(Math.round(health.bytesPerSecond))}/s` : '–'}
      </Table.Td>
      <Table.Td ta="right" className="number">
        {health ? formatCount(health.backlog) : '–'}
      </Table.Td>
      <Table.Td>{wordsOfSkew(agent.clockSkewSeconds)}</Table.Td>
      <Table.Td ta="right" className="number">
        <Text size="sm" style={{ whiteSpace: 'nowrap' }}>
          {health ? formatBytes(health.freeBytes) : '–'}
        </Text>
        {health && (
          <Text size="xs" c="var(--ink-quiet)" style={{ whiteSpace: 'nowrap' }}>
            of {formatBytes(health.diskBytes)}
          </Text>
        )}
      </Table.Td>
      <Table.Td>
        {state !== 'revoked' && <RowActions agent={agent} onAccept={onAccept} onRevoke={onRevoke} />}
      </Table.Td>
    </Table.Tr>
  )
}

const ASKED = 'It was asked something that it has not answered yet'

function RowActions({ agent, onAccept, onRevoke }: RowProps) {
  const queries = useQueryClient()
  const whyRefused = useWhyRefused()
  const lookAround = useMutation({
    mutationFn: () => client.agents.lookAround({ id: agent.id }),
    onError: (problem) => toastProblem(`${agent.name} could not be asked`, problem),
    onSettled: () => queries.invalidateQueries({ queryKey: api.agents.key() }),
  })
  const upgrade = useMutation({
    mutationFn: () => client.agents.upgrade({ id: agent.id }),
    onError: (problem) => toastProblem(`${agent.name} could not be asked`, problem),
    onSettled: () => queries.invalidateQueries({ queryKey: api.agents.key() }),
  })
  return (
    <Group gap={4} justify="flex-end" wrap="nowrap">
      {agent.otherHardware !== null && (
        <ActionButton
          reason={whyRefused(roleOf.agents.acceptHardware)}
          variant="subtle"
          size="compact-xs"
          onClick={onAccept}
          aria-label={`Accept the new hardware of ${agent.name}`}
        >
          New hardware
        </ActionButton>
      )}
      <ActionButton
        reason={whyRefused(roleOf.agents.lookAround) ?? (agent.waitsForAnswer ? ASKED : null)}
        variant="subtle"
        size="compact-xs"
        loading={lookAround.isPending}
        onClick={() => lookAround.mutate()}
        aria-label={`Look again at the server of ${agent.name}`}
      >
        Look again
      </ActionButton>
      {agent.upgrade !== null && (
        <ActionButton
          reason={
            whyRefused(roleOf.agents.upgrade) ?? agent.upgrade.whyNot ?? (agent.waitsForAnswer ? ASKED : null)
          }
          variant="subtle"
          size="compact-xs"
          loading={upgrade.isPending}
          onClick={() => upgrade.mutate()}
          aria-label={`Upgrade ${agent.name} to ${agent.upgrade.version}`}
        >
          Upgrade
        </ActionButton>
      )}
      <ActionButton
        reason={whyRefused(roleOf.agents.revoke)}
        variant="subtle"
        color="red"
        size="compact-xs"
        onClick={onRevoke}
        aria-label={`Revoke ${agent.name}`}
      >
        Revoke
      </ActionButton>
    </Group>
  )
}

function RevokeAgent({ agent, onDone }: { readonly agent: Agent; readonly onDone: () => void }) {
  const queries = useQueryClient()
  const { data: standing, error } = useQuery(api.agents.protections.queryOptions({ input: { id: agent.id } }))
  const revoke = useMutation({
    mutationFn: () => client.agents.revoke({ id: agent.id }),
    onSuccess: onDone,
    onSettled: () => queries.invalidateQueries({ queryKey: api.agents.key() }),
  })
  return (
    <ConfirmByName
      opened
      onClose={onDone}
      title={`Revoke ${agent.name}?`}
      name={agent.name}
      confirm={`Revoke ${agent.name}`}
      pending={revoke.isPending}
      error={revoke.error}
      onConfirm={() => revoke.mutate()}
    >
      <Text size="sm">
        Its connection ends at once, and its key is never let in again. Nothing on its server is touched; to
        have it back it is enrolled anew. This cannot be undone.
      </Text>
      <ProblemAlert error={error} />
      {standing && standing.items.length > 0 && (
        <Text size="sm" mt="sm">
          Replication stands still, until an agent is enrolled on its server again, of{' '}
          <b>{standing.items.map(({ name }) => name).join(', ')}</b>. What was replicated stays, and can be
          failed over to.
        </Text>
      )}
    </ConfirmByName>
  )
}
