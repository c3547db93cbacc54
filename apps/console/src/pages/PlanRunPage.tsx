import { Stack } from '@mantine/core'
import { useQueries, useQuery } from '@tanstack/react-query'
import { useNavigate, useParams, useSearch } from '@tanstack/react-router'
import type { PlanRun } from '@understudy/contract/recovery-plan'
import { useMemo } from 'react'
import { api } from '../api/client.ts'
import { JobQuestion } from '../features/jobs/JobQuestion.tsx'
import { AlikeJobQuestions } from '../features/jobs/JobQuestions.tsx'
import { GanttPanel } from '../features/plan-runs/GanttPanel.tsx'
import type { Span } from '../features/plan-runs/gantt-layout.ts'
import { PlanRunList } from '../features/plan-runs/PlanRunList.tsx'
import { RunActions } from '../features/plan-runs/RunActions.tsx'
import { RunHeader } from '../features/plan-runs/RunHeader.tsx'
import { RunningTwice } from '../features/plan-runs/RunningTwice.tsx'
import { flowOfRun } from '../features/plan-runs/run-flow.ts'
import { isActive, statusOfRun, titleOfRun } from '../features/plan-runs/run-words.ts'
import { StepDrawer } from '../features/plan-runs/StepDrawer.tsx'
import { usualSpans } from '../features/plan-runs/usual-spans.ts'
import { WaitingBanner } from '../features/plan-runs/WaitingBanner.tsx'
import { EvidencePanel } from '../features/plan-tests/EvidencePanel.tsx'
import { LinkAnchor } from '../ui/LinkAnchor.tsx'
import { PageHeader } from '../ui/PageHeader.tsx'
import { Panel } from '../ui/Panel.tsx'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RoutePending } from '../ui/RoutePending.tsx'
import { StatusMark } from '../ui/StatusMark.tsx'
import { When } from '../ui/When.tsx'

/** A running or finished run of a plan. */
export function PlanRunPage() {
  const { runId } = useParams({ from: '/signed-in/plans/$planId/runs/$runId' })
  const { item = null, rows = 'readable' } = useSearch({ from: '/signed-in/plans/$planId/runs/$runId' })
  const navigate = useNavigate({ from: '/plans/$planId/runs/$runId' })
  const { data: run, error } = useQuery({
    ...api.planRuns.get.queryOptions({ input: { id: runId } }),
    // What a job is at, and what it asks, is not worth a hint of the run's own.
    refetchInterval: (query) => (query.state.data && isActive(query.state.data) ? 2000 : false),
  })
  const { data: former } = useQuery({
    ...api.planRuns.get.queryOptions({ input: { id: run?.followsUp ?? '' } }),
    enabled: run !== undefined && run.followsUp !== null,
  })
  const { data: protections } = useQuery(api.protections.list.queryOptions({ input: { limit: 500 } }))
  const usual = useUsualSpans(run)
  if (!run) return error ? <ProblemAlert error={error} /> : <RoutePending />
  const show = (next: { item?: string | undefined; rows?: 'all' | undefined }): void =>
    void navigate({ search: (before) => ({ ...before, ...next }), replace: true })
  const status = statusOfRun(run)
  const opened = run.activities.find(({ itemId }) => itemId === item)
  return (
    <>
      <PageHeader
        title={titleOfRun(run)}
        badges={<StatusMark tone={status.tone}>{status.words}</StatusMark>}
        note={
          <>
            <LinkAnchor to="/plans/$planId/runs" params={{ planId: run.planId }} underline="always">
              All runs of {run.planName}
            </LinkAnchor>
            {' · '}version {run.version}
            {run.planRevision > 1 ? `, edited ${run.planRevision - 1} times during the run` : ''}
            {' · '}started <When at={run.startedAt} /> by {run.startedBy}
            {former && (
              <>
                {' · after the '}
                <LinkAnchor
                  to="/plans/$planId/runs/$runId"
                  params={{ planId: former.planId, runId: former.id }}
                  underline="always"
                >
                  {titleOfRun(former).toLowerCase()}
                </LinkAnchor>
              </>
            )}
          </>
        }
        actions={<RunActions run={run} />}
      />
      <Stack gap="md">
        <AskedAlikeByJobs run={run} />
        <WaitingBanner
          run={run}
          jobQuestion={(jobId) => <AskedByJob jobId={jobId} />}
          onOpen={(itemId) => show({ item: itemId })}
        />
        <RunningTwice planId={run.planId} machines={run.runningTwice} />
        <RunHeader run={run} flow={flowOfRun(run, protections?.items ?? [])} />
        <GanttPanel
          run={run}
          usual={usual}
          opened={item}
          onOpen={(itemId) => show({ item: itemId })}
          rows={rows}
          onRows={(next) => show({ rows: next === 'all' ? 'all' : undefined })}
        />
        {!isActive(run) && run.followsUp === null && <EvidencePanel runId={run.id} />}
        {(run.followUps.length > 0 || (!isActive(run) && run.followsUp === null)) && (
          <Panel title="What followed" flush>
            <PlanRunList
              runs={run.followUps}
              empty="Nothing yet. What can be done with the machines of this run stands at the top of the page."
            />
          </Panel>
        )}
      </Stack>
      {opened && (
        <StepDrawer
          run={run}
          activity={opened}
          machineLink={(protectionId) => <MachineLink protectionId={protectionId} />}
          onClose={() => show({ item: undefined })}
        />
      )}
    </>
  )
}

function useUsualSpans(run: Parameters<typeof usualSpans>[0] | undefined): ReadonlyMap<string, Span> {
  const input = run && { plan: run.plan, kind: run.kind as 'test' }
  const { data } = useQuery({
    ...api.plans.check.queryOptions({ input: input ?? ({} as never) }),
    // Of a follow-up no earlier run is comparable. Once is enough: the past does not change while it is looked at.
    enabled: run !== undefined && run.followsUp === null,
    staleTime: Number.POSITIVE_INFINITY,
  })
  return useMemo(() => usualSpans(run, data?.timetable ?? null), [run, data])
}

const askedByJob = (id: string) => ({
  ...api.jobs.get.queryOptions({ input: { id } }),
  refetchInterval: 2000,
})

function AskedAlikeByJobs({ run }: { readonly run: PlanRun }) {
  const ids = run.activities.flatMap(({ asks, jobId }) =>
    asks?.kind === 'job' && jobId !== null ? [jobId] : [],
  )
  const jobs = useQueries({ queries: ids.map(askedByJob) }).flatMap(({ data }) => data ?? [])
  return <AlikeJobQuestions jobs={jobs} />
}

function AskedByJob({ jobId }: { readonly jobId: string }) {
  const { data: job, error } = useQuery(askedByJob(jobId))
  if (!job) return error ? <ProblemAlert error={error} /> : null
  return <JobQuestion job={job} />
}

function MachineLink({ protectionId }: { readonly protectionId: string }) {
  const { data } = useQuery({
    ...api.protections.get.queryOptions({ input: { id: protectionId } }),
    retry: false,
  })
  if (!data) return 'no longer protected'
  return (
    <LinkAnchor to="/machines/$machineId" params={{ machineId: data.machineId }}>
      {data.name} and its protection
    </LinkAnchor>
  )
}
