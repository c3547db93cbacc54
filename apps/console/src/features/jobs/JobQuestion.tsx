import { Alert, Button, Group, Text } from '@mantine/core'
import { IconHandStop } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { Job } from '@understudy/contract/job'
import { api, client } from '../../api/client.ts'
import { readable } from '../../lib/format.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'

/** A job waits for a person: the question and its answers. */
export function JobQuestion({ job }: { readonly job: Job }) {
  const queries = useQueryClient()
  const question = job.question
  const answer = useMutation({
    mutationFn: (value: string) => client.jobs.answer({ id: job.id, questionId: question?.id ?? '', value }),
    onSettled: () => queries.invalidateQueries({ queryKey: api.jobs.key() }),
  })
  if (!question) return null
  return (
    <Alert
      color="yellow"
      variant="light"
      icon={<IconHandStop size={18} />}
      title={`Waiting for you: ${job.title}`}
      role="alert"
    >
      <Text size="sm" mb="sm">
        {readable(question.text)}
      </Text>
      <Group gap="xs">
        {question.answers.map((option) => (
          <Button
            key={option.value}
            color={option.danger ? 'red' : 'teal'}
            variant={option.danger ? 'outline' : 'filled'}
            loading={answer.isPending && answer.variables === option.value}
            disabled={answer.isPending}
            onClick={() => answer.mutate(option.value)}
          >
            {option.label}
          </Button>
        ))}
      </Group>
      <ProblemAlert error={answer.error} />
    </Alert>
  )
}
