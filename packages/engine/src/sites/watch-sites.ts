// One loop per process looks after all sites: at a beat, and soon after a site hints that something changed.
import type { Instant } from '@understudy/base/instant'
import type { Site, SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import { refreshQuietly } from './inventory.ts'

/** Hints come in bursts: a start of a machine is several of them. */
const HINT_DELAY_MILLISECONDS = 500
const LOOK_MILLISECONDS = 5000

export type SiteWatcher = {
  start(): void
  stop(): Promise<void>
  /** We have changed something there ourselves. */
  lookSoon(siteId: SiteId): void
  /** The site is new or has other settings. */
  forget(siteId: SiteId): void
}

type Watched = { dueAt: Instant; refreshing: Promise<void> | null; stop: AbortController | null }

export function createSiteWatcher(parts: EngineParts): SiteWatcher {
  const watched = new Map<SiteId, Watched>()
  const stopping = new AbortController()
  let wake = (): void => {}
  let loop: Promise<void> | null = null

  const hint = (entry: Watched): void => {
    entry.dueAt = Math.min(entry.dueAt, parts.clock.now() + HINT_DELAY_MILLISECONDS)
    wake()
  }
  const refresh = async (site: Site, entry: Watched): Promise<void> => {
    try {
      await subscribe(parts, site, entry, () => hint(entry))
      await refreshQuietly(parts, site, stopping.signal)
    } catch (error) {
      parts.log('error', 'a site could not be looked after', { site: site.id, error })
    }
    entry.refreshing = null
  }
  const look = async (): Promise<void> => {
    const now = parts.clock.now()
    const sites = await parts.stores.sites.list()
    for (const site of sites) {
      const entry = watched.get(site.id) ?? { dueAt: now, refreshing: null, stop: null }
      watched.set(site.id, entry)
      if (entry.refreshing !== null || entry.dueAt > now) continue
      entry.dueAt = now + parts.config.inventoryEverySeconds * 1000
      entry.refreshing = refresh(site, entry)
    }
    const known = new Set(sites.map(({ id }) => id))
    for (const [id, entry] of watched) if (!known.has(id)) unsubscribe(watched, id, entry)
  }
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await look().catch((error: unknown) =>
        parts.log('error', 'the sites could not be looked after', { error }),
      )
      const woken = new AbortController()
      wake = () => woken.abort(new DOMException('A site changed', 'AbortError'))
      const next = Math.min(
        parts.clock.now() + LOOK_MILLISECONDS,
        ...[...watched.values()].map(({ dueAt }) => dueAt),
      )
      const pause = Math.max(HINT_DELAY_MILLISECONDS, next - parts.clock.now())
      if (stopping.signal.aborted) break
      await parts.sleep(pause, AbortSignal.any([stopping.signal, woken.signal])).catch(() => {})
      // A burst of hints is one look, half a second later.
      if (woken.signal.aborted) await parts.sleep(HINT_DELAY_MILLISECONDS, stopping.signal).catch(() => {})
    }
    for (const [id, entry] of watched) unsubscribe(watched, id, entry)
  }

  return {
    start() {
      loop ??= run()
    },
    async stop() {
      stopping.abort(new DOMException('The server stops', 'AbortError'))
      await Promise.all([...watched.values()].map(({ refreshing }) => refreshing))
      await loop
    },
    lookSoon(siteId) {
      const entry = watched.get(siteId)
      if (entry) hint(entry)
    },
    forget(siteId) {
      const entry = watched.get(siteId)
      if (entry) unsubscribe(watched, siteId, entry)
      wake()
    },
  }
}

async function subscribe(parts: EngineParts, site: Site, entry: Watched, onHint: () => void): Promise<void> {
  if (entry.stop) return
  const { source } = await parts.platforms.of(site)
  entry.stop = new AbortController()
  source?.watch(onHint, entry.stop.signal)
}

function unsubscribe(watched: Map<SiteId, Watched>, id: SiteId, entry: Watched): void {
  entry.stop?.abort(new DOMException('The site is not watched any more', 'AbortError'))
  watched.delete(id)
}
