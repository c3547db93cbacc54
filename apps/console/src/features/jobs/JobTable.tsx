import { Box, Table, Text } from '@mantine/core'
import type { Job } from '@understudy/contract/job'
import { formatDuration } from '../../lib/format.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { useNow } from '../../ui/use-now.ts'
import { When } from '../../ui/When.tsx'
import { JobProgress } from './JobProgress.tsx'
import { JobStatus } from './JobStatus.tsx'

type JobTableProps = {
  readonly jobs: readonly Job[]
  /** On the page of one machine its name in every row is noise. */
  readonly withSubject?: boolean
}

/** Jobs, newest first. */
export function JobTable({ jobs, withSubject = true }: JobTableProps) {
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Job</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>Progress</Table.Th>
            <Table.Th>Started</Table.Th>
            <Table.Th ta="right">Took</Table.Th>
            <Table.Th>By</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {jobs.map((job) => (
            <Table.Tr key={job.id}>
              <Table.Td>
                <LinkAnchor to="/jobs/$jobId" params={{ jobId: job.id }} fw={500} c="var(--ink)">
                  {withSubject ? job.title : job.title.replace(` ${job.subjectName}`, '')}
                </LinkAnchor>
              </Table.Td>
              <Table.Td>
                <JobStatus job={job} />
              </Table.Td>
              <Table.Td>
                <Box w={230}>
                  {job.failure ? (
                    <Text size="xs" lineClamp={2} title={job.failure.message}>
                      {job.failure.message}
                    </Text>
                  ) : (
                    <JobProgress job={job} />
                  )}
                </Box>
              </Table.Td>
              <Table.Td>
                <When at={job.createdAt} />
              </Table.Td>
              <Table.Td ta="right" className="number">
                <Took job={job} />
              </Table.Td>
              <Table.Td>{job.startedBy}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

export function Took({ job }: { readonly job: Pick<Job, 'createdAt' | 'endedAt'> }) {
  const now = useNow(1000)
  const end = job.endedAt === null ? now : Date.parse(job.endedAt)
  return <>{formatDuration(Math.max(0, (end - Date.parse(job.createdAt)) / 1000))}</>
}
