import { toIso } from '@understudy/base/instant'
import type { BandwidthLimit as ShownLimit } from '@understudy/contract/bandwidth'
import {
  type BandwidthLimit,
  megabitsPerSecondAt,
  nextBandwidthChange,
  wordsOfBandwidth,
} from '@understudy/domain/sites/bandwidth'
import type { SiteId } from '@understudy/domain/sites/site'
import { askerOf } from './asker.ts'
import { type ApiDeps, os } from './context.ts'

export function bandwidthRoutes(deps: ApiDeps) {
  const list = async (): Promise<ShownLimit[]> => {
    const [limits, sites] = await Promise.all([deps.stores.bandwidth.list(), deps.stores.sites.list()])
    const names = new Map(sites.map(({ id, name }) => [id, name]))
    const nameOf = (id: SiteId): string => names.get(id) ?? id
    const show = (limit: BandwidthLimit): ShownLimit => showLimit(limit, nameOf, deps.clock.now())
    return limits.map(show).toSorted((one, other) => labelOf(one).localeCompare(labelOf(other)))
  }
  return {
    list: os.bandwidth.list.handler(async () => ({ items: await list() })),
    save: os.bandwidth.save.handler(async ({ input, context }) => {
      context.audit(`${input.sourceSiteId} ${input.targetSiteId}`, input.calendar)
      await deps.engine.setBandwidth(endsOf(input), input.calendar, askerOf(context))
      return { items: await list() }
    }),
    remove: os.bandwidth.remove.handler(async ({ input, context }) => {
      context.audit(`${input.sourceSiteId} ${input.targetSiteId}`, {})
      await deps.engine.setBandwidth(endsOf(input), null, askerOf(context))
      return {}
    }),
  }
}

const endsOf = (input: { readonly sourceSiteId: string; readonly targetSiteId: string }) => ({
  sourceSiteId: input.sourceSiteId as SiteId,
  targetSiteId: input.targetSiteId as SiteId,
})

const labelOf = ({ sourceName, targetName }: ShownLimit): string => `${sourceName} ${targetName}`

function showLimit(
  { sourceSiteId, targetSiteId, calendar }: BandwidthLimit,
  nameOf: (id: SiteId) => string,
  now: number,
): ShownLimit {
  const changesAt = nextBandwidthChange(calendar, now)
  return {
    sourceSiteId,
    targetSiteId,
    sourceName: nameOf(sourceSiteId),
    targetName: nameOf(targetSiteId),
    calendar: {
      ...calendar,
      rules: calendar.rules.map((rule) => ({ ...rule, weekdays: [...rule.weekdays] })),
    },
    words: wordsOfBandwidth(calendar),
    megabitsPerSecondNow: megabitsPerSecondAt(calendar, now),
    changesAt: changesAt === null ? null : toIso(changesAt),
  }
}
