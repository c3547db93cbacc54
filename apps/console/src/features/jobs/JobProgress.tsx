import { Group, Progress, Text } from '@mantine/core'
import { formatBytes } from '@understudy/base/bytes'
import type { Job } from '@understudy/contract/job'
import { formatDuration } from '../../lib/format.ts'

type Task = Job['tasks'][number]

const doneStates: readonly Task['state'][] = ['succeeded', 'warned', 'skipped']

/** What a job is doing right now: its running task, with bytes, rate and time left where there are bytes. */
export function JobProgress({ job }: { readonly job: Job }) {
  const running = job.tasks.find((task) => task.state === 'running')
  const done = job.tasks.filter(({ state }) => doneStates.includes(state)).length
  if (!running)
    return (
      <Text size="xs" c="var(--ink-quiet)">
        {done} of {job.tasks.length} tasks
      </Text>
    )
  return (
    <div>
      <Group gap={6} justify="space-between" wrap="nowrap">
        <Text size="xs" truncate>
          {running.name}
        </Text>
        <Text size="xs" c="var(--ink-quiet)" className="number" style={{ whiteSpace: 'nowrap' }}>
          {running.progress ? describeProgress(running.progress) : `${done} of ${job.tasks.length}`}
        </Text>
      </Group>
      <Progress.Root size="sm" mt={4}>
        <Progress.Section
          value={shareOf(running, done, job.tasks.length)}
          aria-label={`Progress of ${running.name}`}
          animated
        />
      </Progress.Root>
    </div>
  )
}

const shareOf = (task: Task, done: number, count: number): number => {
  if (task.progress && task.progress.totalBytes > 0)
    return Math.min(100, (task.progress.doneBytes / task.progress.totalBytes) * 100)
  return count === 0 ? 0 : (done / count) * 100
}

export function describeProgress(progress: NonNullable<Task['progress']>): string {
  const { doneBytes, totalBytes, bytesPerSecond } = progress
  const parts = [`${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`]
  if (bytesPerSecond > 0) {
    parts.push(`${formatBytes(bytesPerSecond)}/s`)
    if (totalBytes > doneBytes)
      parts.push(`${formatDuration((totalBytes - doneBytes) / bytesPerSecond)} left`)
  }
  return parts.join(' · ')
}
