import { toIso } from '@understudy/base/instant'
import type { Site as ShownSite } from '@understudy/contract/site'
import type { Machine } from '@understudy/domain/machines/machine'
import type { Protection } from '@understudy/domain/protection/protection'
import type { Site } from '@understudy/domain/sites/site'
import { machinesThatCount } from './machines-that-count.ts'

export type SiteSurroundings = {
  readonly machines: readonly Machine[]
  readonly protections: readonly Protection[]
  readonly storedBytes: number
  readonly freeBytes: number | null
  /** What its platform offers. */
  readonly canBeSource: boolean
  readonly canBeTarget: boolean
}

/** A site as the API shows it. */
export function showSite(site: Site, around: SiteSurroundings): ShownSite {
  return {
    id: site.id,
    name: site.name,
    platform: site.platform,
    settings: { ...site.settings },
    simulated: site.platform === 'simulated',
    health: site.health,
    healthNote: site.healthNote,
    checkedAt: site.checkedAt === null ? null : toIso(site.checkedAt),
    createdAt: toIso(site.createdAt),
    machineCount: machinesThatCount(around.machines, around.protections).filter(
      (machine) => machine.siteId === site.id,
    ).length,
    protectedCount: around.protections.filter((protection) => protection.sourceSiteId === site.id).length,
    replicaCount: around.protections.filter((protection) => protection.targetSiteId === site.id).length,
    storedBytes: around.storedBytes,
    freeBytes: around.freeBytes,
    canBeSource: around.canBeSource,
    canBeTarget: around.canBeTarget,
  }
}
