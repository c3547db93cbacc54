// A site may keep replicas and have no place to run them. Where a machine is needed, that is said before anything is tried.
import type { Finding } from '@understudy/domain/machines/machine'
import type { Site, SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import type { SitePlatform } from '../ports/platforms.ts'
import { openedInTime } from './bounded-call.ts'

export const NO_TARGET = 'site/no-target'

export type NoTarget = { readonly code: string; readonly message: string; readonly remedy: string }

/** What is missing can run machines, or is not known. */
export type NoTargets = ReadonlyMap<SiteId, NoTarget>

/** Null: machines can run there. Pure. */
export const noTargetAt = (
  site: Pick<Site, 'name'>,
  platform: Pick<SitePlatform, 'target' | 'originals' | 'replicas' | 'withoutTarget'>,
): NoTarget | null =>
  platform.target
    ? null
    : {
        code: NO_TARGET,
        message: whyNoTarget(site.name, platform),
        remedy:
          platform.withoutTarget ??
          'To run the machine, protect it to a site that can run machines. The recovery points that are here stay good.',
      }

function whyNoTarget(
  name: string,
  { originals, replicas }: Pick<SitePlatform, 'originals' | 'replicas'>,
): string {
  if (originals) return `${name} makes no machines: its own come back by a fail-back`
  return replicas
    ? `${name} keeps replicas but cannot run machines yet`
    : `${name} keeps no replicas and cannot run machines`
}

/** Of each of these sites, all at once. Never throws for a site, and takes a moment at most. */
export async function noTargets(
  parts: Pick<EngineParts, 'stores' | 'platforms' | 'sleep'>,
  siteIds: Iterable<SiteId>,
): Promise<NoTargets> {
  const wanted = new Set(siteIds)
  const sites = (await parts.stores.sites.list()).filter(({ id }) => wanted.has(id))
  const found = await Promise.all(
    sites.map(async (site) => {
      // One that cannot even be opened may run machines: it says itself what is wrong with it.
      const platform = await openedInTime(parts, site).catch(() => null)
      const obstacle = platform === null ? null : noTargetAt(site, platform)
      return obstacle === null ? [] : ([[site.id, obstacle]] as const)
    }),
  )
  return new Map(found.flat())
}

/** The same as findings say it. */
export const findingOf = (obstacle: NoTarget, level: Finding['level']): Finding => ({ level, ...obstacle })
