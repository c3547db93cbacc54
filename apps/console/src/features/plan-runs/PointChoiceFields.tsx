import { Group, Radio, Stack, TextInput } from '@mantine/core'
import { useState } from 'react'
import { zoneName } from '../../lib/format.ts'
import { localTimeOf, type PointDraft } from './point-draft.ts'

type PointChoiceFieldsProps = {
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
  { kind: 'at', label: 'An instant', note: 'Of each machine the newest point that is not younger' },
]

/** One point for all machines. */
export function PointChoiceFields({ draft, onChange }: PointChoiceFieldsProps) {
  const [now] = useState(() => localTimeOf(Date.now()))
  const choose = (value: string): void => {
    const kind = choices.find((each) => each.kind === value)?.kind ?? 'latest'
    onChange({ kind, localTime: kind === 'at' && draft.localTime === '' ? now : draft.localTime })
  }
  return (
    <Radio.Group label="One point for all machines" value={draft.kind} onChange={choose}>
      <Stack gap={8} mt={6}>
        {choices.map(({ kind, label, note }) => (
          <Radio key={kind} value={kind} label={label} description={note} size="sm" />
        ))}
        {draft.kind === 'at' && (
          <Group gap="xs" pl={30}>
            <TextInput
              type="datetime-local"
              step={1}
              max={now}
              label={`Instant (${zoneName()})`}
              value={draft.localTime}
              onChange={(event) => onChange({ ...draft, localTime: event.currentTarget.value })}
              error={draft.localTime === '' ? 'Choose date and time' : null}
              w={240}
            />
          </Group>
        )}
      </Stack>
    </Radio.Group>
  )
}
