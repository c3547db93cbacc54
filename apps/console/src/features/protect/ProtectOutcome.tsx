import { Group, Progress, Stack, Table, Text } from '@mantine/core'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { LinkButton } from '../../ui/LinkButton.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import type { Outcome } from './use-protect.ts'

/** What became of each machine: its job, or why it was refused. */
export function ProtectOutcome({
  outcomes,
  total,
}: {
  readonly outcomes: readonly Outcome[]
  readonly total: number
}) {
  const begun = outcomes.filter(({ jobId }) => jobId !== null).length
  return (
    <Stack gap="sm">
      <div role="status">
        <Text fw={600}>
          {begun} of {total} {begun === 1 ? 'is' : 'are'} being protected
          {outcomes.length > begun ? `, ${outcomes.length - begun} refused` : ''}
        </Text>
        {outcomes.length < total && (
          <Progress.Root size="sm" mt={6}>
            <Progress.Section
              value={(outcomes.length / Math.max(1, total)) * 100}
              aria-label="Machines asked for"
            />
          </Progress.Root>
        )}
      </div>
      <Table.ScrollContainer minWidth={480}>
        <Table>
          <Table.Tbody>
            {outcomes.map(({ machine, jobId, problem }) => (
              <Table.Tr key={machine.id}>
                <Table.Td fw={500}>
                  <LinkAnchor to="/machines/$machineId" params={{ machineId: machine.id }} c="var(--ink)">
                    {machine.name}
                  </LinkAnchor>
                </Table.Td>
                <Table.Td>
                  <StatusMark tone={jobId === null ? 'bad' : 'busy'}>
                    {jobId === null ? 'Refused' : 'First copy begins'}
                  </StatusMark>
                </Table.Td>
                <Table.Td>
                  {jobId === null ? (
                    problem
                  ) : (
                    <LinkAnchor to="/jobs/$jobId" params={{ jobId }}>
                      Follow the job
                    </LinkAnchor>
                  )}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Group>
        <LinkButton to="/machines" search={{ state: 'enabling,seeding' }}>
          Watch the first copies
        </LinkButton>
        <LinkButton to="/protect" variant="default" reloadDocument>
          Protect more
        </LinkButton>
      </Group>
    </Stack>
  )
}
