import { Grid, Skeleton, Stack, Text } from '@mantine/core'
import { IconDeviceTv, IconShieldPlus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { roleOf } from '@understudy/contract/roles'
import { api } from '../api/client.ts'
import { useWhyRefused } from '../api/session.ts'
import { AlertLine } from '../features/alerts/AlertLine.tsx'
import { JobProgress } from '../features/jobs/JobProgress.tsx'
import { JobQuestions } from '../features/jobs/JobQuestions.tsx'
import { FirstSteps } from '../features/lab/FirstSteps.tsx'
import { HealthTiles } from '../features/overview/HealthTiles.tsx'
import { IfSiteDied } from '../features/overview/IfSiteDied.tsx'
import { SiteMap } from '../features/overview/SiteMap.tsx'
import { WorstLag } from '../features/overview/WorstLag.tsx'
import { PlanOutlook } from '../features/plan-runs/PlanOutlook.tsx'
import { RunningSites } from '../features/plan-runs/RunningSites.tsx'
import { WaitingRuns } from '../features/plan-runs/WaitingRuns.tsx'
import { lagCounts } from '../features/protections/replication-words.ts'
import { LinkButton } from '../ui/LinkButton.tsx'
import { PageHeader } from '../ui/PageHeader.tsx'
import { Panel } from '../ui/Panel.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { AlertSubject } from './AlertSubject.tsx'

export function OverviewPage() {
  const refused = useWhyRefused()(roleOf.protections.create)
  const { data: overview, error } = useQuery(api.overview.queryOptions())
  const { data: plans } = useQuery(api.plans.list.queryOptions())
  const { data: protections } = useQuery(api.protections.list.queryOptions({ input: { limit: 500 } }))
  const { data: failovers } = useQuery(api.siteFailovers.list.queryOptions({ input: { limit: 20 } }))
  const protectionOf = (protectionId: string) => protections?.items.find(({ id }) => id === protectionId)
  const machineOf = (protectionId: string): string | null => protectionOf(protectionId)?.machineId ?? null
  // One that runs from its replica has no lag that means anything.
  const counts = (protectionId: string): boolean => {
    const protection = protectionOf(protectionId)
    return protection === undefined || lagCounts[protection.state]
  }

  if (!overview)
    return (
      <>
        <PageHeader title="Overview" />
        {error ? <ProblemAlert error={error} /> : <Skeleton h={320} />}
      </>
    )
  const jobs = [...overview.waiting, ...overview.runningJobs]
  return (
    <>
      <PageHeader
        title="Overview"
        actions={
          <>
            <LinkButton to="/wall" search={{}} variant="default" leftSection={<IconDeviceTv size={16} />}>
              Wall display
            </LinkButton>
            <LinkButton to="/protect" reason={refused} leftSection={<IconShieldPlus size={16} />}>
              Protect machines
            </LinkButton>
          </>
        }
      />
      <Stack gap="md">
        <JobQuestions jobs={overview.waiting} />
        {plans && <WaitingRuns plans={plans.items} />}
        {failovers && <RunningSites sites={overview.sites} failovers={failovers.items} />}
        {overview.counts.protections === 0 && <FirstSteps />}
        {overview.counts.sites > 0 && <HealthTiles overview={overview} />}
        <Grid gap="md">
          {overview.sites.length > 0 && (
            <Grid.Col span={{ base: 12, lg: 7 }}>
              <Stack gap="md">
                <Panel title="Sites and links" flush>
                  <SiteMap overview={overview} />
                </Panel>
                <Panel title="The bad day" flush>
                  <IfSiteDied overview={overview} />
                </Panel>
                {plans && overview.counts.protections > 0 && (
                  <Panel title="Recovery plans" flush>
                    <PlanOutlook plans={plans.items} />
                  </Panel>
                )}
              </Stack>
            </Grid.Col>
          )}
          <Grid.Col span={{ base: 12, lg: overview.sites.length > 0 ? 5 : 12 }}>
            <Stack gap="md">
              <Panel title="Alerts" flush actions={<SeeAll to="/alerts" />}>
                {overview.alerts.length === 0 ? (
                  <Quiet>No open alerts.</Quiet>
                ) : (
                  overview.alerts
                    .slice(0, 6)
                    .map((alert) => (
                      <AlertLine key={alert.id} alert={alert} about={<AlertSubject alert={alert} />} />
                    ))
                )}
              </Panel>
              <Panel title="Running jobs" flush actions={<SeeAll to="/jobs" />}>
                {jobs.length === 0 ? (
                  <Quiet>Nothing is running.</Quiet>
                ) : (
                  jobs.map((job) => (
                    <Stack
                      key={job.id}
                      gap={4}
                      px={14}
                      py={10}
                      style={{ borderTop: '1px solid var(--line)' }}
                    >
                      <Link className="plain" to="/jobs/$jobId" params={{ jobId: job.id }}>
                        <Text size="sm" fw={500} span>
                          {job.title}
                        </Text>
                      </Link>
                      <JobProgress job={job} />
                    </Stack>
                  ))
                )}
              </Panel>
              {overview.counts.protections > 0 && (
                <Panel title="Lag against target">
                  <WorstLag
                    rows={overview.worstLag.filter((row) => counts(row.protectionId))}
                    machineOf={machineOf}
                  />
                </Panel>
              )}
            </Stack>
          </Grid.Col>
        </Grid>
      </Stack>
    </>
  )
}

const SeeAll = ({ to }: { readonly to: '/alerts' | '/jobs' }) => (
  <LinkButton to={to} variant="subtle" size="compact-xs">
    See all
  </LinkButton>
)

const Quiet = ({ children }: { readonly children: string }) => (
  <Text size="sm" c="var(--ink-quiet)" p={14}>
    {children}
  </Text>
)
