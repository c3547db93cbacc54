import type { Job } from '@understudy/contract/job'

/**
 * One key for each end of a job: a double click retries once, and a job that has failed again can be retried again. Its id
 * alone would not do, because a retried job keeps it.
 */
export const retryKey = (job: Pick<Job, 'id' | 'endedAt'>): string => `retry-${job.id}-${job.endedAt ?? ''}`
