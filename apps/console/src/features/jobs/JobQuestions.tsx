import { Alert, Button, Group, Modal, Stack, Text } from '@mantine/core'
import { IconHandStop } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { Job } from '@understudy/contract/job'
import { roleOfJob } from '@understudy/contract/roles'
import { useState } from 'react'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { readable } from '../../lib/format.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'
import { type Answer, AnswerButtons } from './AnswerButtons.tsx'
import { type AskingJob, alikeQuestions, namesOf, wordingsOf } from './alike-questions.ts'
import { JobQuestion } from './JobQuestion.tsx'

/** All questions of jobs: those that ask the same have one answer for all, and one for each below. */
export function JobQuestions({ jobs }: { readonly jobs: readonly Job[] }) {
  return alikeQuestions(jobs).map((alike) =>
    alike.length === 1 ? (
      <JobQuestion key={alike[0].id} job={alike[0]} />
    ) : (
      <AskedAlike key={alike[0].id} jobs={alike} />
    ),
  )
}

/** What several of these jobs ask alike, where each one's own question stands elsewhere on the page. */
export function AlikeJobQuestions({ jobs }: { readonly jobs: readonly Job[] }) {
  return alikeQuestions(jobs)
    .filter(({ length }) => length > 1)
    .map((alike) => <AskedAlike key={alike[0].id} jobs={alike} onlyTogether />)
}

type AskedAlikeProps = {
  readonly jobs: readonly [AskingJob, ...AskingJob[]]
  /** Each question stands elsewhere on the page as well. */
  readonly onlyTogether?: boolean
}

/** The same question of several jobs, answered at once or one by one. */
function AskedAlike({ jobs, onlyTogether = false }: AskedAlikeProps) {
  const [oneByOne, setOneByOne] = useState(false)
  const [chosen, setChosen] = useState<Answer | null>(null)
  const refused = useWhyRefused()(roleOfJob[jobs[0].kind])
  return (
    <>
      <Alert
        color="yellow"
        variant="light"
        icon={<IconHandStop size={18} />}
        title={`Waiting for you: ${jobs.length} machines ask the same`}
        role="alert"
      >
        <Stack gap="xs">
          <Text size="sm" fw={600}>
            {namesOf(jobs)}
          </Text>
          {wordingsOf(jobs).map((text) => (
            <Text size="sm" key={text}>
              {readable(text)}
            </Text>
          ))}
          <Group gap="xs">
            <AnswerButtons
              answers={jobs[0].question.answers}
              reason={refused}
              wordsOf={({ label }) => `All ${jobs.length}: ${label}`}
              onAnswer={setChosen}
            />
            {!onlyTogether && (
              <Button variant="subtle" aria-expanded={oneByOne} onClick={() => setOneByOne(!oneByOne)}>
                One by one
              </Button>
            )}
          </Group>
        </Stack>
      </Alert>
      {oneByOne && jobs.map((job) => <JobQuestion key={job.id} job={job} />)}
      {chosen && <AnswerAll jobs={jobs} answer={chosen} onClose={() => setChosen(null)} />}
    </>
  )
}

type AnswerAllProps = {
  readonly jobs: readonly AskingJob[]
  readonly answer: Answer
  readonly onClose: () => void
}

function AnswerAll({ jobs, answer, onClose }: AnswerAllProps) {
  useFocusBack()
  const queries = useQueryClient()
  // Whom it is about does not change while one reads it.
  const [asked] = useState(jobs)
  const answerAll = useMutation({
    mutationFn: () => answerEach(asked, answer),
    onSuccess: (failures) => {
      if (failures.length === 0) onClose()
    },
    onSettled: () => queries.invalidateQueries({ queryKey: api.jobs.key() }),
  })
  return (
    <Modal opened onClose={onClose} title={`${answer.label}: ${asked.length} machines`} size={500}>
      <Stack gap="md">
        <Text size="sm">{asked.map(({ subjectName }) => subjectName).join(', ')}</Text>
        {wordingsOf(asked).map((text) => (
          <Text size="sm" key={text} c="var(--ink-quiet)">
            {readable(text)}
          </Text>
        ))}
        {answerAll.data?.map(({ job, error }) => (
          <Stack gap={4} key={job.id}>
            <Text size="sm" fw={600}>
              {job.subjectName} has not taken it
            </Text>
            <ProblemAlert error={error} />
          </Stack>
        ))}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose} data-autofocus={answer.danger ? true : undefined}>
            {answerAll.data ? 'Close' : 'Cancel'}
          </Button>
          {!answerAll.data && (
            <Button
              color={answer.danger ? 'red' : 'teal'}
              loading={answerAll.isPending}
              onClick={() => answerAll.mutate()}
              data-autofocus={answer.danger ? undefined : true}
            >
              {`Answer for ${asked.length} machines`}
            </Button>
          )}
        </Group>
      </Stack>
    </Modal>
  )
}

/** Those whose answer was refused, for instance because somebody else was quicker: the others are answered all the same. */
async function answerEach(
  jobs: readonly AskingJob[],
  { value }: Answer,
): Promise<readonly { readonly job: AskingJob; readonly error: Error }[]> {
  const answers = jobs.map(({ id, question }) => client.jobs.answer({ id, questionId: question.id, value }))
  const settled = await Promise.allSettled(answers)
  return jobs.flatMap((job, index) => {
    const outcome = settled[index]
    return outcome?.status === 'rejected' ? [{ job, error: outcome.reason as Error }] : []
  })
}
