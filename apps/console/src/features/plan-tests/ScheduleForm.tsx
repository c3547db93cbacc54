import {
  Button,
  Group,
  NumberInput,
  SegmentedControl,
  SimpleGrid,
  Stack,
  Switch,
  Text,
  TextInput,
} from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { TestSchedule, TestSettings } from '@understudy/contract/plan-tests'
import { roleOf } from '@understudy/contract/roles'
import { nextTestsAt, wallTextOf, wordsOfSchedule } from '@understudy/contract/test-schedules'
import { type FormEvent, useState } from 'react'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { minuteOf } from '../../lib/time-of-day.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { TimeZoneSelect } from '../../ui/TimeZoneSelect.tsx'
import { useNow } from '../../ui/use-now.ts'
import { WeekdayChoice } from '../../ui/WeekdayChoice.tsx'
import {
  draftOf,
  faultOf,
  monthDaysOf,
  newSchedule,
  type ScheduleDraft,
  WRONG_TIME,
} from './schedule-draft.ts'

type ScheduleFormProps = { readonly settings: TestSettings }

/** When the plan is tested by itself, in words that change while one types. Key it by its revision. */
export function ScheduleForm({ settings }: ScheduleFormProps) {
  const queries = useQueryClient()
  const refused = useWhyRefused()(roleOf.plans.saveTestSettings)
  const [draft, setDraft] = useState<ScheduleDraft>(() => draftOf(settings))
  const save = useMutation({
    mutationFn: () => {
      const { testEveryDays, schedule } = draft
      const { planId: id, revision } = settings
      return client.plans.saveTestSettings({ id, testEveryDays, schedule, revision })
    },
    onSettled: () => queries.invalidateQueries({ queryKey: api.plans.key() }),
  })
  const { schedule } = draft
  const changed = JSON.stringify(draft) !== JSON.stringify(draftOf(settings))
  const fault = faultOf(draft)
  const reason = refused ?? fault ?? (changed ? null : 'Nothing is changed')
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (reason === null && !save.isPending) save.mutate()
  }
  return (
    <form onSubmit={submit} aria-label="Schedule of tests">
      <Stack gap="md" maw={760}>
        <NumberInput
          label="A test is due every (days)"
          description="After so long without a passed test an alert tells, and the plan is not proven any more."
          value={draft.testEveryDays}
          min={1}
          max={730}
          allowDecimal={false}
          maw={260}
          readOnly={refused !== null}
          onChange={(value) => setDraft({ ...draft, testEveryDays: Number(value) })}
        />
        <Switch
          label="Test it by itself"
          description="In the isolated network, while replication goes on. It cleans up after itself."
          checked={schedule?.enabled ?? false}
          disabled={refused !== null}
          onChange={(event) => {
            const enabled = event.currentTarget.checked
            setDraft({ ...draft, schedule: { ...(schedule ?? newSchedule()), enabled } })
          }}
        />
        {schedule && (
          <fieldset disabled={refused !== null} style={{ border: 0, margin: 0, padding: 0, minWidth: 0 }}>
            <Stack gap="md">
              <Days draft={draft} schedule={schedule} onDraft={setDraft} />
              <Times draft={draft} schedule={schedule} onDraft={setDraft} />
              <NextTests schedule={schedule} fault={fault} waitsFor={settings.waitsFor} />
            </Stack>
          </fieldset>
        )}
        <ProblemAlert error={save.error} />
        <Group gap="xs">
          <ActionButton reason={reason} type="submit" loading={save.isPending} onClick={() => {}}>
            Save the schedule
          </ActionButton>
          {changed && (
            <Button variant="default" onClick={() => setDraft(draftOf(settings))}>
              Undo
            </Button>
          )}
        </Group>
      </Stack>
    </form>
  )
}

type DaysProps = {
  readonly draft: ScheduleDraft
  readonly schedule: TestSchedule
  readonly onDraft: (draft: ScheduleDraft) => void
}

