import { IconListCheck, IconTimeline } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { api } from '../../api/client.ts'
import { EventTable } from '../../features/events/EventTable.tsx'
import { JobTable } from '../../features/jobs/JobTable.tsx'
import { EmptyState } from '../../ui/EmptyState.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../../ui/RowSkeletons.tsx'

export function MachineJobs({ protectionId }: { readonly protectionId: string }) {
  const { data, error } = useQuery(
    api.jobs.list.queryOptions({ input: { subjectId: protectionId, limit: 100 } }),
  )
  return (
    <Panel title="Jobs of this machine" flush>
      <ProblemAlert error={error} />
      {!data && !error && <RowSkeletons />}
      {data && data.items.length > 0 && <JobTable jobs={data.items} withSubject={false} />}
      {data?.items.length === 0 && (
        <EmptyState icon={IconListCheck} title="No jobs">
          Tests, failovers and everything else that is started for this machine is listed here.
        </EmptyState>
      )}
    </Panel>
  )
}

export function MachineEvents({ protectionId }: { readonly protectionId: string }) {
  const { data, error } = useQuery(
    api.events.list.queryOptions({ input: { subjectId: protectionId, limit: 200 } }),
  )
  return (
    <Panel title="Events of this machine" flush>
      <ProblemAlert error={error} />
      {!data && !error && <RowSkeletons />}
      {data && data.items.length > 0 && <EventTable events={data.items} withSubject={false} />}
      {data?.items.length === 0 && (
        <EmptyState icon={IconTimeline} title="Nothing has happened yet">
          Warnings, changes of state and what people did with this machine are written down here.
        </EmptyState>
      )}
    </Panel>
  )
}
