import { Checkbox, Group } from '@mantine/core'
import { type Weekday, weekdays, wordsOfWeekday } from '@understudy/contract/test-schedules'

type WeekdayChoiceProps = {
  readonly label: string
  readonly value: readonly Weekday[]
  readonly onChange: (chosen: Weekday[]) => void
}

/** In the order of the week, whatever was ticked first. */
export function WeekdayChoice({ label, value, onChange }: WeekdayChoiceProps) {
  return (
    <Checkbox.Group
      label={label}
      value={value.map(String)}
      onChange={(chosen) => onChange(weekdays.filter((day) => chosen.includes(String(day))))}
    >
      <Group gap="sm" mt={6}>
        {weekdays.map((day) => (
          <Checkbox key={day} value={String(day)} label={wordsOfWeekday[day]} />
        ))}
      </Group>
    </Checkbox.Group>
  )
}
