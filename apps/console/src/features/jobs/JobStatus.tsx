import type { Job } from '@understudy/contract/job'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { toneOfJob, wordsOfJob } from './job-words.ts'

export const JobStatus = ({ job }: { readonly job: Pick<Job, 'state'> }) => (
  <StatusMark tone={toneOfJob[job.state]}>{wordsOfJob[job.state]}</StatusMark>
)
