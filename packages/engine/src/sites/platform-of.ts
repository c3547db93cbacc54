// From ids to what can be done there, with a refusal that says what is missing.
import { Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import type { SitePlatform } from '../ports/platforms.ts'
import type { ReplicaStore } from '../ports/replica-store.ts'
import type { SourcePlatform } from '../ports/source-platform.ts'
import type { Originals, TargetPlatform } from '../ports/target-platform.ts'
import { noTargetAt } from './no-target.ts'

type PlatformParts = Pick<EngineParts, 'stores' | 'platforms'>

export async function platformOf(parts: PlatformParts, siteId: SiteId): Promise<SitePlatform> {
  const site = await parts.stores.sites.find(siteId)
  if (!site)
    throw new Refusal({
      code: 'site/not-found',
      message: `There is no site ${siteId}`,
      remedy: 'Reload the page: it may have been removed.',
    })
  return await parts.platforms.of(site)
}

export async function sourceOf(parts: PlatformParts, siteId: SiteId): Promise<SourcePlatform> {
  const { source } = await platformOf(parts, siteId)
  if (source) return source
  throw new Refusal({
    code: 'site/no-source',
    message: 'Machines cannot be replicated from this kind of site',
    remedy: 'Choose another source site.',
  })
}

export async function replicasOf(parts: PlatformParts, siteId: SiteId): Promise<ReplicaStore> {
  return replicasAt(await platformOf(parts, siteId))
}

/** Refuses (`site/no-replicas`) a site that keeps none. */
export function replicasAt({ replicas }: Pick<SitePlatform, 'replicas'>): ReplicaStore {
  if (replicas) return replicas
  throw new Refusal({
    code: 'site/no-replicas',
    message: 'Replicas cannot be kept at this kind of site',
    remedy: 'Choose another target site.',
  })
}

export async function targetOf(parts: PlatformParts, siteId: SiteId): Promise<TargetPlatform> {
  const platform = await platformOf(parts, siteId)
  if (platform.target) return platform.target
  const site = await parts.stores.sites.find(siteId)
  const obstacle = noTargetAt({ name: site?.name ?? siteId }, platform)
  throw new Refusal(present(obstacle, 'a site without a target says so'))
}

/** What brings the site's own machines home: its target, or less than that. */
export async function originalsOf(parts: PlatformParts, siteId: SiteId): Promise<Originals> {
  const { originals } = await platformOf(parts, siteId)
  return originals ?? (await targetOf(parts, siteId))
}
