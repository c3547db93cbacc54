// Which rows of the inventories are machines to protect. What we made beside them, or keep for a way home, is the same machine
// once more: counted, it would look like one that nobody protects.
import type { Machine } from '@understudy/domain/machines/machine'
import { runsAtTarget } from '@understudy/domain/protection/active-site'
import type { Protection } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'

/** Those that an inventory has now, each life once: a protected one as its protection's source. Pure. */
export function machinesThatCount(
  machines: readonly Machine[],
  protections: readonly Protection[],
): readonly Machine[] {
  const alive = protections.filter(({ state }) => state !== 'gone')
  const sources = new Set(alive.map((protection) => keyOf(protection.sourceSiteId, protection.sourceRef)))
  const originals = new Set(alive.map(({ targetSiteId, originalRef }) => keyOf(targetSiteId, originalRef)))
  return machines.filter((machine) => {
    const key = keyOf(machine.siteId, machine.ref)
    if (!machine.present) return false
    return sources.has(key) || (machine.ownedBy === null && !originals.has(key))
  })
}

/** How many run at each site, or are to be found there: one that runs from its replica is where that runs. Pure. */
export function countMachinesAt(
  siteId: SiteId,
  machines: readonly Machine[],
  protections: readonly Protection[],
): number {
  const away = protections.filter(({ state }) => runsAtTarget(state))
  const left = new Set(away.map(({ sourceSiteId, sourceRef }) => keyOf(sourceSiteId, sourceRef)))
  const found = machinesThatCount(machines, protections).filter(
    (machine) => machine.siteId === siteId && !left.has(keyOf(machine.siteId, machine.ref)),
  )
  return found.length + away.filter(({ targetSiteId }) => targetSiteId === siteId).length
}

/**
 * How many would stay down with this site: those without a protection, and those that a failover brought here and that nothing
 * replicates back yet. Pure.
 */
export function countUnprotected(
  siteId: SiteId,
  machines: readonly Machine[],
  protections: readonly Protection[],
): number {
  const alive = protections.filter(({ state }) => state !== 'gone')
  const sources = new Set(alive.map((protection) => keyOf(protection.sourceSiteId, protection.sourceRef)))
  const bare = machinesThatCount(machines, protections).filter(
    (machine) => machine.siteId === siteId && !sources.has(keyOf(machine.siteId, machine.ref)),
  )
  const brought = alive.filter(({ state, targetSiteId }) => targetSiteId === siteId && runsAtTarget(state))
  return bare.length + brought.length
}

const keyOf = (siteId: SiteId, ref: string | null): string => `${siteId} ${ref}`
