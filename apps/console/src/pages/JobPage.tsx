import { Stack } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams } from '@tanstack/react-router'
import { api } from '../api/client.ts'
import { useRooms } from '../api/live.ts'
import { JobActions } from '../features/jobs/JobActions.tsx'
import { JobQuestion } from '../features/jobs/JobQuestion.tsx'
import { JobStatus } from '../features/jobs/JobStatus.tsx'
import { Took } from '../features/jobs/JobTable.tsx'
import { TaskList } from '../features/jobs/TaskList.tsx'
import { formatWithZone } from '../lib/format.ts'
import { CopyText } from '../ui/CopyText.tsx'
import { Fact, Facts } from '../ui/Facts.tsx'
import { FailureAlert } from '../ui/FailureAlert.tsx'
import { LinkAnchor } from '../ui/LinkAnchor.tsx'
import { PageHeader } from '../ui/PageHeader.tsx'
import { Panel } from '../ui/Panel.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RoutePending } from '../ui/RoutePending.tsx'
import { SideBySide } from '../ui/SideBySide.tsx'
import { When } from '../ui/When.tsx'

export function JobPage() {
  const { jobId } = useParams({ from: '/signed-in/jobs/$jobId' })
  const navigate = useNavigate()
  useRooms([`job:${jobId}`])
  const { data: job, error } = useQuery({
    ...api.jobs.get.queryOptions({ input: { id: jobId } }),
    // Progress inside a task is not worth a hint of its own.
    refetchInterval: (query) => (query.state.data?.endedAt === null ? 2000 : false),
  })
  const { data: protection } = useQuery({
    ...api.protections.get.queryOptions({ input: { id: job?.subjectId ?? '' } }),
    enabled: job !== undefined && job.kind !== 'create-lab',
    retry: false,
  })
  if (!job) return error ? <ProblemAlert error={error} /> : <RoutePending />
  return (
    <>
      <PageHeader
        title={job.title}
        badges={<JobStatus job={job} />}
        note={
          <>
            Started <When at={job.createdAt} /> by {job.startedBy}
          </>
        }
        actions={
          <JobActions
            job={job}
            onRetried={(id) => void navigate({ to: '/jobs/$jobId', params: { jobId: id } })}
          />
        }
      />
      <Stack gap="md">
        <JobQuestion job={job} />
        <FailureAlert failure={job.failure} />
        <SideBySide
          main={
            <Panel title="Steps">
              <TaskList job={job} />
            </Panel>
          }
          side={
            <Panel title="About this job">
              <Facts>
                <Fact name="About">
                  {protection ? (
                    <LinkAnchor to="/machines/$machineId" params={{ machineId: protection.machineId }}>
                      {job.subjectName}
                    </LinkAnchor>
                  ) : (
                    job.subjectName
                  )}
                </Fact>
                <Fact name={job.endedAt === null ? 'So far' : 'Took'}>
                  <Took job={job} />
                </Fact>
                <Fact name="Started">{formatWithZone(job.createdAt)}</Fact>
                <Fact name="Ended">{job.endedAt && formatWithZone(job.endedAt)}</Fact>
                <Fact name="Started by">{job.startedBy}</Fact>
                <Fact name="Id">
                  <CopyText text={job.id} what="id of the job" />
                </Fact>
              </Facts>
            </Panel>
          }
        />
      </Stack>
    </>
  )
}
