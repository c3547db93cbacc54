// Split brain, across a plan: of which of its machines two run.
import type { Instant } from '@understudy/base/instant'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import { machinesOf } from '@understudy/domain/recovery-plans/plan-items'
import type { SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import { ORIGINAL_RUNS, secondLifeOf, TWO_COPIES } from '../sites/second-life.ts'

export type RunningTwice = {
  readonly protectionId: ProtectionId
  readonly name: string
  /** Where the old machine runs, and where the one that serves. */
  readonly oldSiteId: SiteId
  readonly servingSiteId: SiteId
  readonly since: Instant
  /** The failover can still be rolled back to the old machine. */
  readonly canRollBack: boolean
}

export async function runningTwice(parts: EngineParts, plan: RecoveryPlan): Promise<readonly RunningTwice[]> {
  const { alerts, protections } = parts.stores
  // Nearly always there is none, and then two questions are enough.
  const [copies, originals] = await Promise.all([
    alerts.openSubjects(TWO_COPIES),
    alerts.openSubjects(ORIGINAL_RUNS),
  ])
  const seen = machinesOf(plan).filter(
    ({ protectionId }) => copies.has(protectionId) || originals.has(protectionId),
  )
  const found = await Promise.all(
    seen.map(async ({ protectionId }): Promise<RunningTwice | null> => {
      const protection = await protections.find(protectionId)
      const life = protection && (await secondLifeOf(parts, protection))
      const alert = life && (await alerts.findOpen(life.alert, protectionId))
      if (!alert) return null
      return {
        protectionId,
        name: protection.name,
        oldSiteId: life.old.siteId,
        servingSiteId: life.serving.siteId,
        since: alert.raisedAt,
        canRollBack: protection.state === 'failedOver',
      }
    }),
  )
  return found.filter((one) => one !== null)
}
