import { Radio, Skeleton, Stack, TextInput } from '@mantine/core'
import { Suspense, use, useState } from 'react'
import { zoneName } from '../../lib/format.ts'
import { CommonTimeLineContext } from './common-time-line.ts'
import { localTimeOf, type PointDraft, pointOf } from './point-draft.ts'

type PointChoiceFieldsProps = {
  /** Whose machines are on the line; null: of several plans, so an instant is typed. */
  readonly planId: string | null
  readonly draft: PointDraft
  readonly onChange: (draft: PointDraft) => void
}

const choices: readonly {
  readonly kind: PointDraft['kind']
  readonly label: string
  readonly note: string
}[] = [
  { kind: 'latest', label: 'Latest', note: 'Of each machine its newest point: least is lost' },
  {
    kind: 'latest-application-consistent',
    label: 'Latest application-consistent',
    note: 'Databases have put everything on their disks',
  },
  {
    kind: 'latest-processed',
    label: 'Latest that all have reached',
    note: 'The newest instant of which every machine has a point already: up soonest, and closest together',
  },
  { kind: 'at', label: 'An instant', note: 'Of each machine the newest point that is not younger' },
]

/** One point for all machines. */
export function PointChoiceFields({ planId, draft, onChange }: PointChoiceFieldsProps) {
  const [now] = useState(() => localTimeOf(Date.now()).slice(0, 19))
  const TimeLine = use(CommonTimeLineContext)
  const choose = (value: string): void => {
    const kind = choices.find((each) => each.kind === value)?.kind ?? 'latest'
    onChange({ kind, localTime: kind === 'at' && draft.localTime === '' ? now : draft.localTime })
  }
  const point = pointOf(draft)
  return (
    <Radio.Group
      label={planId === null ? 'The point of each plan' : 'One point for all machines'}
      value={draft.kind}
      onChange={choose}
    >
      <Stack gap={8} mt={6}>
        {choices.map(({ kind, label, note }) => (
          <Radio key={kind} value={kind} label={label} description={note} size="sm" />
        ))}
        {draft.kind === 'at' && (
          <Stack gap="xs" pl={{ base: 0, xs: 30 }}>
            <TextInput
              type="datetime-local"
              step={0.001}
              max={`${now}.999`}
              label={`Instant (${zoneName()})`}
              value={draft.localTime}
              onChange={(event) => onChange({ ...draft, localTime: event.currentTarget.value })}
              error={draft.localTime === '' ? 'Choose date and time' : null}
              w={260}
            />
            {TimeLine && planId !== null && (
              <Suspense fallback={<Skeleton h={190} />}>
                <TimeLine
                  planId={planId}
                  instant={point?.kind === 'at' ? Date.parse(point.instant) : null}
                  onChoose={(instant) => onChange({ kind: 'at', localTime: localTimeOf(instant) })}
                />
              </Suspense>
            )}
          </Stack>
        )}
      </Stack>
    </Radio.Group>
  )
}
