// The row of an activity when an attempt at it begins: the first one, or one that somebody wished for.
import type { Instant } from '@understudy/base/instant'
import type { PlanMachine, PlanStep } from '@understudy/domain/recovery-plans/plan'
import { isStep } from '@understudy/domain/recovery-plans/plan-items'
import type { PlanActivity } from '@understudy/domain/recovery-plans/plan-run'
import { deadlineOf, needsJob } from './waiting-step.ts'

/** Whether a job does it; of the others time or a person decides. Pure. */
export const hasJob = (item: PlanMachine | PlanStep): boolean => !isStep(item) || needsJob(item.action)

/** Nothing of an earlier attempt stays. Pure. */
export const attemptOf = (
  { attempt }: Pick<PlanActivity, 'attempt'>,
  item: PlanMachine | PlanStep,
  { jobId, now }: { readonly jobId: string | null; readonly now: Instant },
) =>
  ({
    state: 'running',
    attempt: attempt + 1,
    jobId,
    bootId: null,
    startedAt: now,
    endedAt: null,
    deadline: isStep(item) ? deadlineOf(item.action, now) : null,
    note: null,
    failure: null,
    output: null,
    answer: null,
  }) as const
