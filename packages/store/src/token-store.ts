import type { ApiToken, Role, TokenId, TokenStore, UserId } from '@understudy/engine/ports/access-stores'
import type { Database } from './database.ts'
import { notFound, refuseReferenced, toDate, toInstant, withFailures } from './database.ts'
import type { ApiToken as TokenRow } from './generated/client.ts'

export function tokenStore({ prisma }: Database): TokenStore {
  return withFailures<TokenStore>({
    async list(userId) {
      const where = userId === undefined ? {} : { userId }
      const orderBy = [{ createdAt: 'desc' as const }, { id: 'asc' as const }]
      return (await prisma.apiToken.findMany({ where, orderBy })).map(toToken)
    },
    async find(id) {
      const row = await prisma.apiToken.findUnique({ where: { id } })
      return row && toToken(row)
    },
    async findByHash(idHash) {
      const row = await prisma.apiToken.findUnique({ where: { idHash } })
      return row && toToken(row)
    },
    async create(token) {
      const data = {
        ...token,
        createdAt: toDate(token.createdAt),
        expiresAt: toDate(token.expiresAt),
        lastUsedAt: toDate(token.lastUsedAt),
      }
      await refuseReferenced(prisma.apiToken.create({ data }), () => notFound('user', token.userId))
    },
    async used(id, at) {
      await prisma.apiToken.updateMany({ where: { id }, data: { lastUsedAt: toDate(at) } })
    },
    async remove(id) {
      await prisma.apiToken.deleteMany({ where: { id } })
    },
  })
}

const toToken = (row: TokenRow): ApiToken => ({
  id: row.id as TokenId,
  idHash: row.idHash,
  name: row.name,
  role: row.role as Role,
  userId: row.userId as UserId,
  createdAt: toInstant(row.createdAt),
  expiresAt: toInstant(row.expiresAt),
  lastUsedAt: toInstant(row.lastUsedAt),
})
