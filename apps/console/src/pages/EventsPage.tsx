import { Button, Group, SegmentedControl } from '@mantine/core'
import { IconDownload, IconTimeline } from '@tabler/icons-react'
import { useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import type { Event } from '@understudy/contract/event'
import { api } from '../api/client.ts'
import { EventTable } from '../features/events/EventTable.tsx'
import { downloadCsv, toCsv } from '../lib/csv.ts'
import { EmptyState } from '../ui/EmptyState.tsx'
import { MoreRows } from '../ui/MoreRows.tsx'
import { PageHeader } from '../ui/PageHeader.tsx'
import { Panel } from '../ui/Panel.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../ui/RowSkeletons.tsx'

const severities = ['info', 'warning', 'critical'] as const

export function EventsPage() {
  const { severity } = useSearch({ from: '/signed-in/events' })
  const navigate = useNavigate({ from: '/events' })
  const query = useInfiniteQuery(
    api.events.list.infiniteOptions({
      input: (cursor: string | undefined) => ({
        ...(severity === undefined ? {} : { severity }),
        cursor,
        limit: 100,
      }),
      initialPageParam: undefined,
      getNextPageParam: (page) => page.next ?? undefined,
    }),
  )
  const events = query.data?.pages.flatMap((page) => page.items)
  const choose = (value: string): void => {
    const chosen = severities.find((each) => each === value)
    void navigate({ search: chosen === undefined ? {} : { severity: chosen }, replace: true })
  }
  return (
    <>
      <PageHeader
        title="Events"
        note="What happened, newest first."
        actions={
          <Group gap="xs">
            <SegmentedControl
              size="xs"
              aria-label="Severity"
              value={severity ?? 'all'}
              onChange={choose}
              data={[
                { value: 'all', label: 'All' },
                { value: 'info', label: 'Info' },
                { value: 'warning', label: 'Warning' },
                { value: 'critical', label: 'Critical' },
              ]}
            />
            <Button
              variant="default"
              leftSection={<IconDownload size={16} />}
              onClick={() => downloadCsv('events', toCsv(columns, events ?? []))}
              disabled={!events?.length}
            >
              Export
            </Button>
          </Group>
        }
      />
      <ProblemAlert error={query.error} />
      <Panel flush aria-label="Events">
        {!events && !query.error && <RowSkeletons />}
        {events && events.length > 0 && <EventTable events={events} />}
        {events?.length === 0 && (
          <EmptyState icon={IconTimeline} title="Nothing of this kind has happened">
            Every failover, fallback, warning and change of state is written down here.
          </EmptyState>
        )}
        <MoreRows
          shown={events?.length ?? 0}
          total={query.data?.pages[0]?.total ?? null}
          hasMore={query.hasNextPage}
          loading={query.isFetchingNextPage}
          onMore={() => void query.fetchNextPage()}
        />
      </Panel>
    </>
  )
}

const columns = [
  { name: 'When', of: (event: Event) => event.at },
  { name: 'Severity', of: (event: Event) => event.severity },
  { name: 'Code', of: (event: Event) => event.code },
  { name: 'About', of: (event: Event) => event.subjectName },
  { name: 'What happened', of: (event: Event) => event.message },
  { name: 'Facts', of: (event: Event) => JSON.stringify(event.facts) },
]
