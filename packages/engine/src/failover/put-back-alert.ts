// A failover that stopped early and was put back leaves everything as it was, and a machine that may not come up when it has to.
import type { ProtectionId } from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { raiseAlert, resolveAlert } from '../events/report.ts'
import type { JobFailure } from '../jobs/job-scope.ts'

/** Open until a failover or a test of the machine has succeeded. */
export const PUT_BACK_ALERT = 'failover/put-back'

/** `because` null: the job was lost. Repeatable, but for a second event. */
export async function tellPutBack(
  { parts }: EngineContext,
  id: ProtectionId,
  because: JobFailure | null,
): Promise<void> {
  // Whoever has called it off knows.
  if (because?.report.kind === 'aborted') return
  const { name } = await loadProtection(parts, id)
  const subject = { id, name }
  const { message, remedy } = because?.report ?? {
    message: 'its job was lost',
    remedy: 'Look at the events of that time, and start it again when you are ready.',
  }
  // One anew for each: what was acknowledged was another one.
  await resolveAlert(parts, PUT_BACK_ALERT, subject)
  await raiseAlert(parts, {
    severity: 'warning',
    code: PUT_BACK_ALERT,
    message: `The failover of ${name} was put back: ${message}`,
    remedy: `${remedy} This ends with the next failover or test of ${name} that succeeds.`,
    subject,
  })
}
