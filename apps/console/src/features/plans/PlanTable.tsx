import { Badge, Group, Table, Text } from '@mantine/core'
import type { PlanSummary } from '@understudy/contract/recovery-plan'
import { formatCount, formatDuration } from '../../lib/format.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { ReadinessMark } from '../../ui/ReadinessMark.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { When } from '../../ui/When.tsx'
import { titleOfRun } from './plan-kinds.ts'
import { rtoOf, testOf, verdictOf } from './plan-verdict.ts'
import { RtoMeter } from './RtoMeter.tsx'

/** Every plan with what one wants to know before the bad day: could it run, how long would it take, what would be lost. */
export function PlanTable({ plans }: { readonly plans: readonly PlanSummary[] }) {
  return (
    <Table.ScrollContainer minWidth={1060}>
      <Table highlightOnHover verticalSpacing={9}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Plan</Table.Th>
            <Table.Th>Can run</Table.Th>
            <Table.Th>Readiness</Table.Th>
            <Table.Th ta="right">Priority</Table.Th>
            <Table.Th ta="right">Machines</Table.Th>
            <Table.Th ta="right">Steps</Table.Th>
            <Table.Th>Up again within</Table.Th>
            <Table.Th ta="right">Would lose</Table.Th>
            <Table.Th>Last test</Table.Th>
            <Table.Th>Now</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {plans.map((plan) => (
            <PlanRow key={plan.id} plan={plan} />
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

function PlanRow({ plan }: { readonly plan: PlanSummary }) {
  const verdict = verdictOf(plan)
  return (
    <Table.Tr>
      <Table.Td>
        <LinkAnchor to="/plans/$planId" params={{ planId: plan.id }} fw={500} c="var(--ink)">
          {plan.name}
        </LinkAnchor>
        <Text size="xs" c="var(--ink-quiet)">
          Version {plan.version}, <When at={plan.savedAt} /> by {plan.savedBy}
        </Text>
      </Table.Td>
      <Table.Td>
        <StatusMark tone={verdict.tone}>{verdict.words}</StatusMark>
      </Table.Td>
      <Table.Td>
        <ReadinessMark readiness={plan.readiness} of={plan.name} />
      </Table.Td>
      <Table.Td ta="right" className="number">
        {plan.priority}
      </Table.Td>
      <Table.Td ta="right" className="number">
        {formatCount(plan.machineCount)}
      </Table.Td>
      <Table.Td ta="right" className="number">
        {formatCount(plan.stepCount)}
      </Table.Td>
      <Table.Td>
        <RtoMeter rto={rtoOf(plan)} />
      </Table.Td>
      <Table.Td ta="right" className="number">
        {plan.worstLagSeconds === null ? '–' : formatDuration(plan.worstLagSeconds)}
      </Table.Td>
      <Table.Td>
        <LastTest plan={plan} />
      </Table.Td>
      <Table.Td>
        <ActiveRun plan={plan} />
      </Table.Td>
    </Table.Tr>
  )
}

function LastTest({ plan }: { readonly plan: Pick<PlanSummary, 'lastTest'> }) {
  const { tone, words } = testOf(plan)
  return (
    <Group gap={6} wrap="nowrap">
      <StatusMark tone={tone}>{words}</StatusMark>
      {plan.lastTest && (
        <Text size="xs" c="var(--ink-quiet)" component="span">
          <When at={plan.lastTest.at} />
        </Text>
      )}
    </Group>
  )
}

export function ActiveRun({ plan }: { readonly plan: Pick<PlanSummary, 'activeRun'> }) {
  const run = plan.activeRun
  if (!run)
    return (
      <Text size="sm" c="var(--ink-quiet)" span>
        nothing runs
      </Text>
    )
  return (
    <Group gap={6} wrap="nowrap">
      <StatusMark tone="busy">
        {titleOfRun[run.kind]}: {run.doneItems} of {run.totalItems}
      </StatusMark>
      {run.waitingForPeople > 0 && <Badge color="yellow">waits for you</Badge>}
    </Group>
  )
}
