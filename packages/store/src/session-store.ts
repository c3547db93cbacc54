import type { Session, SessionStore, UserId } from '@understudy/engine/ports/access-stores'
import type { Database } from './database.ts'
import { notFound, refuseReferenced, toDate, toInstant, withFailures } from './database.ts'
import type { Session as SessionRow } from './generated/client.ts'

export function sessionStore({ prisma }: Database): SessionStore {
  return withFailures<SessionStore>({
    async create(session) {
      const data = {
        ...session,
        createdAt: toDate(session.createdAt),
        seenAt: toDate(session.seenAt),
        expiresAt: toDate(session.expiresAt),
      }
      await refuseReferenced(prisma.session.create({ data }), () => notFound('user', session.userId))
    },
    async find(idHash) {
      const row = await prisma.session.findUnique({ where: { idHash } })
      return row && toSession(row)
    },
    async list(userId) {
      const orderBy = [{ createdAt: 'desc' as const }, { idHash: 'asc' as const }]
      return (await prisma.session.findMany({ where: { userId }, orderBy })).map(toSession)
    },
    async touch(idHash, seenAt, expiresAt) {
      const data = { seenAt: toDate(seenAt), expiresAt: toDate(expiresAt) }
      await prisma.session.updateMany({ where: { idHash }, data })
    },
    async remove(idHash) {
      await prisma.session.deleteMany({ where: { idHash } })
    },
    async removeOfUser(userId, keepIdHash) {
      const where = { userId, ...(keepIdHash === null ? {} : { idHash: { not: keepIdHash } }) }
      return (await prisma.session.deleteMany({ where })).count
    },
    trim: async (before) =>
      (await prisma.session.deleteMany({ where: { expiresAt: { lt: toDate(before) } } })).count,
  })
}

const toSession = (row: SessionRow): Session => ({
  idHash: row.idHash,
  userId: row.userId as UserId,
  createdAt: toInstant(row.createdAt),
  seenAt: toInstant(row.seenAt),
  expiresAt: toInstant(row.expiresAt),
  ip: row.ip,
  userAgent: row.userAgent,
})
