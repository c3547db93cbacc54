import { Alert, Group, Text } from '@mantine/core'
import { IconHandStop } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { Job } from '@understudy/contract/job'
import { roleOfJob } from '@understudy/contract/roles'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { readable } from '../../lib/format.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { AnswerButtons } from './AnswerButtons.tsx'

/** A job waits for a person: the question and its answers. */
export function JobQuestion({ job }: { readonly job: Job }) {
  const queries = useQueryClient()
  const question = job.question
  const refused = useWhyRefused()(roleOfJob[job.kind])
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
        <AnswerButtons
          answers={question.answers}
          reason={refused ?? (answer.isPending ? 'Your answer is on its way' : null)}
          sent={answer.isPending ? answer.variables : undefined}
          onAnswer={({ value }) => answer.mutate(value)}
        />
      </Group>
      <ProblemAlert error={answer.error} />
    </Alert>
  )
}
