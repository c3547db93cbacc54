import { Alert, SimpleGrid, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { api } from '../api/client.ts'
import { JobQuestions } from '../features/jobs/JobQuestions.tsx'
import { SiteFailoverActions } from '../features/plan-runs/SiteFailoverActions.tsx'
import { SitePlanTable } from '../features/plan-runs/SitePlanTable.tsx'
import { progressOf, uncoveredWords } from '../features/plan-runs/site-down.ts'
import { clockText } from '../lib/clock.ts'
import { LinkAnchor } from '../ui/LinkAnchor.tsx'
import { LinkButton } from '../ui/LinkButton.tsx'
import { PageHeader } from '../ui/PageHeader.tsx'
import { Panel } from '../ui/Panel.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RoutePending } from '../ui/RoutePending.tsx'
import { Stat } from '../ui/Stat.tsx'
import { StatusMark } from '../ui/StatusMark.tsx'
import { useNow } from '../ui/use-now.ts'
import { When } from '../ui/When.tsx'

/** All plans of a site that was taken for dead, on one page. */
export function SiteFailoverPage() {
  const { failoverId } = useParams({ from: '/signed-in/site-failovers/$failoverId' })
  const { data: failover, error } = useQuery({
    ...api.siteFailovers.get.queryOptions({ input: { id: failoverId } }),
    refetchInterval: (query) => (query.state.data?.state === 'running' ? 2000 : 10_000),
  })
  const now = useNow(1000)
  if (!failover) return error ? <ProblemAlert error={error} /> : <RoutePending />
  const { siteId, siteName, state, plans, startedAt, endedAt, startedBy, stoppedBy } = failover
  const { up, total, troubled, waiting } = progressOf(plans)
  const elapsed = ((endedAt === null ? now : Date.parse(endedAt)) - Date.parse(startedAt)) / 1000
  const uncovered = uncoveredWords({ uncovered: failover.uncovered, unprotected: 0 })
  return (
    <>
      <PageHeader
        title={`Failover of the site ${siteName}`}
        badges={
          <StatusMark tone={state === 'running' ? 'busy' : troubled > 0 ? 'at-risk' : 'good'}>
            {state === 'running' ? 'Going on' : 'Over'}
          </StatusMark>
        }
        note={
          <>
            <LinkAnchor to="/sites/$siteId" params={{ siteId }} underline="always">
              {siteName}
            </LinkAnchor>{' '}
            · started <When at={startedAt} /> by {startedBy}
            {stoppedBy !== null && ` · no more plans begin: ${stoppedBy} has stopped the rest`}
          </>
        }
        actions={
          <>
            <LinkButton to="/wall/$layout" params={{ layout: 'incident' }} variant="default">
              On the wall
            </LinkButton>
            <SiteFailoverActions failover={failover} />
          </>
        }
      />
      <Stack gap="md">
        <QuestionsAtSite siteId={siteId} isOver={state !== 'running'} />
        <Panel aria-label="In numbers">
          <SimpleGrid cols={{ base: 2, sm: 4 }} spacing="md">
            <Stat
              label="Since the start"
              value={
                <Text span inherit className="number" role="timer" aria-label="Time since the start">
                  {clockText(Math.max(0, elapsed))}
                </Text>
              }
            />
            <Stat label="Plans up" value={`${up} of ${total}`} note={`${failover.atOnce} at a time`} />
            <Stat
              label="Waiting for people"
              value={waiting}
              ink={waiting > 0 ? 'var(--at-risk)' : 'var(--ink)'}
              note={waiting > 0 ? 'answer above, or in the run' : 'nobody is asked anything'}
            />
            <Stat
              label="Stopped or refused"
              value={troubled}
              ink={troubled > 0 ? 'var(--bad)' : 'var(--ink)'}
              note={troubled > 0 ? 'the others go on' : ''}
            />
          </SimpleGrid>
        </Panel>
        <Panel title="Plans, the highest priority first" flush>
          <SitePlanTable plans={plans} />
        </Panel>
        {uncovered.length > 0 && (
          <Alert color="yellow" variant="light" title="What no plan brings back">
            {uncovered.map((line) => (
              <Text size="sm" key={line}>
                {line}
              </Text>
            ))}
            <LinkAnchor to="/machines" search={{ siteId }} underline="always">
              Machines of {siteName}
            </LinkAnchor>
          </Alert>
        )}
      </Stack>
    </>
  )
}

/** What the failovers of the site's machines ask: of hundreds, most ask the same. */
function QuestionsAtSite({ siteId, isOver }: { readonly siteId: string; readonly isOver: boolean }) {
  const { data: protections } = useQuery(
    api.protections.list.queryOptions({ input: { sourceSiteId: siteId, limit: 500 } }),
  )
  const { data: waiting } = useQuery({
    ...api.jobs.list.queryOptions({
      input: { state: 'waiting', kind: 'unplanned-failover', limit: 500 },
    }),
    refetchInterval: isOver ? 10_000 : 2000,
  })
  const ofSite = new Set(protections?.items.map(({ id }) => id))
  return <JobQuestions jobs={waiting?.items.filter(({ subjectId }) => ofSite.has(subjectId)) ?? []} />
}
