// Which machine of a protection must stay off because another one serves, and which one that is.
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { Protection, ProtectionState } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import { newestBoot } from '../failover/newest-boot.ts'

/** The former source runs although its machine is failed over. */
export const TWO_COPIES = 'failover/two-live-copies'
/** The machine of before the direction turned runs. */
export const ORIGINAL_RUNS = 'failover/original-runs'

type Place = { readonly siteId: SiteId; readonly ref: MachineRef }

export type SecondLife = {
  /** The alert that tells of it. */
  readonly alert: typeof TWO_COPIES | typeof ORIGINAL_RUNS
  readonly old: Place
  readonly serving: Place
}

/** Null: nobody has seen one, or what was seen is no second life any more. Says nothing about what runs at this moment. */
export async function secondLifeOf(parts: EngineParts, protection: Protection): Promise<SecondLife | null> {
  const { alerts } = parts.stores
  const { id, sourceSiteId, sourceRef, targetSiteId, originalRef } = protection
  if (runsElsewhere(protection) && (await alerts.findOpen(TWO_COPIES, id)) !== null) {
    const boot = await newestBoot(parts, id)
    if (boot === null) return null
    return {
      alert: TWO_COPIES,
      old: { siteId: sourceSiteId, ref: sourceRef },
      serving: { siteId: boot.targetSiteId, ref: boot.machineRef },
    }
  }
  if (runsElsewhere(protection) || originalRef === null) return null
  if ((await alerts.findOpen(ORIGINAL_RUNS, id)) === null) return null
  if (await isFailedBackTo(parts, protection, originalRef)) return null
  return {
    alert: ORIGINAL_RUNS,
    old: { siteId: targetSiteId, ref: originalRef },
    serving: { siteId: sourceSiteId, ref: sourceRef },
  }
}

export const runsElsewhere = ({ state }: Pick<Protection, 'state'>): boolean =>
  state === 'failedOver' || state === 'committing' || state === 'committed'

/** States in which the machine of a fail-back goes on although its run is over. */
const handedOver: readonly ProtectionState[] = ['committing', 'committed', 'reprotecting', 'ending', 'gone']

export async function isFailedBackTo(
  parts: EngineParts,
  { id, state }: Protection,
  originalRef: MachineRef,
): Promise<boolean> {
  const booted = await newestBoot(parts, id)
  return booted?.machineRef === originalRef && (!booted.over || handedOver.includes(state))
}
