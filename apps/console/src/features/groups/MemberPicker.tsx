import { Checkbox, Table, Text, VisuallyHidden } from '@mantine/core'
import { IconStack2 } from '@tabler/icons-react'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api } from '../../api/client.ts'
import { EmptyState } from '../../ui/EmptyState.tsx'
import { PickerHead } from '../../ui/PickerHead.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../../ui/RowSkeletons.tsx'

type MemberPickerProps = {
  /** Null: of a new group. */
  readonly groupId: string | null
  readonly chosen: ReadonlySet<string>
  readonly onChange: (chosen: ReadonlySet<string>) => void
}

const listed = 60

/** Protected machines: those that can be in the group beside the chosen ones, and why the others cannot. */
export function MemberPicker({ groupId, chosen, onChange }: MemberPickerProps) {
  const [search, setSearch] = useState('')
  const input = { ...(groupId === null ? {} : { groupId }), chosen: [...chosen] }
  const { data, error } = useQuery({
    ...api.groups.candidates.queryOptions({ input }),
    placeholderData: keepPreviousData,
  })
  const wanted = search.trim().toLowerCase()
  const found = (data?.items ?? [])
    .filter(({ name, source }) => `${name} ${source}`.toLowerCase().includes(wanted))
    .sort((a, b) => rankOf(a, chosen) - rankOf(b, chosen) || a.name.localeCompare(b.name))
  const toggle = (id: string): void => {
    const next = new Set(chosen)
    if (!next.delete(id)) next.add(id)
    onChange(next)
  }
  return (
    <>
      <PickerHead
        placeholder="Search by name or site"
        search={search}
        onSearch={setSearch}
        count={chosen.size}
      />
      <ProblemAlert error={error} />
      {!data && !error && <RowSkeletons />}
      {data && found.length === 0 && (
        <EmptyState
          icon={IconStack2}
          title={wanted === '' ? 'Nothing is protected yet' : 'No machine matches'}
        >
          {wanted === ''
            ? 'A group is made of machines that replicate already: protect them first.'
            : 'Only machines that are protected are listed.'}
        </EmptyState>
      )}
      {found.length > 0 && (
        <Table.ScrollContainer minWidth={480} maxHeight={380}>
          <Table highlightOnHover stickyHeader>
            <Table.Thead>
              <Table.Tr>
                <Table.Th w={40}>
                  <VisuallyHidden>Chosen</VisuallyHidden>
                </Table.Th>
                <Table.Th>Machine</Table.Th>
                <Table.Th>Runs at</Table.Th>
                <Table.Th>Policy</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {found.slice(0, listed).map(({ protectionId, name, source, policyName, reason, remedy }) => {
                const isChosen = chosen.has(protectionId)
                const refused = !isChosen && reason !== null
                return (
                  <Table.Tr key={protectionId}>
                    <Table.Td>
                      <Checkbox
                        size="xs"
                        aria-label={`Choose ${name}`}
                        checked={isChosen}
                        disabled={refused}
                        aria-describedby={refused ? `why-${protectionId}` : undefined}
                        onChange={() => toggle(protectionId)}
                      />
                    </Table.Td>
                    <Table.Td>
                      <Text size="sm" fw={500}>
                        {name}
                      </Text>
                      {refused && (
                        <Text size="xs" c="var(--ink-quiet)" id={`why-${protectionId}`}>
                          {reason}. {remedy}
                        </Text>
                      )}
                    </Table.Td>
                    <Table.Td>{source}</Table.Td>
                    <Table.Td>{policyName}</Table.Td>
                  </Table.Tr>
                )
              })}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {found.length > listed && (
        <Text size="xs" c="var(--ink-quiet)" p={10}>
          The first {listed} of {found.length}; search for others.
        </Text>
      )}
    </>
  )
}

/** Chosen ones first, then those that can be. */
const rankOf = (
  { protectionId, reason }: { readonly protectionId: string; readonly reason: string | null },
  chosen: ReadonlySet<string>,
): number => (chosen.has(protectionId) ? 0 : reason === null ? 1 : 2)
