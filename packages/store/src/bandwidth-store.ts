import type { BandwidthCalendar } from '@understudy/domain/sites/bandwidth'
import type { SiteId } from '@understudy/domain/sites/site'
import type { BandwidthStore } from '@understudy/engine/ports/stores'
import { type Database, fromJson, toJson, withFailures } from './database.ts'

export function bandwidthStore({ prisma }: Database): BandwidthStore {
  return withFailures<BandwidthStore>({
    list: async () =>
      (await prisma.bandwidthLimit.findMany()).map((row) => ({
        sourceSiteId: row.sourceSiteId as SiteId,
        targetSiteId: row.targetSiteId as SiteId,
        calendar: fromJson<BandwidthCalendar>(row.calendar),
      })),
    async save({ sourceSiteId, targetSiteId, calendar }) {
      const columns = { calendar: toJson(calendar) }
      await prisma.bandwidthLimit.upsert({
        where: { sourceSiteId_targetSiteId: { sourceSiteId, targetSiteId } },
        create: { sourceSiteId, targetSiteId, ...columns },
        update: columns,
      })
    },
    async remove(sourceSiteId, targetSiteId) {
      await prisma.bandwidthLimit.deleteMany({ where: { sourceSiteId, targetSiteId } })
    },
  })
}
