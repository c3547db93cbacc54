import type { SetupStore } from '@understudy/engine/ports/access-stores'
import type { Database, Transaction } from './database.ts'
import { inTransaction, takeTurn, toDate, withFailures } from './database.ts'
import { toUserColumns } from './user-store.ts'

export function setupStore(database: Database): SetupStore {
  const { prisma } = database
  return withFailures<SetupStore>({
    needed: async () => (await prisma.user.count()) === 0,
    async offer(tokenHash, expiresAt) {
      const link = { tokenHash, expiresAt: toDate(expiresAt), usedAt: null }
      await inTransaction(database, async (transaction) => {
        await takeTurn(transaction, 'setup')
        await transaction.setupLink.deleteMany({ where: { usedAt: null } })
        await transaction.setupLink.upsert({ where: { tokenHash }, create: link, update: link })
      })
    },
    isOpen: (tokenHash, at) =>
      inTransaction(database, (transaction) => isOpen(transaction, tokenHash, toDate(at))),
    complete: (tokenHash, at, owner) =>
      inTransaction(database, async (transaction) => {
        // Two clicks on the link at once must not make two owners.
        await takeTurn(transaction, 'users')
        if (!(await isOpen(transaction, tokenHash, toDate(at)))) return false
        await transaction.setupLink.update({ where: { tokenHash }, data: { usedAt: toDate(at) } })
        await transaction.user.create({ data: toUserColumns(owner) })
        return true
      }),
  })
}

async function isOpen(transaction: Transaction, tokenHash: string, at: Date): Promise<boolean> {
  const link = await transaction.setupLink.findUnique({ where: { tokenHash } })
  if (!link || link.usedAt !== null || link.expiresAt <= at) return false
  return (await transaction.user.count()) === 0
}
