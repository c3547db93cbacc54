import { toIso } from '@understudy/base/instant'
import type { Site as ShownSite } from '@understudy/contract/site'
import type { Machine } from '@understudy/domain/machines/machine'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import { isEmulated, type Site } from '@understudy/domain/sites/site'
import type { ProtectionSummary } from '@understudy/engine/ports/stores'
import type { NoTarget } from '@understudy/engine/sites/no-target'
import { countMachinesAt } from './machines-that-count.ts'
import type { Abilities } from './site-facts.ts'

export type SiteSurroundings = {
  readonly machines: readonly Machine[]
  readonly protections: readonly Protection[]
  readonly summaries: ReadonlyMap<ProtectionId, Pick<ProtectionSummary, 'pace'>>
  readonly storedBytes: number
  readonly freeBytes: number | null
  /** What its platform offers. */
  readonly abilities: Abilities
  readonly noTarget: Pick<NoTarget, 'message' | 'remedy'> | null
}

const MOST_AFFECTED = 20

/** A site as the API shows it. */
export function showSite(site: Site, around: SiteSurroundings): ShownSite {
  const { abilities, noTarget } = around
  const { strain } = abilities
  return {
    id: site.id,
    name: site.name,
    platform: site.platform,
    settings: { ...site.settings },
    simulated: site.platform === 'simulated',
    emulated: isEmulated(site),
    health: site.health,
    healthNote: site.healthNote,
    checkedAt: site.checkedAt === null ? null : toIso(site.checkedAt),
    createdAt: toIso(site.createdAt),
    machineCount: countMachinesAt(site.id, around.machines, around.protections),
    protectedCount: around.protections.filter((protection) => protection.sourceSiteId === site.id).length,
    replicaCount: around.protections.filter((protection) => protection.targetSiteId === site.id).length,
    storedBytes: around.storedBytes,
    freeBytes: around.freeBytes,
    canBeSource: abilities.canBeSource,
    canKeepReplicas: abilities.canKeepReplicas,
    canBeTarget: abilities.canBeTarget,
    whyNoTarget:
      abilities.canKeepReplicas && noTarget ? { message: noTarget.message, remedy: noTarget.remedy } : null,
    canEncrypt: abilities.canEncrypt,
    slowedDown: strain && {
      timesLastHour: strain.timesLastHour,
      lastAt: strain.lastAt === null ? null : toIso(strain.lastAt),
      remedy: strain.remedy,
      ...affectedBy(site, around),
    },
  }
}

/** Whoever writes here less often than is wanted, because the place asks for fewer requests: of all servers, the slowest first. */
function affectedBy({ id }: Site, { protections, summaries }: SiteSurroundings) {
  const affected = protections.flatMap(({ id: protectionId, targetSiteId, machineId, name }) => {
    const pace = targetSiteId === id ? summaries.get(protectionId)?.pace : null
    if (pace?.cause !== 'throttled') return []
    return [{ machineId, name, wantedSeconds: pace.wantedSeconds, carriedSeconds: pace.carriedSeconds }]
  })
  const slowness = (row: (typeof affected)[number]): number => row.carriedSeconds / row.wantedSeconds
  return {
    affectedCount: affected.length,
    affected: affected.toSorted((left, right) => slowness(right) - slowness(left)).slice(0, MOST_AFFECTED),
  }
}
