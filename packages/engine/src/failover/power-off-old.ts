// After a failover the old machine is on again, or was started by somebody: two of it live. The one that does not serve any more is
// switched off, as a job: whatever else works on the machine must not have its source pulled from under it.
import { Refusal } from '@understudy/base/errors'
import type { MachineRef, PowerState } from '@understudy/domain/machines/machine'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import { resolveAlert } from '../events/report.ts'
import type { JobBody, TaskScope } from '../jobs/job-scope.ts'
import type { ProtectionRequest } from '../requests.ts'
import { withinSeconds } from '../sites/bounded-call.ts'
import { sourceOf } from '../sites/platform-of.ts'
import { type SecondLife, secondLifeOf } from '../sites/second-life.ts'
import { tellFailover } from './boot-run.ts'

const TASK = 'Power off the machine that runs twice'

export const powerOffOld = (context: EngineContext): JobBody<ProtectionRequest> => ({
  tasks: () => [TASK],
  async run(job, { protectionId }) {
    await job.task(TASK, (task) => powerOff(context, protectionId, task), { retries: 3 })
  },
})

/** Repeatable: one that is off is left as it is. */
async function powerOff(context: EngineContext, id: ProtectionId, task: TaskScope): Promise<void> {
  const { parts } = context
  const protection = await loadProtection(parts, id)
  const life = await loadLife(parts, protection)
  await refuseAlone(parts, protection, life, task.signal)
  const old = await sourceOf(parts, life.old.siteId)
  if ((await powerOf(parts, life.old, task.signal)) === 'off') task.note('It was off already')
  else {
    // Again, and last: a process that stood still must not switch off what somebody has made the one that counts meanwhile.
    const now = await loadLife(parts, await loadProtection(parts, id))
    if (now.old.ref !== life.old.ref || now.old.siteId !== life.old.siteId) throw noSecondLife(protection)
    const { evidence } = await old.powerOff(life.old.ref, task.signal)
    task.note(evidence)
  }
  await resolveAlert(parts, life.alert, protection)
  await tellFailover(context, protection, {
    severity: 'warning',
    code: 'failover/old-powered-off',
    message: `The old machine of ${protection.name} ran beside the one that serves, and was switched off; what it has written since stays on its disks until they are overwritten`,
  })
}

async function loadLife(parts: EngineParts, protection: Protection): Promise<SecondLife> {
  const life = await secondLifeOf(parts, protection)
  if (life) return life
  throw noSecondLife(protection)
}

const noSecondLife = ({ name }: Pick<Protection, 'name'>): Refusal =>
  new Refusal({
    code: 'failover/no-second-life',
    message: `Nothing of ${name} runs that another machine has taken over from`,
    remedy: 'Look at the machine: it may have been seen to meanwhile.',
  })

/** Without the other one running, the old machine is all that is left. */
async function refuseAlone(
  parts: EngineParts,
  { name }: Protection,
  { serving }: SecondLife,
  signal: AbortSignal,
): Promise<void> {
  const power = await powerOf(parts, serving, signal)
  if (power === 'running') return
  throw new Refusal({
    code: 'failover/copy-not-running',
    message: `The machine that serves as ${name} is ${power}: to switch the old one off would leave none`,
    remedy: 'Start the replica first, or roll back to the old machine.',
  })
}

type Place = { readonly siteId: SiteId; readonly ref: MachineRef }

const powerOf = (parts: EngineParts, { siteId, ref }: Place, signal: AbortSignal): Promise<PowerState> =>
  withinSeconds(parts, { seconds: parts.config.deadSiteSeconds, signal }, async (within) =>
    (await sourceOf(parts, siteId)).powerState(ref, within),
  )
