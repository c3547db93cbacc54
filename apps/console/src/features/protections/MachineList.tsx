import { Table } from '@mantine/core'
import { formatBytes } from '@understudy/base/bytes'
import type { Machine } from '@understudy/contract/machine'
import type { Protection } from '@understudy/contract/protection'
import type { Site } from '@understudy/contract/site'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { ProtectionStatus } from './ProtectionStatus.tsx'
import { knownPower, toneOfPower, wordsOfPower } from './power-words.ts'

type MachineListProps = {
  readonly machines: readonly Machine[]
  readonly siteHealth: Site['health']
  readonly protectionOf: (machine: Machine) => Protection | undefined
}

/** The machines of one site, short. */
export function MachineList({ machines, siteHealth, protectionOf }: MachineListProps) {
  return (
    <Table.ScrollContainer minWidth={560}>
      <Table highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Machine</Table.Th>
            <Table.Th>Power</Table.Th>
            <Table.Th>Host</Table.Th>
            <Table.Th ta="right">Disks</Table.Th>
            <Table.Th>Protection</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {machines.map((machine) => {
            const protection = protectionOf(machine)
            const power = knownPower(machine, siteHealth)
            return (
              <Table.Tr key={machine.id}>
                <Table.Td>
                  <LinkAnchor
                    to="/machines/$machineId"
                    params={{ machineId: machine.id }}
                    fw={500}
                    c="var(--ink)"
                  >
                    {machine.name}
                  </LinkAnchor>
                </Table.Td>
                <Table.Td>
                  <StatusMark tone={toneOfPower[power]}>{wordsOfPower[power]}</StatusMark>
                </Table.Td>
                <Table.Td>{machine.host}</Table.Td>
                <Table.Td ta="right" className="number">
                  {formatBytes(machine.hardware.disks.reduce((sum, disk) => sum + disk.bytes, 0))}
                </Table.Td>
                <Table.Td>
                  {protection ? (
                    <ProtectionStatus protection={protection} />
                  ) : (
                    <StatusMark tone="off">
                      {machine.runId ? 'A replica of ours' : 'Not protected'}
                    </StatusMark>
                  )}
                </Table.Td>
              </Table.Tr>
            )
          })}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}