function Days({ draft, schedule, onDraft }: DaysProps) {
  const { days } = schedule
  const set = (next: TestSchedule['days'], monthDays = draft.monthDays): void =>
    onDraft({ ...draft, monthDays, schedule: { ...schedule, days: next } })
  return (
    <Stack gap="xs">
      <SegmentedControl
        aria-label="On which days"
        data={[
          { value: 'week', label: 'Days of the week' },
          { value: 'month', label: 'Days of the month' },
        ]}
        value={days.kind}
        maw={360}
        onChange={(kind) =>
          set(
            kind === 'week'
              ? { kind: 'week', weekdays: [6] }
              : { kind: 'month', days: monthDaysOf(draft.monthDays) ?? [1] },
          )
        }
      />
      {days.kind === 'week' ? (
        <WeekdayChoice
          label="Days of the week"
          value={days.weekdays}
          onChange={(chosen) => set({ kind: 'week', weekdays: chosen })}
        />
      ) : (
        <TextInput
          label="Days of the month"
          description="1 to 31, with commas; 31 is the last day of every month."
          maw={360}
          value={draft.monthDays}
          error={monthDaysOf(draft.monthDays) === null ? 'Name days from 1 to 31, such as 1, 15' : null}
          onChange={(event) => {
            const text = event.currentTarget.value
            set({ kind: 'month', days: monthDaysOf(text) ?? days.days }, text)
          }}
        />
      )}
    </Stack>
  )
}

type TimesProps = {
  readonly draft: ScheduleDraft
  readonly schedule: TestSchedule
  readonly onDraft: (draft: ScheduleDraft) => void
}

const spans = [
  [
    'windowMinutes',
    'Begins at the latest after (minutes)',
    'Else it is skipped or missed, and an alert tells.',
    1,
  ],
  ['keepMinutes', 'Stays up before the clean-up (minutes)', 'For people to look around. 0: not at all.', 0],
  ['giveUpMinutes', 'Is given up after (minutes)', 'A test that is not over by then has failed.', 5],
] as const

function Times({ draft, schedule, onDraft }: TimesProps) {
  const set = (change: Partial<TestSchedule>): void =>
    onDraft({ ...draft, schedule: { ...schedule, ...change } })
  return (
    <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md">
      {/* Not the browser's own field for times: many of those count to twelve, and at three in the morning that is mixed up. */}
      <TextInput
        label="Time of day"
        description="00:00 to 23:59, on the clock of the zone."
        value={draft.time}
        error={minuteOf(draft.time) === null ? WRONG_TIME : null}
        onChange={(event) => {
          const time = event.currentTarget.value
          const minuteOfDay = minuteOf(time) ?? schedule.minuteOfDay
          onDraft({ ...draft, time, schedule: { ...schedule, minuteOfDay } })
        }}
      />
      <TimeZoneSelect value={schedule.timeZone} onChange={(timeZone) => set({ timeZone })} />
      {spans.map(([name, label, description, least]) => (
        <NumberInput
          key={name}
          label={label}
          description={description}
          min={least}
          max={1440}
          allowDecimal={false}
          allowNegative={false}
          value={schedule[name]}
          onChange={(value) => set({ [name]: Number(value) })}
        />
      ))}
    </SimpleGrid>
  )
}

type NextTestsProps = {
  readonly schedule: TestSchedule
  readonly fault: string | null
  readonly waitsFor: string | null
}

function NextTests({ schedule, fault, waitsFor }: NextTestsProps) {
  const now = useNow(30_000)
  const next = fault === null ? nextTestsAt(schedule, now, 3) : []
  const zone = schedule.timeZone
  return (
    <Stack gap={2} role="status">
      <Text size="sm" fw={600}>
        {fault ?? (schedule.enabled ? sentence(wordsOfSchedule(schedule)) : 'Switched off')}
      </Text>
      {next.length > 0 && (
        <Text size="sm" c="var(--ink-quiet)" className="number">
          Next: {next.map((at) => wallTextOf(at, zone)).join(' · ')}
        </Text>
      )}
      {waitsFor && (
        <Text size="sm" c="var(--at-risk)">
          Due now, and waits: {waitsFor}
        </Text>
      )}
    </Stack>
  )
}

const sentence = (words: string): string => words.charAt(0).toUpperCase() + words.slice(1)
