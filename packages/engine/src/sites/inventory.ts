// Keeping what is known of the sites fresh: inventories, health, and whether a machine has come back that must not run.
import { isDeepStrictEqual } from 'node:util'
import { Outage, toFailureReport } from '@understudy/base/errors'
import type { DiscoveredMachine } from '@understudy/domain/machines/machine'
import { type Protection, replicatingStates } from '@understudy/domain/protection/protection'
import type { Site, SiteHealth } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, resolveAlert } from '../events/report.ts'
import { watchLateShutDowns } from '../failover/late-shut-down.ts'
import { withinSeconds } from './bounded-call.ts'
import { watchRoom } from './watch-room.ts'
import { watchSecondLives } from './watch-second-life.ts'
import { watchSignIn } from './watch-sign-in.ts'

/** Longest that one site is asked before it counts as not answering. */
const CHECK_SECONDS = 60

/** Takes the inventory, settles the site's health and its alert. Never throws for a site that misbehaves. */
export async function refreshQuietly(parts: EngineParts, site: Site, signal: AbortSignal): Promise<void> {
  try {
    const trouble = await look(parts, site, signal)
    if (trouble !== null) await tellTrouble(parts, site, 'degraded', trouble)
  } catch (error) {
    if (signal.aborted) return
    const { kind } = toFailureReport(error)
    await tellTrouble(parts, site, kind === 'outage' ? 'unreachable' : 'degraded', error)
  }
  // Replicas are kept whether the site answers or not.
  await watchRoom(parts, site).catch((error: unknown) =>
    parts.log('warn', 'the room for replicas is not known', { site: site.id, error }),
  )
  await watchSignIn(parts, site).catch((error: unknown) =>
    parts.log('warn', 'the end of the sign-in is not known', { site: site.id, error }),
  )
}

/** Throws what the site says. */
export async function refreshSite(parts: EngineParts, site: Site, signal: AbortSignal): Promise<void> {
  const trouble = await look(parts, site, signal)
  if (trouble !== null) throw trouble
}

/**
 * Returns why the site is not whole although it could be read: one of its hosts may be away, and what the others have must not
 * grow old for that. Throws when nothing could be read.
 */
async function look(parts: EngineParts, site: Site, signal: AbortSignal): Promise<Outage | null> {
  const { trouble, machines } = await withinSeconds(
    parts,
    { seconds: CHECK_SECONDS, signal },
    async (bound) => {
      const platform = await parts.platforms.of(site)
      const outage = await outageOf(platform.checkConnection(bound))
      if (outage !== null && platform.source === undefined) throw outage
      const found = (await platform.source?.inventory(bound)) ?? null
      if (found && (await parts.stores.machines.replaceInventory(site.id, found, parts.clock.now())))
        parts.live.changed('machines', null)
      return { trouble: outage, machines: found }
    },
  )
  // After the inventory, once for all who look at it: what a protection has become meanwhile is known.
  const protections = await parts.stores.protections.list()
  const from = protections.filter(({ sourceSiteId }) => sourceSiteId === site.id)
  const powers = new Map(machines?.map(({ ref, power }) => [ref, power]))
  if (machines) await renewHardware(parts, from, machines)
  if (machines) await watchLateShutDowns(parts, from, powers)
  if (trouble === null) {
    await setHealth(parts, site, 'healthy', null)
    await resolveAlert(parts, 'site/unreachable', site)
  }
  if (machines) await watchSecondLives(parts, { site, protections, powers })
  return trouble
}

async function outageOf(work: Promise<unknown>): Promise<Outage | null> {
  try {
    await work
    return null
  } catch (error) {
    if (error instanceof Outage) return error
    throw error
  }
}

async function tellTrouble(
  parts: EngineParts,
  site: Site,
  health: SiteHealth,
  error: unknown,
): Promise<void> {
  const failure = toFailureReport(error)
  await setHealth(parts, site, health, failure.message)
  await raiseAlert(parts, {
    severity: 'critical',
    code: 'site/unreachable',
    message: `${site.name}: ${failure.message}`,
    remedy: failure.remedy,
    subject: site,
    facts: { cause: failure.code },
  })
}

/** What boots in a disaster has the memory, processors and adapters that the machine has now, not those of its first day. */
async function renewHardware(
  parts: EngineParts,
  protections: readonly Protection[],
  machines: readonly DiscoveredMachine[],
): Promise<void> {
  const byRef = new Map(machines.map((machine) => [machine.ref, machine]))
  for (const protection of protections) {
    const { id, sourceRef, state } = protection
    if (!replicatingStates.includes(state)) continue
    const hardware = byRef.get(sourceRef)?.hardware
    if (!hardware || hardware.disks.length === 0) continue
    if (isDeepStrictEqual(hardware, protection.hardware)) continue
    await parts.stores.protections.update(id, { hardware })
    parts.live.changed('protections', id)
  }
}

async function setHealth(
  parts: EngineParts,
  site: Site,
  health: SiteHealth,
  note: string | null,
): Promise<void> {
  await parts.stores.sites.update(site.id, { health, healthNote: note, checkedAt: parts.clock.now() })
  if (site.health !== health || site.healthNote !== note) parts.live.changed('sites', site.id)
}
