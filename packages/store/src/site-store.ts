import { Refusal } from '@understudy/base/errors'
import type { Platform, Site, SiteHealth, SiteId } from '@understudy/domain/sites/site'
import type { SiteStore } from '@understudy/engine/ports/stores'
import type { Database } from './database.ts'
import {
  defined,
  fromJson,
  inTransaction,
  refuseMissing,
  refuseReferenced,
  refuseTaken,
  toDate,
  toInstant,
  toJson,
  toKey,
  withFailures,
} from './database.ts'
import type { Site as SiteRow } from './generated/client.ts'
import { openSecrets, sealSecrets } from './secret-box.ts'

export function siteStore(database: Database, secretKey: Buffer): SiteStore {
  const { prisma } = database
  const seal = (id: SiteId, secrets: Readonly<Record<string, string>>): Uint8Array<ArrayBuffer> =>
    Uint8Array.from(sealSecrets(secretKey, id, secrets))
  return withFailures<SiteStore>({
    list: async () =>
      (await prisma.site.findMany({ orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] })).map(toSite),
    async find(id) {
      const row = await prisma.site.findUnique({ where: { id } })
      return row && toSite(row)
    },
    async create(site, secrets) {
      const columns = {
        ...site,
        nameKey: toKey(site.name),
        settings: toJson(site.settings),
        checkedAt: toDate(site.checkedAt),
        createdAt: toDate(site.createdAt),
      }
      const create = { ...columns, secrets: { create: { sealed: seal(site.id, secrets) } } }
      await refuseTaken(prisma.site.create({ data: create }), () => nameTaken(site.name))
    },
    async update(id, change, secrets) {
      const columns = defined({
        ...change,
        nameKey: change.name === undefined ? undefined : toKey(change.name),
        settings: change.settings && toJson(change.settings),
        checkedAt: toDate(change.checkedAt),
      })
      const write = inTransaction(database, async (transaction) => {
        await transaction.site.update({ where: { id }, data: columns })
        if (!secrets) return
        const sealed = seal(id, secrets)
        const where = { siteId: id }
        await transaction.siteSecrets.upsert({ where, create: { siteId: id, sealed }, update: { sealed } })
      })
      await refuseTaken(refuseMissing(write, 'site', id), () => nameTaken(change.name ?? ''))
    },
    async secrets(id) {
      const row = await prisma.siteSecrets.findUnique({ where: { siteId: id } })
      return row ? openSecrets(secretKey, id, row.sealed) : {}
    },
    async remove(id) {
      await refuseReferenced(prisma.site.deleteMany({ where: { id } }), inUse)
    },
  })
}

const toSite = (row: SiteRow): Site => ({
  id: row.id as SiteId,
  name: row.name,
  platform: row.platform as Platform,
  settings: fromJson(row.settings),
  health: row.health as SiteHealth,
  healthNote: row.healthNote,
  checkedAt: toInstant(row.checkedAt),
  createdAt: toInstant(row.createdAt),
})

const nameTaken = (name: string): Refusal =>
  new Refusal({
    code: 'site/name-taken',
    message: `There is a site called "${name}" already`,
    remedy: 'Choose another name.',
  })

const inUse = (): Refusal =>
  new Refusal({
    code: 'site/in-use',
    message: 'Machines are replicated from or to this site',
    remedy: 'End their protections first.',
  })
