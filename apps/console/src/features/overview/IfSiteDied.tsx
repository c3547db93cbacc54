import { Table, Text } from '@mantine/core'
import { Link } from '@tanstack/react-router'
import type { Overview } from '@understudy/contract/overview'
import { formatDuration } from '../../lib/format.ts'
import { StatusMark } from '../../ui/StatusMark.tsx'
import type { Tone } from '../../ui/tone.ts'
import { verdictOf } from './site-verdict.ts'

type Row = Overview['ifSiteDied'][number]

/** For each site: what would be lost and how long it would take if it died now. */
export function IfSiteDied({ overview }: { readonly overview: Overview }) {
  const rows = overview.ifSiteDied.filter((row) => row.machines > 0)
  if (rows.length === 0)
    return (
      <Text size="sm" c="var(--ink-quiet)" p="md">
        No site has machines yet.
      </Text>
    )
  return (
    <Table.ScrollContainer minWidth={460}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>If this site died now</Table.Th>
            <Table.Th ta="right">Data loss</Table.Th>
            <Table.Th ta="right">Back after</Table.Th>
            <Table.Th>Verdict</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => (
            <Table.Tr key={row.siteId}>
              <Table.Td>
                <Link className="plain" to="/sites/$siteId" params={{ siteId: row.siteId }}>
                  {row.name}
                </Link>
              </Table.Td>
              <Table.Td ta="right" className="number">
                {row.worstLossSeconds === null ? '–' : formatDuration(row.worstLossSeconds)}
              </Table.Td>
              <Table.Td ta="right" className="number">
                {row.expectedRecoverySeconds === null
                  ? 'not measured'
                  : formatDuration(row.expectedRecoverySeconds)}
              </Table.Td>
              <Table.Td>
                <StatusMark tone={toneOf(row)}>{verdictOf(row)}</StatusMark>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

const toneOf = (row: Row): Tone =>
  row.recoverable === 0 ? 'bad' : row.unprotected > 0 || row.blockers.length > 0 ? 'at-risk' : 'good'
