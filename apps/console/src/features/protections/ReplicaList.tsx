import { Table } from '@mantine/core'
import { formatBytes } from '@understudy/base/bytes'
import type { Protection } from '@understudy/contract/protection'
import { formatCount } from '../../lib/format.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { When } from '../../ui/When.tsx'
import { LagMeter } from './LagMeter.tsx'
import { ProtectionStatus } from './ProtectionStatus.tsx'
import { SiteFlow } from './SiteFlow.tsx'

/** Replicas that one site keeps. */
export function ReplicaList({ protections }: { readonly protections: readonly Protection[] }) {
  return (
    <Table.ScrollContainer minWidth={700}>
      <Table highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Replica of</Table.Th>
            <Table.Th>Direction</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>Lag</Table.Th>
            <Table.Th ta="right">Points</Table.Th>
            <Table.Th ta="right">Stored</Table.Th>
            <Table.Th>Newest point</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {protections.map((protection) => (
            <Table.Tr key={protection.id}>
              <Table.Td>
                <LinkAnchor
                  to="/machines/$machineId"
                  params={{ machineId: protection.machineId }}
                  fw={500}
                  c="var(--ink)"
                >
                  {protection.name}
                </LinkAnchor>
              </Table.Td>
              <Table.Td>
                <SiteFlow protection={protection} />
              </Table.Td>
              <Table.Td>
                <ProtectionStatus protection={protection} />
              </Table.Td>
              <Table.Td>
                <LagMeter protection={protection} />
              </Table.Td>
              <Table.Td ta="right" className="number">
                {formatCount(protection.pointCount)}
              </Table.Td>
              <Table.Td ta="right" className="number">
                {formatBytes(protection.storedBytes)}
              </Table.Td>
              <Table.Td>
                <When at={protection.newestPoint?.instant ?? null} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}
