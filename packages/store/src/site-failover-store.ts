import { Refusal } from '@understudy/base/errors'
import type {
  GivenParameters,
  SiteFailover,
  SiteFailoverId,
  SitePlan,
} from '@understudy/domain/recovery-plans/site-failover'
import type { SiteId } from '@understudy/domain/sites/site'
import type { SiteFailoverStore } from '@understudy/engine/ports/site-failover-store'
import type { Database } from './database.ts'
import { fromJson, refuseTaken, toDate, toInstant, toJson, withFailures } from './database.ts'
import type { SiteFailover as SiteFailoverRow } from './generated/client.ts'
import { toPage, toPageQuery } from './paging.ts'
import { openSecrets, sealSecrets } from './secret-box.ts'

export function siteFailoverStore({ prisma }: Database, secretKey: Buffer): SiteFailoverStore {
  return withFailures<SiteFailoverStore>({
    async create(failover, given = {}) {
      if ((await prisma.siteFailover.count({ where: { id: failover.id } })) > 0) return
      const sealed = Uint8Array.from(sealSecrets(secretKey, failover.id, { given: JSON.stringify(given) }))
      const data = { id: failover.id, ...toColumns(failover), given: sealed }
      const write = prisma.siteFailover.create({ data })
      await refuseTaken(write, () => isRunning(failover.siteName))
    },
    async given(id) {
      const row = await prisma.siteFailover.findUnique({ where: { id }, select: { given: true } })
      if (!row?.given) return {}
      return JSON.parse(openSecrets(secretKey, id, row.given).given ?? '{}') as GivenParameters
    },
    async find(id) {
      const row = await prisma.siteFailover.findUnique({ where: { id } })
      return row && toSiteFailover(row)
    },
    async list(page) {
      const { where, orderBy, take } = toPageQuery('startedAt', page)
      const found = await prisma.siteFailover.findMany({ where, orderBy: [...orderBy], take })
      return toPage(found, page, (row) => ({ at: row.startedAt, sequence: row.sequence }), toSiteFailover)
    },
    async active() {
      const orderBy = [{ startedAt: 'asc' as const }, { sequence: 'asc' as const }]
      const rows = await prisma.siteFailover.findMany({ where: { state: 'running' }, orderBy })
      return rows.map(toSiteFailover)
    },
    async save(next) {
      const where = { id: next.id, state: 'running', revision: next.revision - 1 }
      const data = { ...toColumns(next), ...(next.state === 'done' ? { given: null } : {}) }
      return (await prisma.siteFailover.updateMany({ where, data })).count > 0
    },
    async trim(before) {
      return (await prisma.siteFailover.deleteMany({ where: { endedAt: { lt: toDate(before) } } })).count
    },
  })
}

const toColumns = (failover: SiteFailover) => {
  const { id: _id, plans, point, startedAt, endedAt, ...plain } = failover
  return {
    ...plain,
    plans: toJson(plans),
    point: toJson(point),
    startedAt: toDate(startedAt),
    endedAt: toDate(endedAt),
  }
}

/** Rows from before say nothing of how it stood. */
type KeptPlan = Omit<SitePlan, 'atStart'> & Partial<Pick<SitePlan, 'atStart'>>

const toSiteFailover = ({ sequence: _sequence, given: _given, ...row }: SiteFailoverRow): SiteFailover => ({
  ...row,
  id: row.id as SiteFailoverId,
  siteId: row.siteId as SiteId,
  state: row.state as SiteFailover['state'],
  plans: fromJson<readonly KeptPlan[]>(row.plans).map((plan) => ({ ...plan, atStart: plan.atStart ?? null })),
  point: fromJson<SiteFailover['point']>(row.point),
  startedAt: toInstant(row.startedAt),
  endedAt: toInstant(row.endedAt),
})

const isRunning = (name: string): Refusal =>
  new Refusal({
    code: 'site-failover/running',
    message: `The plans of "${name}" are being failed over already`,
    remedy: 'Watch that one, or stop it first.',
  })
