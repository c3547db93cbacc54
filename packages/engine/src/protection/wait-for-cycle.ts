// A job that waits for the mover: the copying itself is the mover's, wherever it runs.
import { Refusal } from '@understudy/base/errors'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { EngineContext } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import type { TaskScope } from '../jobs/job-scope.ts'
import { OUTAGE_ALERT } from '../replication/cycle-slot.ts'

const LOOK_MILLISECONDS = 1000

/**
 * Resolves when the protection is protected, or when somebody has decided otherwise (paused, failed over, ended), which is
 * noted. Refuses when replication broke down. Not bounded in time by itself: a first copy takes what it takes, the job can
 * be cancelled, and both an alert and the task tell what holds it up.
 */
export async function waitForCycle(context: EngineContext, id: ProtectionId, task: TaskScope): Promise<void> {
  const { parts, mover } = context
  let told: string | null = null
  for (;;) {
    task.signal.throwIfAborted()
    const protection = await parts.stores.protections.find(id)
    if (!protection) return task.note('The protection was ended')
    const measurement = mover.measurement(id)
    if (measurement) task.progress(measurement)
    switch (protection.state) {
      case 'enabling':
      case 'seeding':
      case 'resyncing':
        told = await tellTrouble(parts, { id, task, told })
        await parts.sleep(LOOK_MILLISECONDS, task.signal)
        continue
      case 'broken':
        throw new Refusal({
          code: 'protection/broken',
          message: protection.stateNote ?? 'Replication stopped',
          remedy: 'Do what the protection says, then resynchronise.',
        })
      case 'protected':
        return
      case 'awaitingSeed':
      case 'paused':
      case 'failingOver':
      case 'failedOver':
      case 'rollingBack':
      case 'committing':
      case 'committed':
      case 'reprotecting':
      case 'ending':
      case 'gone':
        return task.note(`Not waited for any longer: the protection is ${protection.state}`)
    }
  }
}

/** The mover may be another process: what it cannot do is read from the alert that it has raised. Returns what is shown now. */
async function tellTrouble(
  parts: EngineParts,
  { id, task, told }: { readonly id: ProtectionId; readonly task: TaskScope; readonly told: string | null },
): Promise<string | null> {
  const alert = await parts.stores.alerts.findOpen(OUTAGE_ALERT, id)
  const trouble = alert && `${alert.message}. ${alert.remedy}`
  if (trouble !== told) await task.heldUpBy(trouble)
  return trouble
}
