import { Table, Text } from '@mantine/core'
import { formatBytes } from '@understudy/base/bytes'
import type { Policy } from '@understudy/contract/policy'
import { formatDuration } from '../../lib/format.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { RetentionPicture } from './RetentionPicture.tsx'
import { wordsOfRetention } from './retention-words.ts'

export function PolicyTable({ policies }: { readonly policies: readonly Policy[] }) {
  return (
    <Table.ScrollContainer minWidth={860}>
      <Table verticalSpacing={10}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Policy</Table.Th>
            <Table.Th ta="right">A point every</Table.Th>
            <Table.Th ta="right">Lag at most</Table.Th>
            <Table.Th>Application-consistent</Table.Th>
            <Table.Th>Kept</Table.Th>
            <Table.Th>Transport</Table.Th>
            <Table.Th ta="right">Machines</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {policies.map((policy) => (
            <Table.Tr key={policy.id} style={{ verticalAlign: 'top' }}>
              <Table.Td>
                <LinkAnchor to="/policies" search={{ edit: policy.id }} fw={500} c="var(--ink)">
                  {policy.name}
                </LinkAnchor>
              </Table.Td>
              <Table.Td ta="right" className="number">
                {formatDuration(policy.intervalSeconds)}
              </Table.Td>
              <Table.Td ta="right" className="number">
                {formatDuration(policy.lagTargetSeconds)}
              </Table.Td>
              <Table.Td>
                {policy.applicationConsistentEverySeconds === 0
                  ? 'never'
                  : `every ${formatDuration(policy.applicationConsistentEverySeconds)}`}
              </Table.Td>
              <Table.Td w={320}>
                <Text size="sm" mb={6}>
                  {wordsOfRetention(policy.retention)}
                </Text>
                <RetentionPicture retention={policy.retention} intervalSeconds={policy.intervalSeconds} />
              </Table.Td>
              <Table.Td>
                <Text size="sm">{policy.compress ? 'Compressed' : 'Not compressed'}</Text>
                <Text size="sm">{policy.encrypt ? 'Encrypted at rest' : 'Not encrypted at rest'}</Text>
                <Text size="sm" c="var(--ink-quiet)">
                  {policy.rateLimitBytesPerSecond === 0
                    ? 'As fast as it goes'
                    : `At most ${formatBytes(policy.rateLimitBytesPerSecond)}/s`}
                </Text>
              </Table.Td>
              <Table.Td ta="right" className="number">
                {policy.protectionCount}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}
