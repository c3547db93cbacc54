import { Button, Group } from '@mantine/core'
import { IconDownload, IconListCheck } from '@tabler/icons-react'
import { useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import type { Job } from '@understudy/contract/job'
import { api } from '../api/client.ts'
import { JobFilters } from '../features/jobs/JobFilters.tsx'
import { JobQuestions } from '../features/jobs/JobQuestions.tsx'
import { JobTable } from '../features/jobs/JobTable.tsx'
import { downloadCsv, toCsv } from '../lib/csv.ts'
import { EmptyState } from '../ui/EmptyState.tsx'
import { MoreRows } from '../ui/MoreRows.tsx'
import { PageHeader } from '../ui/PageHeader.tsx'
import { Panel } from '../ui/Panel.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../ui/RowSkeletons.tsx'

export function JobsPage() {
  const filter = useSearch({ from: '/signed-in/jobs' })
  const navigate = useNavigate({ from: '/jobs' })
  const query = useInfiniteQuery(
    api.jobs.list.infiniteOptions({
      input: (cursor: string | undefined) => ({ ...filter, cursor, limit: 100 }),
      initialPageParam: undefined,
      getNextPageParam: (page) => page.next ?? undefined,
    }),
  )
  const jobs = query.data?.pages.flatMap((page) => page.items)
  const filtered = filter.state !== undefined || filter.kind !== undefined
  return (
    <>
      <PageHeader
        title="Jobs"
        note="Everything that was started here, by whom, and how it went."
        actions={
          <Button
            variant="default"
            leftSection={<IconDownload size={16} />}
            onClick={() => downloadCsv('jobs', toCsv(columns, jobs ?? []))}
            disabled={!jobs?.length}
          >
            Export
          </Button>
        }
      />
      <JobQuestions jobs={jobs ?? []} />
      <Group mb="sm">
        <JobFilters filter={filter} onChange={(next) => void navigate({ search: next, replace: true })} />
      </Group>
      <ProblemAlert error={query.error} />
      <Panel flush aria-label="Jobs">
        {!jobs && !query.error && <RowSkeletons />}
        {jobs && jobs.length > 0 && <JobTable jobs={jobs} />}
        {jobs?.length === 0 && (
          <EmptyState icon={IconListCheck} title={filtered ? 'No job matches' : 'No jobs yet'}>
            {filtered
              ? 'Widen the filter above.'
              : 'Whatever takes longer than a moment becomes a job: protecting a machine, a test, a failover.'}
          </EmptyState>
        )}
        <MoreRows
          shown={jobs?.length ?? 0}
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
  { name: 'Id', of: (job: Job) => job.id },
  { name: 'Kind', of: (job: Job) => job.kind },
  { name: 'Title', of: (job: Job) => job.title },
  { name: 'State', of: (job: Job) => job.state },
  { name: 'Started', of: (job: Job) => job.createdAt },
  { name: 'Ended', of: (job: Job) => job.endedAt },
  { name: 'Started by', of: (job: Job) => job.startedBy },
  { name: 'Cause', of: (job: Job) => job.failure?.message ?? null },
  { name: 'Remedy', of: (job: Job) => job.failure?.remedy ?? null },
]
