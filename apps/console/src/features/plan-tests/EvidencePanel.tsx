import { Alert, Stack, Table, Text } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { formatBytes } from '@understudy/base/bytes'
import { roleOf } from '@understudy/contract/roles'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { formatWithZone } from '../../lib/format.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { CopyText } from '../../ui/CopyText.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { EvidenceLinks } from './EvidenceLinks.tsx'

type TroubleProps = {
  readonly runId: string
  readonly trouble: { readonly message: string; readonly tries: number; readonly nextTryAt: string | null }
}

/** Everything that the report would say is kept: nothing is lost by its coming late. */
function Trouble({ runId, trouble }: TroubleProps) {
  const { message, tries, nextTryAt } = trouble
  const queries = useQueryClient()
  const refused = useWhyRefused()(roleOf.planRuns.makeEvidence)
  const again = useMutation({
    mutationFn: () => client.planRuns.makeEvidence({ id: runId }),
    onSettled: () => queries.invalidateQueries({ queryKey: api.planRuns.key() }),
  })
  return (
    <Alert color="yellow" variant="light" m={14} title="The report could not be made yet">
      <Stack gap="xs" align="flex-start">
        <Text size="sm">
          {message}. It was tried {tries === 1 ? 'once' : `${tries} times`}
          {nextTryAt === null ? ', and rests now.' : `; the next time is ${formatWithZone(nextTryAt)}.`}
        </Text>
        <ActionButton reason={refused} loading={again.isPending} onClick={() => again.mutate()}>
          Try again now
        </ActionButton>
        <ProblemAlert error={again.error} />
      </Stack>
    </Alert>
  )
}

/** What a run leaves: its reports, and the hash by which a later change can be proved. */
export function EvidencePanel({ runId }: { readonly runId: string }) {
  const { data, error } = useQuery(api.planRuns.evidence.queryOptions({ input: { id: runId } }))
  return (
    <Panel title="Evidence" flush>
      {error && <ProblemAlert error={error} />}
      {data?.trouble && <Trouble runId={runId} trouble={data.trouble} />}
      {data?.items.length === 0 && !data.trouble && (
        <Text size="sm" c="var(--ink-quiet)" p={14}>
          The report is made within seconds of the end of the run, or of its clean-up.
        </Text>
      )}
      {data && data.items.length > 0 && (
        <Stack gap={0}>
          <Table.ScrollContainer minWidth={620}>
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Made</Table.Th>
                  <Table.Th>Open</Table.Th>
                  <Table.Th ta="right">Size</Table.Th>
                  <Table.Th>SHA-256 of the bundle</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {data.items.map((evidence) => (
                  <Table.Tr key={evidence.edition}>
                    <Table.Td className="number">{formatWithZone(evidence.madeAt)}</Table.Td>
                    <Table.Td>
                      <EvidenceLinks
                        runId={runId}
                        of={`this run, edition ${evidence.edition}`}
                        evidence={evidence}
                      />
                    </Table.Td>
                    <Table.Td ta="right" className="number">
                      {formatBytes(evidence.bytes)}
                    </Table.Td>
                    <Table.Td>
                      <CopyText
                        text={evidence.sha256}
                        what={`hash of edition ${evidence.edition}`}
                        short={`${evidence.sha256.slice(0, 24)}…`}
                      />
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
          <Text size="xs" c="var(--ink-quiet)" px={14} py={10}>
            A report never changes. What becomes of the run afterwards makes another one. The same hash stands
            in the audit log and in the events.
          </Text>
        </Stack>
      )}
    </Panel>
  )
}
