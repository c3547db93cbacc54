import type { DisplayLink, DisplayLinkId, DisplayLinkStore } from '@understudy/engine/ports/access-stores'
import type { Database } from './database.ts'
import { toDate, toInstant, withFailures } from './database.ts'
import type { DisplayLink as DisplayLinkRow } from './generated/client.ts'

export function displayLinkStore({ prisma }: Database): DisplayLinkStore {
  return withFailures<DisplayLinkStore>({
    async list() {
      const orderBy = [{ createdAt: 'desc' as const }, { id: 'asc' as const }]
      return (await prisma.displayLink.findMany({ orderBy })).map(toDisplayLink)
    },
    async find(id) {
      const row = await prisma.displayLink.findUnique({ where: { id } })
      return row && toDisplayLink(row)
    },
    async findByHash(idHash) {
      const row = await prisma.displayLink.findUnique({ where: { idHash } })
      return row && toDisplayLink(row)
    },
    async create(link) {
      const data = {
        ...link,
        createdAt: toDate(link.createdAt),
        expiresAt: toDate(link.expiresAt),
        lastUsedAt: toDate(link.lastUsedAt),
      }
      await prisma.displayLink.create({ data })
    },
    async used(id, at) {
      await prisma.displayLink.updateMany({ where: { id }, data: { lastUsedAt: toDate(at) } })
    },
    async remove(id) {
      await prisma.displayLink.deleteMany({ where: { id } })
    },
  })
}

const toDisplayLink = (row: DisplayLinkRow): DisplayLink => ({
  ...row,
  id: row.id as DisplayLinkId,
  layout: row.layout as DisplayLink['layout'],
  createdAt: toInstant(row.createdAt),
  expiresAt: toInstant(row.expiresAt),
  lastUsedAt: toInstant(row.lastUsedAt),
})
