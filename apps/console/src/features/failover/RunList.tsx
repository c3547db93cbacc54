import { Group, Stack, Text } from '@mantine/core'
import { IconFlask } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import type { Protection } from '@understudy/contract/protection'
import { api } from '../../api/client.ts'
import { formatWithZone } from '../../lib/format.ts'
import { EmptyState } from '../../ui/EmptyState.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../../ui/RowSkeletons.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { When } from '../../ui/When.tsx'
import { Addresses } from './Addresses.tsx'
import { RunScreenshot } from './RunScreenshot.tsx'
import { toneOfRun, wordsOfRecovery, wordsOfRun, wordsOfRunKind } from './run-words.ts'

/** Tests and failovers of one machine, newest first: the proof that it comes up. */
export function RunList({ protection }: { readonly protection: Protection }) {
  const { id, name } = protection
  const { data, error } = useQuery(api.protections.runs.queryOptions({ input: { id } }))
  if (error) return <ProblemAlert error={error} />
  if (!data) return <RowSkeletons rows={3} />
  if (data.items.length === 0)
    return (
      <EmptyState icon={IconFlask} title="Never tested">
        A test failover boots a copy in the isolated network while the machine goes on running. Nothing else
        proves that it comes up, and how long that takes.
      </EmptyState>
    )
  return (
    <Stack gap={0}>
      {data.items.map((run) => (
        <Group
          key={run.id}
          gap="md"
          p={14}
          align="flex-start"
          wrap="nowrap"
          style={{ borderTop: '1px solid var(--line)' }}
        >
          <RunScreenshot run={run} name={name} width={128} />
          <Stack gap={3} miw={0}>
            <Group gap="sm">
              <Text fw={600} size="sm">
                {wordsOfRunKind(run, protection)}
              </Text>
              <StatusMark tone={toneOfRun[run.state]}>{wordsOfRun[run.state]}</StatusMark>
              <Text size="xs" c="var(--ink-quiet)">
                <When at={run.startedAt} />
              </Text>
            </Group>
            <Text size="sm">
              From the point of {formatWithZone(run.pointInstant)}; {wordsOfRecovery(run)}
            </Text>
            {run.failure && (
              <Text size="sm" c="var(--bad)">
                {run.failure}
              </Text>
            )}
            {!run.over && <Addresses addresses={run.addresses} />}
          </Stack>
        </Group>
      ))}
    </Stack>
  )
}
