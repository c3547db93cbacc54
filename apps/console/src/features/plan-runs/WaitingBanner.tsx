// What a run wants of people: at the top, in plain words, with the answer beside the question.
import { Box, Button, Group, Stack, Text, TextInput, VisuallyHidden } from '@mantine/core'
import { IconHandStop } from '@tabler/icons-react'
import { useMutation, useQueryClient, useSuspenseQuery } from '@tanstack/react-query'
import type { PlanActivity, PlanRun } from '@understudy/contract/recovery-plan'
import { type ReactNode, useState } from 'react'
import { api, client } from '../../api/client.ts'
import { sessionQuery, useWhyRefused } from '../../api/session.ts'
import { formatRelative, readable } from '../../lib/format.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { useNow } from '../../ui/use-now.ts'
import { RetryOrSkip } from './RetryOrSkip.tsx'
import classes from './WaitingBanner.module.css'

type WaitingBannerProps = {
  readonly run: PlanRun
  /** Draws the question of a job, which is answered at the job. */
  readonly jobQuestion: (jobId: string) => ReactNode
  readonly onOpen: (itemId: string) => void
}

type Ask = NonNullable<PlanActivity['asks']>
const shownAsks = 4

export function WaitingBanner({ run, jobQuestion, onOpen }: WaitingBannerProps) {
  const [all, setAll] = useState(false)
  const asking = run.activities.filter(({ asks }) => asks !== null)
  const shown = all ? asking : asking.slice(0, shownAsks)
  return (
    <>
      <VisuallyHidden role="status">
        {asking.length === 0
          ? ''
          : `${asking.length === 1 ? '1 thing waits' : `${asking.length} things wait`} for you: ${shown.map(({ name }) => name).join(', ')}`}
      </VisuallyHidden>
      {asking.length > 0 && (
        <section className={classes.banner} aria-label="Waiting for you">
          <Group gap="xs" className={classes.head}>
            <IconHandStop size={19} aria-hidden />
            <Text fw={650}>Waiting for you</Text>
            <Text size="sm">
              {asking.length === 1 ? 'one question' : `${asking.length} questions`}; what does not need the
              answer goes on
            </Text>
          </Group>
          <Stack gap={0}>
            {shown.map((activity) => (
              <Box key={activity.itemId} className={classes.ask}>
                <Asked run={run} activity={activity} jobQuestion={jobQuestion} onOpen={onOpen} />
              </Box>
            ))}
          </Stack>
          {asking.length > shown.length && (
            <Button variant="subtle" m="xs" onClick={() => setAll(true)}>
              Show {asking.length - shown.length} more
            </Button>
          )}
        </section>
      )}
    </>
  )
}

type AskedProps = WaitingBannerProps & { readonly activity: PlanActivity }

function Asked({ run, activity, jobQuestion, onOpen }: AskedProps) {
  const { asks, jobId } = activity
  if (!asks) return null
  return (
    <Stack gap={6}>
      <Group gap="xs" align="baseline">
        <button type="button" className={classes.name} onClick={() => onOpen(activity.itemId)}>
          {activity.name}
        </button>
        <Text size="xs" c="var(--ink-quiet)">
          {whatIsAsked[asks.kind]}
          {asks.kind === 'job' ? '' : ` for whoever has the role ${asks.role}`}
        </Text>
        <TimeLeft deadline={activity.state === 'running' ? activity.deadline : null} />
      </Group>
      {asks.kind !== 'job' && (
        <Text size="sm" style={{ whiteSpace: 'pre-wrap' }}>
          {readable(asks.text)}
        </Text>
      )}
      {asks.kind === 'job' && jobId !== null && jobQuestion(jobId)}
      {asks.kind === 'failed' && (
        <>
          {activity.failure && (
            <Text size="sm" c="var(--ink-quiet)">
              {readable(activity.failure.remedy)}
            </Text>
          )}
          <RetryOrSkip run={run} activity={activity} />
        </>
      )}
      {(asks.kind === 'manual' || asks.kind === 'approval') && (
        <AnswerForm run={run} activity={activity} kind={asks.kind} role={asks.role} />
      )}
    </Stack>
  )
}

const whatIsAsked: Record<Ask['kind'], string> = {
  manual: 'a manual action',
  approval: 'an approval',
  failed: 'has failed; a decision',
  job: 'a question of its job',
}

function TimeLeft({ deadline }: { readonly deadline: string | null }) {
  const now = useNow(1000)
  if (deadline === null) return null
  return (
    <Text size="xs" c="var(--at-risk)" className="number">
      given up {formatRelative(deadline, now)}
    </Text>
  )
}

type AnswerFormProps = {
  readonly run: PlanRun
  readonly activity: PlanActivity
  readonly kind: 'manual' | 'approval'
  readonly role: Ask['role']
}

const wordsOfAnswer = {
  manual: { done: 'Done', failed: 'Could not be done' },
  approval: { done: 'Approve', failed: 'Refuse' },
} as const

function AnswerForm({ run, activity, kind, role }: AnswerFormProps) {
  const queries = useQueryClient()
  const { data: session } = useSuspenseQuery(sessionQuery)
  const refused = useWhyRefused()(role)
  const [comment, setComment] = useState('')
  const answer = useMutation({
    mutationFn: (value: 'done' | 'failed') =>
      client.planRuns.answer({ id: run.id, itemId: activity.itemId, value, comment }),
    onSettled: () => queries.invalidateQueries({ queryKey: api.planRuns.key() }),
  })
  const own = kind === 'approval' && session?.user.name === run.startedBy
  const reason = refused ?? (answer.isPending ? 'Your answer is on its way' : null)
  const words = wordsOfAnswer[kind]
  return (
    <Stack gap={6}>
      <Group gap="xs" align="flex-end">
        <TextInput
          label={`Comment on ${activity.name}`}
          placeholder="What you did or saw; kept with the run"
          value={comment}
          maxLength={500}
          onChange={(event) => setComment(event.currentTarget.value)}
          flex={1}
          miw={220}
          maw={560}
          size="xs"
        />
        <ActionButton
          reason={reason ?? (own ? 'You started this run: somebody else has to approve it' : null)}
          loading={answer.isPending && answer.variables === 'done'}
          onClick={() => answer.mutate('done')}
        >
          {words.done}
        </ActionButton>
        <ActionButton
          reason={reason}
          color="red"
          variant="outline"
          loading={answer.isPending && answer.variables === 'failed'}
          onClick={() => answer.mutate('failed')}
        >
          {words.failed}
        </ActionButton>
      </Group>
      <ProblemAlert error={answer.error} />
    </Stack>
  )
}
