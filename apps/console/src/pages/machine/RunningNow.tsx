import { useQuery } from '@tanstack/react-query'
import type { Job } from '@understudy/contract/job'
import type { Protection, Run } from '@understudy/contract/protection'
import type { RecoveryPoint } from '@understudy/contract/recovery-point'
import type { ReactNode } from 'react'
import { api } from '../../api/client.ts'
import { useRooms } from '../../api/live.ts'
import {
  type CopySight,
  mayBeKept,
  sightOfCopy,
  titleOfDecision,
} from '../../features/failover/copy-sight.ts'
import { DecisionButtons } from '../../features/failover/DecisionButtons.tsx'
import { RunningFailover } from '../../features/failover/RunningFailover.tsx'
import { JobProgress } from '../../features/jobs/JobProgress.tsx'
import { JobQuestion } from '../../features/jobs/JobQuestion.tsx'
import { TaskList } from '../../features/jobs/TaskList.tsx'
import { wordsOfAction } from '../../features/protections/state-words.ts'
import { FailureAlert } from '../../ui/FailureAlert.tsx'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { useCopy } from './use-copy.ts'

type RunningNowProps = {
  readonly protection: Protection
  readonly point: RecoveryPoint | null
  readonly flow: ReactNode
}

const failoverKinds = 'planned-failover,unplanned-failover,fail-back,change-point,roll-back'
const startKinds: readonly Job['kind'][] = [
  'planned-failover',
  'unplanned-failover',
  'fail-back',
  'test-failover',
]
const testKinds = 'test-failover,clean-up-test'
const inFailover: readonly Protection['state'][] = ['failingOver', 'failedOver', 'committing', 'rollingBack']

/** Whatever goes on with this machine at the moment: a failover, a test that is up, or any other job. */
export function RunningNow({ protection, point, flow }: RunningNowProps) {
  const failing = protection.failover !== null || inFailover.includes(protection.state)
  const testing = protection.test !== null
  const busy = useJob(protection.busyJobId)
  const failover = useNewest(protection.id, failoverKinds, failing)
  const test = useNewest(protection.id, testKinds, testing)
  const { data: policy } = useQuery({
    ...api.policies.get.queryOptions({ input: { id: protection.policyId } }),
    enabled: failing,
  })
  const sight = useSight(protection)
  const other =
    busy && !(failing && failoverKinds.includes(busy.kind)) && !(testing && testKinds.includes(busy.kind))
  return (
    <>
      {failing && (
        <RunningFailover
          protection={protection}
          run={protection.failover}
          clickedAt={clickOf(failover, protection.failover)}
          waits={failover?.state === 'waiting'}
          atDeadline={policy?.uncommittedAction ?? null}
          title={
            protection.state === 'failedOver'
              ? titleOfDecision(protection, sight)
              : `${failover?.kind === 'fail-back' ? 'Fail back' : 'Failover'} of ${protection.name} to ${protection.target.name}`
          }
          steps={failover && <Steps job={failover} />}
          actions={
            protection.state === 'failedOver' && (
              <DecisionButtons
                protection={protection}
                actions={['commit', 'change-point', 'roll-back']}
                leads={mayBeKept(sight)}
                words={wordsOfAction}
                point={point}
                flow={flow}
              />
            )
          }
        />
      )}
      {testing && protection.test && (
        <RunningFailover
          protection={protection}
          run={protection.test}
          clickedAt={clickOf(test, protection.test)}
          waits={test?.state === 'waiting'}
          atDeadline={null}
          title={`Test of ${protection.name} at ${protection.target.name}`}
          steps={test && <Steps job={test} />}
          actions={
            <DecisionButtons
              protection={protection}
              actions={['clean-up-test']}
              words={wordsOfAction}
              point={null}
              flow={flow}
            />
          }
        />
      )}
      {other && (
        <Panel title={busy.title} actions={<ToJob job={busy} />}>
          <JobQuestion job={busy} />
          <JobProgress job={busy} />
        </Panel>
      )}
    </>
  )
}

function useSight(protection: Protection): CopySight {
  const wanted = protection.state === 'failedOver'
  const copy = useCopy(protection, wanted)
  const { data: site } = useQuery({
    ...api.sites.get.queryOptions({ input: { id: protection.target.id } }),
    enabled: wanted,
  })
  return sightOfCopy({ run: protection.failover, site, copy })
}

/** The click is when the job was made; a run begins only when its machine boots. */
function clickOf(job: Job | undefined, run: Run | null): string {
  const begun = run?.startedAt ?? new Date().toISOString()
  return job && startKinds.includes(job.kind) && job.createdAt < begun ? job.createdAt : begun
}

function useJob(id: string | null): Job | undefined {
  useRooms(id === null ? [] : [`job:${id}`])
  const { data } = useQuery({
    ...api.jobs.get.queryOptions({ input: { id: id ?? '' } }),
    enabled: id !== null,
    refetchInterval: 2000,
  })
  return id === null ? undefined : data
}

/** The newest job of these kinds: its steps belong to the run that is shown. */
function useNewest(subjectId: string, kind: string, enabled: boolean): Job | undefined {
  const { data } = useQuery({
    ...api.jobs.list.queryOptions({ input: { subjectId, kind, limit: 1 } }),
    enabled,
    refetchInterval: 2000,
  })
  return enabled ? data?.items[0] : undefined
}

const Steps = ({ job }: { readonly job: Job }) => (
  <div>
    <JobQuestion job={job} />
    <FailureAlert failure={job.failure} />
    <TaskList job={job} />
    <ToJob job={job} />
  </div>
)

const ToJob = ({ job }: { readonly job: Job }) => (
  <LinkAnchor to="/jobs/$jobId" params={{ jobId: job.id }} size="xs">
    Open the job
  </LinkAnchor>
)
