import { Group, Progress, Stack, Text } from '@mantine/core'
import type { Job } from '@understudy/contract/job'
import { formatDuration, formatWithZone, readable } from '../../lib/format.ts'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { useNow } from '../../ui/use-now.ts'
import { describeProgress } from './JobProgress.tsx'
import { toneOfTask, wordsOfTask } from './job-words.ts'
import classes from './TaskList.module.css'

type Task = Job['tasks'][number]

/** The steps of a job in order: state, when, how long, how far, and what each has to say. */
export function TaskList({ job }: { readonly job: Job }) {
  if (job.tasks.length === 0)
    return (
      <Text size="sm" c="var(--ink-quiet)">
        The steps appear when the job begins.
      </Text>
    )
  return (
    <ol className={classes.tasks}>
      {job.tasks.map((task, index) => (
        // A job's tasks never change their order, and two may bear the same name.
        // biome-ignore lint/suspicious/noArrayIndexKey: the place in the list is the task's identity.
        <TaskLine key={index} task={task} />
      ))}
    </ol>
  )
}

function TaskLine({ task }: { readonly task: Task }) {
  const { progress } = task
  return (
    <li className={classes.task} data-state={task.state}>
      <Group justify="space-between" wrap="nowrap" gap="sm">
        <Group gap="sm" wrap="nowrap" miw={0}>
          <StatusMark tone={toneOfTask[task.state]}>{wordsOfTask[task.state]}</StatusMark>
          <Text size="sm" fw={task.state === 'running' ? 600 : 400}>
            {task.name}
          </Text>
        </Group>
        <TaskTime task={task} />
      </Group>
      {progress && task.state === 'running' && (
        <Stack gap={4} mt={6}>
          <Progress.Root size="sm">
            <Progress.Section
              value={
                progress.totalBytes > 0 ? Math.min(100, (progress.doneBytes / progress.totalBytes) * 100) : 0
              }
              aria-label={`Progress of ${task.name}`}
              animated
            />
          </Progress.Root>
          <Text size="xs" c="var(--ink-quiet)" className="number">
            {describeProgress(progress)}
          </Text>
        </Stack>
      )}
      {task.note && (
        <Text size="xs" c="var(--ink-quiet)" mt={3}>
          {readable(task.note)}
        </Text>
      )}
    </li>
  )
}

function TaskTime({ task }: { readonly task: Task }) {
  const now = useNow(1000)
  if (task.startedAt === null) return null
  const end = task.endedAt === null ? now : Date.parse(task.endedAt)
  const took = Math.max(0, (end - Date.parse(task.startedAt)) / 1000)
  return (
    <Text
      size="xs"
      c="var(--ink-quiet)"
      className="number"
      style={{ whiteSpace: 'nowrap' }}
      title={formatWithZone(task.startedAt)}
    >
      {formatDuration(took)}
    </Text>
  )
}
