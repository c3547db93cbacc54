import { Group, Table, Text } from '@mantine/core'
import { formatBytes } from '@understudy/base/bytes'
import type { Site } from '@understudy/contract/site'
import { formatCount } from '../../lib/format.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { EmulatedBadge, KeepsReplicasBadge, SimulatedBadge } from '../../ui/SimulatedBadge.tsx'
import { When } from '../../ui/When.tsx'
import { SiteStatus } from './SiteStatus.tsx'
import { wordsOfPlatform } from './site-words.ts'

export function SiteTable({ sites }: { readonly sites: readonly Site[] }) {
  return (
    <Table.ScrollContainer minWidth={760}>
      <Table highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Site</Table.Th>
            <Table.Th>Health</Table.Th>
            <Table.Th>Platform</Table.Th>
            <Table.Th ta="right">Machines</Table.Th>
            <Table.Th ta="right">Protected</Table.Th>
            <Table.Th ta="right">Replicas here</Table.Th>
            <Table.Th ta="right">Stored here</Table.Th>
            <Table.Th>Checked</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {sites.map((site) => (
            <Table.Tr key={site.id}>
              <Table.Td>
                <LinkAnchor to="/sites/$siteId" params={{ siteId: site.id }} fw={500} c="var(--ink)">
                  {site.name}
                </LinkAnchor>
              </Table.Td>
              <Table.Td>
                <SiteStatus site={site} />
                {site.healthNote && site.health !== 'healthy' && (
                  <Text size="xs" c="var(--ink-quiet)" maw={260} lineClamp={2} title={site.healthNote}>
                    {site.healthNote}
                  </Text>
                )}
              </Table.Td>
              <Table.Td>
                <Group gap={6}>
                  {wordsOfPlatform[site.platform]}
                  {site.simulated && <SimulatedBadge />}
                  {site.emulated && <EmulatedBadge />}
                  {site.whyNoTarget && <KeepsReplicasBadge />}
                </Group>
              </Table.Td>
              <Table.Td ta="right" className="number">
                {formatCount(site.machineCount)}
              </Table.Td>
              <Table.Td ta="right" className="number">
                {formatCount(site.protectedCount)}
              </Table.Td>
              <Table.Td ta="right" className="number">
                {formatCount(site.replicaCount)}
              </Table.Td>
              <Table.Td ta="right" className="number">
                {formatBytes(site.storedBytes)}
              </Table.Td>
              <Table.Td>
                <When at={site.checkedAt} absent="never" />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}
