import { toIso, toIsoOrNull } from '@understudy/base/instant'
import type { Job as ShownJob } from '@understudy/contract/job'
import { type Job, type JobKind, neverRetriedKinds } from '@understudy/domain/jobs/job'

const titleOf: Record<JobKind, string> = {
  protect: 'Protect',
  'end-protection': 'End protection of',
  resync: 'Resynchronise',
  'export-seed': 'Export the first copy of',
  'import-seed': 'Import the first copy of',
  'test-failover': 'Test failover of',
  'clean-up-test': 'Clean up the test of',
  'planned-failover': 'Planned failover of',
  'unplanned-failover': 'Unplanned failover of',
  'change-point': 'Change the point of',
  'start-replica': 'Start the replica of',
  'power-off-old': 'Power off the old machine of',
  'roll-back': 'Roll back',
  commit: 'Commit the failover of',
  reprotect: 'Reprotect',
  'fail-back': 'Fail back',
  'tidy-up': 'Tidy up after a failover of',
  'create-lab': 'Create',
  scrub: 'Check the replica of',
  'plan-step': 'Step',
}

/** A job as the API shows it. */
export function showJob(job: Job): ShownJob {
  return {
    id: job.id,
    kind: job.kind,
    title: `${titleOf[job.kind]} ${job.subjectName}`,
    state: job.state,
    subjectId: job.subjectId,
    subjectName: job.subjectName,
    tasks: job.tasks.map((task) => ({
      ...task,
      startedAt: toIsoOrNull(task.startedAt),
      endedAt: toIsoOrNull(task.endedAt),
    })),
    failure: job.failure,
    question: job.question && {
      ...job.question,
      answers: job.question.answers.map((answer) => ({ ...answer })),
    },
    canCancel: job.state === 'queued' || job.state === 'running' || job.state === 'waiting',
    canRetry: job.state === 'failed' && !neverRetriedKinds.includes(job.kind),
    createdAt: toIso(job.createdAt),
    endedAt: toIsoOrNull(job.endedAt),
    startedBy: job.startedBy,
  }
}
