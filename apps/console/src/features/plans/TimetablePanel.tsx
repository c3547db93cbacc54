import { Group, Select, Stack, Text } from '@mantine/core'
import { IconCalendarTime, IconRoute } from '@tabler/icons-react'
import { isStep, itemsOf } from '@understudy/contract/plan-editing'
import { formatDuration } from '../../lib/format.ts'
import { EmptyState } from '../../ui/EmptyState.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import type { ItemId, Names, Plan } from './plan-draft.ts'
import { type StartKind, startKinds, titleOfRun } from './plan-kinds.ts'
import { TimetableChart } from './TimetableChart.tsx'
import type { PlanChecked } from './use-plan-check.ts'

type TimetablePanelProps = {
  readonly plan: Plan
  readonly names: Names
  readonly checked: PlanChecked
  readonly kind: StartKind
  readonly onKind: (kind: StartKind) => void
  readonly onOpen: (id: ItemId) => void
}

export function TimetablePanel({ plan, names, checked, kind, onKind, onOpen }: TimetablePanelProps) {
  const { timetable, error } = checked
  const known = new Map(
    itemsOf(plan).map(({ item }) => [
      item.id as string,
      isStep(item) ? item.name : (names.get(item.protectionId) ?? 'not protected any more'),
    ]),
  )
  const choice = (
    <Select
      size="xs"
      w={190}
      aria-label="Kind of run"
      allowDeselect={false}
      data={startKinds.map((each) => ({ value: each, label: titleOfRun[each] }))}
      value={kind}
      onChange={(chosen) => onKind(startKinds.find((each) => each === chosen) ?? kind)}
    />
  )
  return (
    <Panel title="Expected course" actions={choice}>
      <Stack gap="sm">
        <ProblemAlert error={error} />
        {timetable && timetable.items.length > 0 ? (
          <>
            <Group gap="lg">
              <Text size="sm">
                About {formatDuration(timetable.totalSeconds)} from the start to the end; the duration of{' '}
                {timetable.measured} of {timetable.items.length} is measured, the others are assumed.
              </Text>
              <Text size="sm" c="var(--ink-quiet)">
                <IconRoute size={14} color="var(--accent)" aria-hidden style={{ verticalAlign: -2 }} />{' '}
                critical path: what makes it take that long. Dashes: how much longer something may take
                unnoticed.
              </Text>
            </Group>
            <TimetableChart
              plan={plan}
              timetable={timetable}
              nameOf={(id) => known.get(id) ?? id}
              onOpen={onOpen}
            />
          </>
        ) : (
          <EmptyState icon={IconCalendarTime} title="No timetable yet">
            Once the order can be kept, each machine and step is shown here with when it is expected to begin
            and end.
          </EmptyState>
        )}
      </Stack>
    </Panel>
  )
}
