import { Button, Group, Modal, Select, SimpleGrid, Stack, Text } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { isStep, itemsOf } from '@understudy/contract/plan-editing'
import type { PlanCheck } from '@understudy/contract/recovery-plan'
import { type FormEvent, useState } from 'react'
import { client } from '../../api/client.ts'
import { formatDuration } from '../../lib/format.ts'
import { Findings } from '../../ui/Findings.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'
import { AskedField, type Given } from './AskedField.tsx'
import type { Names, Plan } from './plan-draft.ts'
import { type StartKind, startKinds, titleOfRun } from './plan-kinds.ts'
import { TimetableChart } from './TimetableChart.tsx'

type DryRunDialogProps = {
  readonly planId: string
  /** As it is saved: that is what would run. */
  readonly saved: { readonly plan: Plan; readonly version: number }
  readonly names: Names
  readonly changed: boolean
  readonly onClose: () => void
}

const points = [
  { value: 'latest', label: 'latest' },
  { value: 'latest-application-consistent', label: 'latest application-consistent' },
  { value: 'latest-processed', label: 'latest that all have reached' },
] as const
type Point = (typeof points)[number]['value']

/** Everything that is looked at before a run, and how long it would take. Nothing is touched. */
export function DryRunDialog({ planId, saved, names, changed, onClose }: DryRunDialogProps) {
  useFocusBack()
  const [kind, setKind] = useState<StartKind>('test')
  const [point, setPoint] = useState<Point>('latest')
  const [parameters, setParameters] = useState<Given>({})
  const run = useMutation({
    mutationFn: () => client.plans.dryRun({ id: planId, kind, point: { kind: point }, parameters }),
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (!run.isPending) run.mutate()
  }
  return (
    <Modal opened onClose={onClose} title={`Dry run of ${saved.plan.name}`} size={880}>
      <form onSubmit={submit}>
        <Stack gap="md">
          <Text size="sm" c="var(--ink-quiet)">
            Asks everything that a run asks before it begins, of version {saved.version}
            {changed ? ', without what you have not saved yet' : ''}. No machine and no network is touched.
          </Text>
          <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
            <Select
              label="As if it were a"
              allowDeselect={false}
              data={startKinds.map((each) => ({ value: each, label: titleOfRun[each] }))}
              value={kind}
              onChange={(chosen) => setKind(startKinds.find((each) => each === chosen) ?? kind)}
              data-autofocus
            />
            <Select
              label="From the points"
              allowDeselect={false}
              data={[...points]}
              value={point}
              onChange={(chosen) => setPoint(points.find(({ value }) => value === chosen)?.value ?? 'latest')}
            />
            {saved.plan.parameters
              .filter(({ asked }) => asked)
              .map((parameter) => (
                <AskedField
                  key={parameter.name}
                  parameter={parameter}
                  onChange={(value) => setParameters({ ...parameters, [parameter.name]: value })}
                />
              ))}
          </SimpleGrid>
          <ProblemAlert error={run.error} />
          {run.data && <DryRunResult check={run.data} plan={saved.plan} names={names} />}
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Close
            </Button>
            <Button type="submit" loading={run.isPending}>
              {run.data ? 'Look again' : 'Look'}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}

type DryRunResultProps = { readonly check: PlanCheck; readonly plan: Plan; readonly names: Names }

function DryRunResult({ check, plan, names }: DryRunResultProps) {
  const { findings, timetable } = check
  const known = new Map(
    itemsOf(plan).map(({ item }) => [
      item.id as string,
      isStep(item) ? item.name : (names.get(item.protectionId) ?? item.protectionId),
    ]),
  )
  const blockers = findings.filter(({ level }) => level === 'blocker').length
  const named = findings.map((finding) => {
    const name = finding.at.kind === 'item' ? known.get(finding.at.id) : undefined
    return name === undefined ? finding : { ...finding, message: `${name}: ${finding.message}` }
  })
  return (
    <Stack gap="sm" role="status">
      <StatusMark tone={blockers > 0 ? 'bad' : findings.length > 0 ? 'at-risk' : 'good'}>
        {blockers > 0
          ? `It could not begin: ${blockers} ${blockers === 1 ? 'thing stands' : 'things stand'} in the way`
          : 'It could begin now'}
        {timetable ? `, and would take about ${formatDuration(timetable.totalSeconds)}` : ''}
      </StatusMark>
      <Findings findings={named} label="What was found" />
      {timetable && timetable.items.length > 0 && (
        <TimetableChart plan={plan} timetable={timetable} nameOf={(id) => known.get(id) ?? id} />
      )}
    </Stack>
  )
}
