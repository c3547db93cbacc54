// Room for replicas ends slowly, and is told before it stops anybody's copies.
import { formatBytes } from '@understudy/base/bytes'
import type { Site } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, resolveAlert } from '../events/report.ts'

export const LOW_SPACE = 'site/low-space'

/** Raises and resolves the alert of a site that keeps replicas. Throws what the store says. */
export async function watchRoom(parts: EngineParts, site: Site): Promise<void> {
  const { replicas } = await parts.platforms.of(site)
  const freeBytes = (await replicas?.freeBytes()) ?? null
  if (freeBytes === null || freeBytes >= parts.config.lowSpaceBytes || !(await keepsReplicas(parts, site)))
    return resolveAlert(parts, LOW_SPACE, site)
  await raiseAlert(parts, {
    severity: 'warning',
    code: LOW_SPACE,
    message: `${formatBytes(freeBytes)} are left for the replicas of ${site.name}`,
    remedy:
      'Give the replica folder more room, keep fewer recovery points (Policies), or end protections. Copying stops when it is full; points that are there stay good.',
    subject: site,
    facts: { freeBytes },
  })
}

const keepsReplicas = async ({ stores }: EngineParts, { id }: Site): Promise<boolean> =>
  (await stores.protections.list()).some(({ targetSiteId }) => targetSiteId === id)
