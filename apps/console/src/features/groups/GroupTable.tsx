import { Group, Table, Text, Tooltip, VisuallyHidden } from '@mantine/core'
import type { ConsistencyGroup } from '@understudy/contract/consistency-group'
import { formatDuration } from '../../lib/format.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { CommonPoint } from './CommonPoint.tsx'
import { toneOfGroup, wordsOfGroup } from './group-words.ts'

export function GroupTable({ groups }: { readonly groups: readonly ConsistencyGroup[] }) {
  return (
    <Table.ScrollContainer minWidth={860}>
      <Table verticalSpacing={10}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Group</Table.Th>
            <Table.Th>Machines</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>Newest common point</Table.Th>
            <Table.Th ta="right">Lag and target</Table.Th>
            <Table.Th>Policy</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {groups.map((group) => (
            <Table.Tr key={group.id} style={{ verticalAlign: 'top' }}>
              <Table.Td>
                <LinkAnchor to="/groups" search={{ edit: group.id }} fw={500} c="var(--ink)">
                  {group.name}
                </LinkAnchor>
              </Table.Td>
              <Table.Td maw={320}>
                <Members group={group} />
              </Table.Td>
              <Table.Td maw={260}>
                <StatusMark tone={toneOfGroup[group.health]}>{wordsOfGroup(group)}</StatusMark>
                {group.apart && (
                  <Text size="xs" c="var(--ink-quiet)">
                    Not opened at one instant: {group.apart.reason}. {group.apart.remedy}
                  </Text>
                )}
              </Table.Td>
              <Table.Td>
                <CommonPoint cut={group.newestWholeCut} />
              </Table.Td>
              <Table.Td ta="right" className="number">
                {group.lagSeconds === null ? '–' : formatDuration(group.lagSeconds)}
                {group.lagTargetSeconds !== null && (
                  <Text span size="sm" c="var(--ink-quiet)">
                    {' '}
                    of {formatDuration(group.lagTargetSeconds)}
                  </Text>
                )}
              </Table.Td>
              <Table.Td>{group.policyName ?? '–'}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

/** Its machines; one that the newest point is without says why. */
function Members({ group }: { readonly group: ConsistencyGroup }) {
  return (
    <Group gap={8}>
      {group.members.map(({ protectionId, name, covered, note }) =>
        covered ? (
          <Text span size="sm" key={protectionId}>
            {name}
          </Text>
        ) : (
          <Tooltip label={note} key={protectionId}>
            <span>
              <StatusMark tone="off">
                {name}
                <VisuallyHidden>: {note}</VisuallyHidden>
              </StatusMark>
            </span>
          </Tooltip>
        ),
      )}
    </Group>
  )
}
