import type { Job } from '@understudy/contract/job'
import { ActionButton } from '../../ui/ActionButton.tsx'

export type Answer = NonNullable<Job['question']>['answers'][number]

type AnswerButtonsProps = {
  readonly answers: readonly Answer[]
  readonly reason: string | null
  /** The answer that is on its way. */
  readonly sent?: string | undefined
  readonly wordsOf?: (answer: Answer) => string
  readonly onAnswer: (answer: Answer) => void
}

/** One of them is the likely one, others do harm; the rest are there to be found. A long answer wraps: on a phone it would be cut off. */
export function AnswerButtons({ answers, reason, sent, wordsOf, onAnswer }: AnswerButtonsProps) {
  const likely = answers.find(({ danger }) => !danger)
  return answers.map((answer) => (
    <ActionButton
      key={answer.value}
      reason={reason}
      {...lookOf(answer, answer === likely)}
      h="auto"
      mih={30}
      py={5}
      maw="100%"
      styles={{ label: { whiteSpace: 'normal', height: 'auto', textAlign: 'left' } }}
      loading={sent === answer.value}
      onClick={() => onAnswer(answer)}
    >
      {wordsOf === undefined ? answer.label : wordsOf(answer)}
    </ActionButton>
  ))
}

const lookOf = ({ danger }: Answer, isLikely: boolean) =>
  danger
    ? ({ color: 'red', variant: 'outline' } as const)
    : isLikely
      ? ({ color: 'teal', variant: 'filled' } as const)
      : ({ variant: 'default' } as const)
