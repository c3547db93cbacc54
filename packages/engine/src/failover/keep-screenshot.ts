// What the guest showed on its screen when it answered, or when nobody waited any longer.
import { present } from '@understudy/base/invariant'
import type { RunId } from '@understudy/domain/failover/failover'
import type { EngineContext } from '../engine-context.ts'
import type { TaskScope } from '../jobs/job-scope.ts'
import { targetOf } from '../sites/platform-of.ts'

/** Evidence, not a condition: a screen that cannot be read is said and passed over. */
export async function keepScreenshot(context: EngineContext, runId: RunId, task: TaskScope): Promise<void> {
  const { parts } = context
  const run = present(await parts.stores.runs.find(runId), 'a run that has booted is written down')
  try {
    const target = await targetOf(parts, run.targetSiteId)
    await parts.stores.runs.saveScreenshot(runId, await target.screenshot(runId, task.signal))
    parts.live.changed('runs', runId)
  } catch (error) {
    if (task.signal.aborted) throw error
    parts.log('warn', 'no screenshot of a run', { run: runId, error })
  }
}
