// A test: any point, in an isolated network, while replication goes on. It stays up until somebody cleans it up.
import { Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import { type Run, type RunId, type TestState, testLife } from '@understudy/domain/failover/failover'
import { testedMachine } from '@understudy/domain/recovery-plans/tested-machine'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { resolveAlert } from '../events/report.ts'
import { type JobBody, JobFailure, type JobScope } from '../jobs/job-scope.ts'
import { withReplica } from '../recovery-points/with-replica.ts'
import type { ProtectionRequest, TestFailoverRequest } from '../requests.ts'
import {
  bootRun,
  closeRun,
  destroyRun,
  openRun,
  planRun,
  type RunPlan,
  tellFailover,
  waitForAnswer,
} from './boot-run.ts'
import { keepScreenshot } from './keep-screenshot.ts'
import { PUT_BACK_ALERT } from './put-back-alert.ts'

const tasks = [
  'Check the target',
  'Hold the recovery point',
  'Boot in the isolated network',
  'Wait for the guest to answer',
]

export const testFailover = (context: EngineContext): JobBody<TestFailoverRequest> => ({
  tasks: () => tasks,
  async run(job, request) {
    const { allowOpenNetworks = false } = request
    const plan = await job.task('Check the target', async ({ signal }) => {
      const protection = await loadProtection(context.parts, request.protectionId)
      await refuseSecondTest(context, request)
      return await planRun(context, job, protection, { kind: 'test', allowOpenNetworks, signal })
    })
    try {
      await holdAndBoot(context, job, request, plan)
    } catch (error) {
      if (!(error instanceof JobFailure)) throw error
      await job.undo('Put back', () => stopEarly(context, plan.runId, error))
      throw error
    }
    await judge(context, job, request, plan)
  },
})

async function refuseSecondTest(context: EngineContext, { protectionId }: ProtectionRequest): Promise<void> {
  const active = await context.parts.stores.runs.active(protectionId)
  if (active.some(({ kind }) => kind === 'test')) throw testIsUp()
}

const testIsUp = (): Refusal =>
  new Refusal({
    code: 'failover/test-is-up',
    message: 'A test failover is up already',
    remedy: 'Clean it up first.',
  })

/**
 * Of two that passed the check at the same moment, each has written its run down before it looks: at least one sees the
 * other and gives way. Both may; then neither is up, which is better than two.
 */
async function giveWayToOther(context: EngineContext, run: Run): Promise<void> {
  const active = await context.parts.stores.runs.active(run.protectionId)
  if (!active.some(({ kind, id }) => kind === 'test' && id !== run.id)) return
  const refusal = testIsUp()
  await closeRun(context, run, { testState: 'gone', failure: refusal.message })
  throw refusal
}

async function holdAndBoot(
  context: EngineContext,
  job: JobScope,
  request: TestFailoverRequest,
  plan: RunPlan,
): Promise<void> {
  await job.task('Hold the recovery point', async (task) => {
    const protection = await loadProtection(context.parts, request.protectionId)
    const run = await openRun(context, protection, plan, request.choice)
    await giveWayToOther(context, run)
    task.note(new Date(run.pointInstant).toISOString())
  })
  await job.task('Boot in the isolated network', async (task) => {
    const protection = await loadProtection(context.parts, request.protectionId)
    await bootRun(context, protection, plan, task)
  })
}

/** A failed test keeps what it made until it is cleaned up: that is the evidence. A cancelled one leaves nothing. */
async function stopEarly(context: EngineContext, runId: RunId, failure: JobFailure): Promise<void> {
  const run = await context.parts.stores.runs.find(runId)
  if (!run || run.over) return
  if (failure.report.kind === 'aborted') {
    await moveTest(context, runId, 'cleaningUp')
    await destroyRun(context, runId, { testState: 'gone' })
    return
  }
  await moveTest(context, runId, 'failed', failure.message)
  // One that did not even boot has proven as much as one that did not answer.
  const { stores, clock, live } = context.parts
  await stores.protections.updateSummary(run.protectionId, { lastTestAt: clock.now(), lastTestPassed: false })
  live.changed('protections', run.protectionId)
}

async function judge(
  context: EngineContext,
  job: JobScope,
  request: TestFailoverRequest,
  plan: RunPlan,
): Promise<void> {
  const { parts } = context
  job.passPointOfNoReturn()
  await job.task('Wait for the guest to answer', async (task) => {
    const timeoutSeconds = request.answerTimeoutSeconds ?? parts.config.answerTimeoutSeconds
    const { answered, note } = await waitForAnswer(context, plan, { timeoutSeconds, task, job })
    await keepScreenshot(context, plan.runId, task)
    await moveTest(context, plan.runId, 'running', answered ? null : note)
    await recordVerdict(context, request, { plan, answered, note })
  })
}

async function recordVerdict(
  context: EngineContext,
  request: TestFailoverRequest,
  { plan, answered, note }: { readonly plan: RunPlan; readonly answered: boolean; readonly note: string },
): Promise<void> {
  const { parts } = context
  const protection = await loadProtection(parts, request.protectionId)
  const run = present(await parts.stores.runs.find(plan.runId), 'a test that runs is written down')
  const at = parts.clock.now()
  if (answered)
    await withReplica(parts, { siteId: run.targetSiteId, replicaId: run.replicaId }, (replica) =>
      replica.annotate(run.pointId, { verifiedAt: at }),
    )
  await parts.stores.protections.updateSummary(protection.id, {
    lastTestAt: at,
    lastTestPassed: answered,
    testedAs: testedMachine(protection),
  })
  parts.live.changed('protections', protection.id)
  if (answered) await resolveAlert(parts, PUT_BACK_ALERT, protection)
  await tellFailover(context, protection, {
    severity: answered ? 'info' : 'warning',
    code: answered ? 'failover/test-passed' : 'failover/test-no-answer',
    message: answered
      ? `The test failover of ${protection.name} booted and answered: ${note}`
      : `The test failover of ${protection.name} booted but did not answer in time: ${note}`,
    facts: { runId: run.id, pointId: run.pointId },
  })
}

export const cleanUpTest = (context: EngineContext): JobBody<ProtectionRequest> => ({
  tasks: () => ['Remove the test machine'],
  async run(job, request) {
    job.passPointOfNoReturn()
    await job.task('Remove the test machine', async (task) => {
      const active = await context.parts.stores.runs.active(request.protectionId)
      const test = active.find(({ kind }) => kind === 'test')
      if (!test) return task.note('Nothing was left to remove')
      await moveTest(context, test.id, 'cleaningUp')
      try {
        await destroyRun(context, test.id, { testState: 'gone' })
      } catch (error) {
        if (!task.signal.aborted) await moveTest(context, test.id, 'failed', String(error))
        throw error
      }
    })
  },
})

/** Repeatable: a test that is in that state already stays in it. */
async function moveTest(
  context: EngineContext,
  runId: RunId,
  to: TestState,
  failure: string | null = null,
): Promise<void> {
  const { runs } = context.parts.stores
  const run = await runs.find(runId)
  if (!run || run.testState === null || run.testState === to) return
  await runs.update(runId, { testState: testLife.move(run.testState, to), failure })
  context.parts.live.changed('runs', runId)
}
