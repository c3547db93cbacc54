// At which of its two sites a protected machine runs.
import type { SiteId } from '../sites/site.ts'
import type { Protection, ProtectionState } from './protection.ts'

/** Its machine runs from the replica, at the target site. Pure. */
export const runsAtTarget = (state: ProtectionState): boolean =>
  state === 'failedOver' || state === 'committing' || state === 'committed' || state === 'reprotecting'

export const activeSiteOf = ({
  state,
  sourceSiteId,
  targetSiteId,
}: Pick<Protection, 'state' | 'sourceSiteId' | 'targetSiteId'>): SiteId =>
  runsAtTarget(state) ? targetSiteId : sourceSiteId
