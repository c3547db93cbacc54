// Where sites meet their drivers and replica stores. Nothing else in the product knows a platform by name.
import { createHmac } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import type { Clock } from '@understudy/base/instant'
import type { Site, SiteId } from '@understudy/domain/sites/site'
import { openKvmPlatform } from '@understudy/drivers/kvm/platform'
import { openSimulatedPlatform } from '@understudy/drivers/simulated/platform'
import type { Platforms, SitePlatform } from '@understudy/engine/ports/platforms'
import type { ReplicaStore } from '@understudy/engine/ports/replica-store'
import type { SiteStore } from '@understudy/engine/ports/stores'
import { openJournalStore } from '@understudy/journal/journal-store'

export type PlatformParts = {
  readonly sites: SiteStore
  readonly home: string
  readonly clock: Clock
  readonly sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>
  /** Keys of encrypted replicas are derived from it. */
  readonly secretKey: Buffer
}

export function composePlatforms(parts: PlatformParts): Platforms & { close(): Promise<void> } {
  const opened = new Map<SiteId, Promise<SitePlatform>>()

  async function open(site: Site, secrets: Readonly<Record<string, string>>): Promise<SitePlatform> {
    const replicas = openReplicas(parts, site)
    const { source, target, checkConnection, close } = await openDriver(parts, site, secrets)
    return {
      ...(source ? { source } : {}),
      ...(target ? { target } : {}),
      replicas,
      checkConnection,
      close,
    }
  }

  return {
    of(site) {
      const known = opened.get(site.id)
      if (known) return known
      const opening = parts.sites.secrets(site.id).then((secrets) => open(site, secrets))
      opened.set(site.id, opening)
      // A platform that could not be opened is tried anew at the next call.
      opening.catch(() => opened.delete(site.id))
      return opening
    },
    preview: (site, secrets) => open(site, secrets),
    async forget(siteId) {
      const known = opened.get(siteId)
      opened.delete(siteId)
      const platform = await known?.catch(() => null)
      await platform?.close()
    },
    async close() {
      const platforms = await Promise.all([...opened.values()].map((each) => each.catch(() => null)))
      opened.clear()
      await Promise.all(platforms.map((platform) => platform?.close()))
    },
  }
}

function openDriver(parts: PlatformParts, site: Site, secrets: Readonly<Record<string, string>>) {
  switch (site.platform) {
    case 'kvm':
      return openKvmPlatform(site, secrets, { clock: parts.clock })
    case 'simulated':
      return openSimulatedPlatform(site, secrets, {
        clock: parts.clock,
        sleep: parts.sleep,
        folder: path.join(parts.home, 'simulated'),
      })
  }
}

function openReplicas(parts: PlatformParts, site: Site): ReplicaStore {
  const chosen = site.settings.replicaFolder
  const folder = typeof chosen === 'string' ? chosen : path.join(parts.home, 'replicas', site.id)
  mkdirSync(folder, { recursive: true })
  return openJournalStore({
    folder,
    clock: parts.clock,
    key: (replicaId) => createHmac('sha256', parts.secretKey).update(`replica ${replicaId}`).digest(),
  })
}
