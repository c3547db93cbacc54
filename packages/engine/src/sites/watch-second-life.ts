// Machines that must stay off because another copy of them serves. If somebody started one, there are two of it now.
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { Protection, ProtectionState } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, resolveAlert } from '../events/report.ts'
import { newestBoot } from '../failover/newest-boot.ts'

/**
 * Of the machines at this site, whose inventory was read a moment ago. What another site's inventory said is not asked: it may be
 * older than the failover that switched its machine off.
 */
export async function watchSecondLives(parts: EngineParts, siteId: SiteId): Promise<void> {
  for (const protection of await parts.stores.protections.list()) {
    if (protection.sourceSiteId === siteId) await watchSource(parts, protection)
    if (protection.targetSiteId === siteId) await watchOriginal(parts, protection)
  }
}

/** The former source, after a failover. */
async function watchSource(parts: EngineParts, protection: Protection): Promise<void> {
  const { sourceSiteId, sourceRef, name } = protection
  const twice = runsElsewhere(protection) && (await isOn(parts, sourceSiteId, sourceRef))
  await tell(parts, protection, twice, {
    code: 'failover/two-live-copies',
    message: `${name} runs at its source site although it is failed over`,
    remedy: 'Switch off one of the two at once; what both have written since must be merged by hand.',
  })
}

const runsElsewhere = ({ state }: Protection): boolean =>
  state === 'failedOver' || state === 'committing' || state === 'committed'

/** What ran before the direction turned, whatever the state, unless it was failed back to. */
async function watchOriginal(parts: EngineParts, protection: Protection): Promise<void> {
  const { targetSiteId, originalRef, name } = protection
  const twice =
    originalRef !== null &&
    (await isOn(parts, targetSiteId, originalRef)) &&
    !(await isFailedBackTo(parts, protection, originalRef))
  await tell(parts, protection, twice, {
    code: 'failover/original-runs',
    message: `The original of ${name} runs at the site that ${name} is replicated to`,
    remedy:
      'Switch one of the two off at once. What the original writes is overwritten by the next fail-back; save what you need from it.',
  })
}

/** States in which the machine of a fail-back goes on although its run is over. */
const handedOver: readonly ProtectionState[] = ['committing', 'committed', 'reprotecting', 'ending', 'gone']

async function isFailedBackTo(
  parts: EngineParts,
  { id, state }: Protection,
  originalRef: MachineRef,
): Promise<boolean> {
  const booted = await newestBoot(parts, id)
  return booted?.machineRef === originalRef && (!booted.over || handedOver.includes(state))
}

async function isOn(parts: EngineParts, siteId: SiteId, ref: MachineRef): Promise<boolean> {
  const machine = await parts.stores.machines.findByRef(siteId, ref)
  return machine?.present === true && (machine.power === 'running' || machine.power === 'paused')
}

async function tell(
  parts: EngineParts,
  subject: Protection,
  twice: boolean,
  alert: { readonly code: string; readonly message: string; readonly remedy: string },
): Promise<void> {
  if (twice) await raiseAlert(parts, { ...alert, severity: 'critical', subject })
  else await resolveAlert(parts, alert.code, subject)
}
