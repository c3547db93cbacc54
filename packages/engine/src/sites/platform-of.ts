// From ids to what can be done there, with a refusal that says what is missing.
import { Refusal } from '@understudy/base/errors'
import type { SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import type { SitePlatform } from '../ports/platforms.ts'
import type { SourcePlatform } from '../ports/source-platform.ts'
import type { TargetPlatform } from '../ports/target-platform.ts'

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

export async function targetOf(parts: PlatformParts, siteId: SiteId): Promise<TargetPlatform> {
  const { target } = await platformOf(parts, siteId)
  if (target) return target
  throw new Refusal({
    code: 'site/no-target',
    message: 'Replicas cannot run at this kind of site',
    remedy: 'Choose another target site.',
  })
}
