import { Checkbox, Group, Table, Text, Tooltip } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { IconServer2 } from '@tabler/icons-react'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { formatBytes } from '@understudy/base/bytes'
import type { Machine } from '@understudy/contract/machine'
import { useState } from 'react'
import { api } from '../../api/client.ts'
import { EmptyState } from '../../ui/EmptyState.tsx'
import { PickerHead } from '../../ui/PickerHead.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../../ui/RowSkeletons.tsx'
import { SimulatedBadge } from '../../ui/SimulatedBadge.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'

type MachinePickerProps = {
  readonly siteId: string
  readonly chosen: ReadonlyMap<string, Machine>
  readonly onChange: (chosen: ReadonlyMap<string, Machine>) => void
}

const listed = 50

/** Machines of one site that nothing replicates yet: search, choose, and see who cannot be protected and why. */
export function MachinePicker({ siteId, chosen, onChange }: MachinePickerProps) {
  const [typed, setTyped] = useState('')
  const [search] = useDebouncedValue(typed.trim(), 200)
  const { data, error } = useQuery({
    ...api.machines.list.queryOptions({
      input: {
        siteId,
        protected: 'false',
        limit: listed,
        sort: 'name',
        ...(search === '' ? {} : { search }),
      },
    }),
    placeholderData: keepPreviousData,
  })
  const machines = (data?.items ?? []).filter((machine) => machine.runId === null && machine.present)
  const toggle = (machine: Machine): void => {
    const next = new Map(chosen)
    if (!next.delete(machine.id)) next.set(machine.id, machine)
    onChange(next)
  }
  const all = machines.length > 0 && machines.every(({ id }) => chosen.has(id))
  const toggleAll = (): void => {
    const next = new Map(chosen)
    for (const machine of machines)
      if (all) next.delete(machine.id)
      else next.set(machine.id, machine)
    onChange(next)
  }
  return (
    <>
      <PickerHead
        placeholder="Search by name or host"
        search={typed}
        onSearch={setTyped}
        count={chosen.size}
      />
      <ProblemAlert error={error} />
      {!data && !error && <RowSkeletons />}
      {data && machines.length === 0 && (
        <EmptyState
          icon={IconServer2}
          title={search === '' ? 'Nothing left to protect here' : 'No machine matches'}
        >
          {search === ''
            ? 'Every machine of this site is protected, or the site shows none.'
            : 'Machines that are protected already are not listed.'}
        </EmptyState>
      )}
      {machines.length > 0 && (
        <Table.ScrollContainer minWidth={560} maxHeight={360}>
          <Table highlightOnHover stickyHeader>
            <Table.Thead>
              <Table.Tr>
                <Table.Th w={40}>
                  <Checkbox
                    size="xs"
                    aria-label="Choose all that are listed"
                    checked={all}
                    indeterminate={!all && machines.some(({ id }) => chosen.has(id))}
                    onChange={toggleAll}
                  />
                </Table.Th>
                <Table.Th>Machine</Table.Th>
                <Table.Th>Host</Table.Th>
                <Table.Th ta="right">Disks</Table.Th>
                <Table.Th>Can be protected</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {machines.map((machine) => (
                <Table.Tr key={machine.id}>
                  <Table.Td>
                    <Checkbox
                      size="xs"
                      aria-label={`Choose ${machine.name}`}
                      checked={chosen.has(machine.id)}
                      onChange={() => toggle(machine)}
                    />
                  </Table.Td>
                  <Table.Td fw={500}>
                    <Group gap={6}>
                      {machine.name}
                      {machine.simulated && <SimulatedBadge />}
                    </Group>
                  </Table.Td>
                  <Table.Td>{machine.host}</Table.Td>
                  <Table.Td ta="right" className="number">
                    {formatBytes(machine.hardware.disks.reduce((sum, disk) => sum + disk.bytes, 0))}
                  </Table.Td>
                  <Table.Td>
                    <Verdict machineId={machine.id} />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      {data && data.next !== null && (
        <Text size="xs" c="var(--ink-quiet)" p={10}>
          The first {listed} of {data.total ?? 'many'}; search for others.
        </Text>
      )}
    </>
  )
}

function Verdict({ machineId }: { readonly machineId: string }) {
  const { data, isError } = useQuery({
    ...api.machines.eligibility.queryOptions({ input: { id: machineId } }),
    staleTime: 120_000,
    refetchInterval: false,
    retry: false,
  })
  if (isError) return <StatusMark tone="off">Not known</StatusMark>
  if (!data) return <StatusMark tone="off">Checking</StatusMark>
  const first = data.findings[0]
  const words = data.eligible
    ? first
      ? `Yes, ${data.findings.length === 1 ? 'one warning' : `${data.findings.length} warnings`}`
      : 'Yes'
    : (data.findings.find(({ level }) => level === 'blocker')?.message ?? 'No')
  return (
    <Tooltip
      label={data.findings.map(({ message, remedy }) => `${message}. ${remedy}`).join(' ')}
      disabled={!first}
    >
      <span>
        <StatusMark tone={data.eligible ? (first ? 'at-risk' : 'good') : 'bad'}>{words}</StatusMark>
      </span>
    </Tooltip>
  )
}
