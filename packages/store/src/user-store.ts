import { Refusal } from '@understudy/base/errors'
import type { Role, User, UserId, UserStore } from '@understudy/engine/ports/access-stores'
import type { Database, Transaction } from './database.ts'
import {
  defined,
  inTransaction,
  notFound,
  refuseTaken,
  takeTurn,
  toDate,
  toInstant,
  toKey,
  withFailures,
} from './database.ts'
import type { User as UserRow } from './generated/client.ts'

export function userStore(database: Database): UserStore {
  const { prisma } = database
  return withFailures<UserStore>({
    list: async () => (await prisma.user.findMany({ orderBy: { nameKey: 'asc' } })).map(toUser),
    async find(id) {
      const row = await prisma.user.findUnique({ where: { id } })
      return row && toUser(row)
    },
    async findByName(name) {
      const row = await prisma.user.findUnique({ where: { nameKey: toKey(name) } })
      return row && toUser(row)
    },
    async create(user) {
      await refuseTaken(prisma.user.create({ data: toUserColumns(user) }), () => nameTaken(user.name))
    },
    async update(id, change) {
      const columns = defined({
        ...change,
        nameKey: change.name === undefined ? undefined : toKey(change.name),
        signedInAt: toDate(change.signedInAt),
      })
      const write = inTransaction(database, async (transaction) => {
        await takeTurn(transaction, 'users')
        if ((await transaction.user.updateMany({ where: { id }, data: columns })).count === 0)
          throw notFound('user', id)
        if (change.role !== undefined || change.disabled !== undefined) await refuseOwnerless(transaction)
      })
      await refuseTaken(write, () => nameTaken(change.name ?? ''))
    },
    remove: (id) =>
      inTransaction(database, async (transaction) => {
        await takeTurn(transaction, 'users')
        if ((await transaction.user.deleteMany({ where: { id } })).count > 0)
          await refuseOwnerless(transaction)
      }),
  })
}

/** Looked at after the change, in its transaction, while no other change of users can happen: refusing undoes the change. */
async function refuseOwnerless(transaction: Transaction): Promise<void> {
  if ((await transaction.user.count({ where: { role: 'owner', disabled: false } })) > 0) return
  throw new Refusal({
    code: 'user/last-owner',
    message: 'Nobody would be left who may manage users',
    remedy: 'Make somebody else an owner first.',
  })
}

export const toUserColumns = (user: User) => ({
  ...user,
  nameKey: toKey(user.name),
  createdAt: toDate(user.createdAt),
  signedInAt: toDate(user.signedInAt),
})

const toUser = (row: UserRow): User => ({
  id: row.id as UserId,
  name: row.name,
  email: row.email,
  role: row.role as Role,
  passwordHash: row.passwordHash,
  disabled: row.disabled,
  createdAt: toInstant(row.createdAt),
  signedInAt: toInstant(row.signedInAt),
})

const nameTaken = (name: string): Refusal =>
  new Refusal({
    code: 'user/name-taken',
    message: `There is a user called "${name}" already`,
    remedy: 'Choose another name.',
  })
