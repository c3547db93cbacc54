import { Progress, Table, Text } from '@mantine/core'
import type { SiteFailover } from '@understudy/contract/recovery-plan'
import { clockText } from '../../lib/clock.ts'
import { readable } from '../../lib/format.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { useNow } from '../../ui/use-now.ts'
import { elapsedSeconds } from './run-clock.ts'
import { statusOfSitePlan } from './site-down.ts'

/** All plans of a site that is being failed over, in their order, each with how far it is. */
export function SitePlanTable({ plans }: { readonly plans: SiteFailover['plans'] }) {
  const now = useNow(1000)
  return (
    <Table.ScrollContainer minWidth={620}>
      <Table aria-label="Plans of the site">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Plan</Table.Th>
            <Table.Th ta="right">Priority</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>Done</Table.Th>
            <Table.Th ta="right">Clock</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {plans.map(({ planId, planName, priority, state, why, run }) => {
            const status = statusOfSitePlan({ state, run })
            return (
              <Table.Tr key={planId}>
                <Table.Td fw={500}>
                  {run ? (
                    <LinkAnchor to="/plans/$planId/runs/$runId" params={{ planId, runId: run.id }}>
                      {planName}
                    </LinkAnchor>
                  ) : (
                    <LinkAnchor to="/plans/$planId" params={{ planId }}>
                      {planName}
                    </LinkAnchor>
                  )}
                </Table.Td>
                <Table.Td ta="right" className="number">
                  {priority}
                </Table.Td>
                <Table.Td maw={380}>
                  <StatusMark tone={status.tone}>{status.words}</StatusMark>
                  {why && (
                    <Text size="xs">
                      {readable(why.message)} <b>{why.remedy}</b>
                    </Text>
                  )}
                  {run?.note && <Text size="xs">{readable(run.note)}</Text>}
                </Table.Td>
                <Table.Td miw={140}>
                  {run && (
                    <>
                      <Progress
                        size="sm"
                        value={run.totalItems === 0 ? 100 : (run.doneItems / run.totalItems) * 100}
                        aria-label={`${planName}: items done`}
                      />
                      <Text size="xs" c="var(--ink-quiet)" className="number">
                        {run.doneItems} of {run.totalItems}
                      </Text>
                    </>
                  )}
                </Table.Td>
                <Table.Td ta="right" className="number">
                  {run ? clockText(elapsedSeconds(run, now)) : '–'}
                </Table.Td>
              </Table.Tr>
            )
          })}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}
