// How much replication may take of the line between two sites.
import { Refusal } from '@understudy/base/errors'
import { type BandwidthLimit, checkBandwidth, wordsOfBandwidth } from '@understudy/domain/sites/bandwidth'
import type { SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import type { Asker } from '../requests.ts'
import { loadSite } from './register.ts'

/** Takes effect with the next look of the movers, also for cycles that copy just now. Replaces what was wanted of this pair. */
export async function saveBandwidth(parts: EngineParts, limit: BandwidthLimit, asker: Asker): Promise<void> {
  checkBandwidth(limit)
  const ends = await loadEnds(parts, limit)
  await parts.stores.bandwidth.save(limit)
  await tell(parts, ends, `was set to ${wordsOfBandwidth(limit.calendar)} by ${asker.by}`)
}

/** Refuses when there is none (`bandwidth/not-found`). */
export async function removeBandwidth(
  parts: EngineParts,
  pair: Pick<BandwidthLimit, 'sourceSiteId' | 'targetSiteId'>,
  asker: Asker,
): Promise<void> {
  const ends = await loadEnds(parts, pair)
  const limits = await parts.stores.bandwidth.list()
  if (!limits.some((one) => one.sourceSiteId === ends.source.id && one.targetSiteId === ends.target.id))
    throw new Refusal({
      code: 'bandwidth/not-found',
      message: `Nothing limits what is replicated from ${ends.source.name} to ${ends.target.name}`,
      remedy: 'Reload the page: somebody may have removed the limit.',
    })
  await parts.stores.bandwidth.remove(ends.source.id, ends.target.id)
  await tell(parts, ends, `was removed by ${asker.by}`)
}

type End = { readonly id: SiteId; readonly name: string }
type Ends = { readonly source: End; readonly target: End }

const loadEnds = async (
  parts: EngineParts,
  { sourceSiteId, targetSiteId }: Pick<BandwidthLimit, 'sourceSiteId' | 'targetSiteId'>,
): Promise<Ends> => ({
  source: await loadSite(parts, sourceSiteId),
  target: await loadSite(parts, targetSiteId),
})

async function tell(parts: EngineParts, { source, target }: Ends, what: string): Promise<void> {
  parts.live.changed('sites', source.id)
  await recordEvent(parts, {
    severity: 'info',
    code: 'site/bandwidth-changed',
    message: `The limit of what is replicated from ${source.name} to ${target.name} ${what}`,
    subject: { id: source.id, name: source.name },
  })
}
