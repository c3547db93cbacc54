import { Button, Group } from '@mantine/core'
import { IconDownload, IconServer2, IconShieldPlus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { roleOf } from '@understudy/contract/roles'
import { useCallback, useMemo, useState } from 'react'
import { api } from '../api/client.ts'
import { useRooms } from '../api/live.ts'
import { useWhyRefused } from '../api/session.ts'
import { BulkBar } from '../features/failover/BulkBar.tsx'
import { ColumnChooser, useColumns } from '../features/protections/ColumnChooser.tsx'
import { allMachines, allProtections } from '../features/protections/load-all.ts'
import { MachineFilters } from '../features/protections/MachineFilters.tsx'
import { MachineTable } from '../features/protections/MachineTable.tsx'
import { csvColumns } from '../features/protections/machine-columns.tsx'
import {
  filterRows,
  type MachineFilter,
  type MachineRow,
  sortRows,
  verdictOf,
} from '../features/protections/machine-rows.ts'
import { SavedFilters } from '../features/protections/SavedFilters.tsx'
import { wordsOfAction } from '../features/protections/state-words.ts'
import { useMachineRows } from '../features/protections/use-machine-rows.ts'
import { downloadCsv, toCsv } from '../lib/csv.ts'
import { formatCount } from '../lib/format.ts'
import { EmptyState } from '../ui/EmptyState.tsx'
import { LinkButton } from '../ui/LinkButton.tsx'
import { PageHeader } from '../ui/PageHeader.tsx'
import { Panel } from '../ui/Panel.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../ui/RowSkeletons.tsx'

const noChoice: ReadonlySet<string> = new Set()

export function MachinesPage() {
  const refused = useWhyRefused()(roleOf.protections.create)
  const search = useSearch({ from: '/signed-in/machines' })
  const navigate = useNavigate({ from: '/machines' })
  const { sort = 'name', ...filter } = search
  const { columns, keys, setKeys } = useColumns()
  const [chosen, setChosen] = useState(noChoice)
  useRooms(['measurements'])
  const machines = useQuery(allMachines)
  const protections = useQuery(allProtections)
  const sites = useQuery(api.sites.list.queryOptions())
  const groups = useQuery(api.groups.list.queryOptions())
  const all = useMachineRows(machines.data, protections.data)
  const key = JSON.stringify(filter)
  const rows = useMemo(
    () => sortRows(filterRows(all, JSON.parse(key) as MachineFilter), sort),
    [all, key, sort],
  )
  const picked = useMemo(() => all.filter(({ id }) => chosen.has(id)), [all, chosen])
  const change = (next: MachineFilter & { sort?: string | undefined }): void =>
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true })
  const open = useCallback(
    (machineId: string) => void navigate({ to: '/machines/$machineId', params: { machineId } }),
    [navigate],
  )
  const loaded = machines.data !== undefined && protections.data !== undefined
  const error = machines.error ?? protections.error
  const protectPicked = (): void =>
    void navigate({
      to: '/protect',
      search: {
        machines: picked
          .filter(isUnprotected)
          .map(({ id }) => id)
          .join(','),
      },
    })
  return (
    <>
      <PageHeader
        title="Machines"
        note={
          loaded
            ? rows.length === all.length
              ? `${formatCount(all.length)} at ${formatCount(sites.data?.items.length ?? 0)} sites`
              : `${formatCount(rows.length)} of ${formatCount(all.length)} listed`
            : 'Reading the inventory'
        }
        actions={
          <>
            <Button
              variant="default"
              leftSection={<IconDownload size={16} aria-hidden />}
              disabled={rows.length === 0}
              onClick={() => downloadCsv('machines', toCsv(csvColumns, rows))}
            >
              Export
            </Button>
            <LinkButton to="/protect" reason={refused} leftSection={<IconShieldPlus size={16} aria-hidden />}>
              Protect machines
            </LinkButton>
          </>
        }
      />
      <ProblemAlert error={error} />
      <Group justify="space-between" mb="sm" gap="xs">
        <MachineFilters
          filter={filter}
          sites={sites.data?.items ?? []}
          groups={groups.data?.items ?? []}
          onChange={change}
        />
        <Group gap="xs">
          <SavedFilters
            current={search}
            onApply={(saved) => void navigate({ search: saved, replace: true })}
          />
          <ColumnChooser keys={keys} onChange={(next) => setKeys([...next])} />
        </Group>
      </Group>
      <Panel flush aria-label="Machines">
        {picked.length > 0 && (
          <BulkBar
            targets={picked.map(toTarget)}
            words={wordsOfAction}
            onProtect={protectPicked}
            onClear={() => setChosen(noChoice)}
          />
        )}
        {!loaded && !error && <RowSkeletons rows={10} />}
        {loaded && rows.length > 0 && (
          <MachineTable
            rows={rows}
            columns={columns}
            sort={sort}
            onSort={(next) => change({ sort: next === 'name' ? undefined : next })}
            chosen={chosen}
            onChoose={setChosen}
            onOpen={open}
          />
        )}
        {loaded && rows.length === 0 && (
          <Nothing filtered={all.length > 0} onClear={() => void navigate({ search: {} })} />
        )}
      </Panel>
    </>
  )
}

const isUnprotected = (row: MachineRow): boolean => row.protection === null && row.machine?.runId == null

const toTarget = (row: MachineRow) => ({
  id: row.id,
  name: row.name,
  protectionId: row.protection?.id ?? null,
  groupId: row.protection?.group?.id ?? null,
  canBeProtected: isUnprotected(row),
  reasonOf: (action: Parameters<typeof verdictOf>[1]) => verdictOf(row.protection, action),
})

function Nothing({ filtered, onClear }: { readonly filtered: boolean; readonly onClear: () => void }) {
  if (filtered)
    return (
      <EmptyState
        icon={IconServer2}
        title="No machine matches"
        action={
          <Button variant="default" onClick={onClear}>
            Show all machines
          </Button>
        }
      >
        Widen the search or the filters above.
      </EmptyState>
    )
  return (
    <EmptyState
      icon={IconServer2}
      title="No machines yet"
      action={
        <LinkButton to="/sites" search={{ register: true }}>
          Register a site
        </LinkButton>
      }
    >
      Machines come from the sites where they run: register one, and its inventory is here a moment later.
    </EmptyState>
  )
}
