import { SegmentedControl } from '@mantine/core'
import { IconCircleCheck } from '@tabler/icons-react'
import { useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { api } from '../api/client.ts'
import { AlertLine } from '../features/alerts/AlertLine.tsx'
import { EmptyState } from '../ui/EmptyState.tsx'
import { LinkButton } from '../ui/LinkButton.tsx'
import { MoreRows } from '../ui/MoreRows.tsx'
import { PageHeader } from '../ui/PageHeader.tsx'
import { Panel } from '../ui/Panel.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../ui/RowSkeletons.tsx'
import { AlertSubject } from './AlertSubject.tsx'

export function AlertsPage() {
  const { show = 'open' } = useSearch({ from: '/signed-in/alerts' })
  const navigate = useNavigate({ from: '/alerts' })
  const query = useInfiniteQuery(
    api.alerts.list.infiniteOptions({
      input: (cursor: string | undefined) => ({
        ...(show === 'open' ? { open: 'true' } : {}),
        cursor,
        limit: 100,
      }),
      initialPageParam: undefined,
      getNextPageParam: (page) => page.next ?? undefined,
    }),
  )
  const alerts = query.data?.pages.flatMap((page) => page.items)
  return (
    <>
      <PageHeader
        title="Alerts"
        note="What wants attention. An alert goes away by itself when its cause does."
        actions={
          <SegmentedControl
            size="xs"
            aria-label="Which alerts"
            value={show}
            onChange={(value) =>
              void navigate({ search: value === 'all' ? { show: 'all' } : {}, replace: true })
            }
            data={[
              { value: 'open', label: 'Open' },
              { value: 'all', label: 'Open and resolved' },
            ]}
          />
        }
      />
      <ProblemAlert error={query.error} />
      <Panel flush aria-label="Alerts">
        {!alerts && !query.error && <RowSkeletons />}
        {alerts?.map((alert) => (
          <AlertLine key={alert.id} alert={alert} about={<AlertSubject alert={alert} />} />
        ))}
        {alerts?.length === 0 && (
          <EmptyState
            icon={IconCircleCheck}
            title={show === 'open' ? 'No open alerts' : 'No alerts yet'}
            action={
              <LinkButton variant="default" to="/events">
                See what happened
              </LinkButton>
            }
          >
            A machine beyond its lag target, a site that does not answer or a replica that fails its check
            shows up here, with what to do about it.
          </EmptyState>
        )}
        <MoreRows
          shown={alerts?.length ?? 0}
          total={query.data?.pages[0]?.total ?? null}
          hasMore={query.hasNextPage}
          loading={query.isFetchingNextPage}
          onMore={() => void query.fetchNextPage()}
        />
      </Panel>
    </>
  )
}
