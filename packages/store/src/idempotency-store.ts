import { invariant } from '@understudy/base/invariant'
import type {
  IdempotencyRequest,
  IdempotencyStore,
  IdempotencyVerdict,
  UserId,
} from '@understudy/engine/ports/access-stores'
import type { Database } from './database.ts'
import { notFound, toDate, toJson, withFailures } from './database.ts'
import type { IdempotencyKey as KeyRow } from './generated/client.ts'

export function idempotencyStore({ prisma, pool }: Database): IdempotencyStore {
  const at = (userId: UserId, key: string) => ({ userId_key: { userId, key } })
  const take = async (
    { userId, key, requestHash, createdAt }: IdempotencyRequest,
    stale: Date,
  ): Promise<boolean> => {
    const values = [userId, key, requestHash, toDate(createdAt), stale]
    const taken = await pool.query(takeStatement, values).catch((error) => {
      throw error.code === foreignKeyViolation ? notFound('user', userId) : error
    })
    return taken.rowCount === 1
  }
  return withFailures<IdempotencyStore>({
    async begin(request, staleBefore) {
      // Whoever has the key may abandon it between the two statements: then it is free again.
      for (let attempt = 0; attempt < 10; attempt += 1) {
        if (await take(request, toDate(staleBefore))) return { kind: 'new' }
        const row = await prisma.idempotencyKey.findUnique({ where: at(request.userId, request.key) })
        if (row) return judge(row, request)
      }
      invariant(false, 'An idempotency key is taken or free')
    },
    async complete(userId, key, status, body) {
      const data = { status, ...(body === undefined ? {} : { body: toJson({ body }) }) }
      await prisma.idempotencyKey.updateMany({ where: { userId, key }, data })
    },
    async abandon(userId, key) {
      await prisma.idempotencyKey.deleteMany({ where: { userId, key, status: null } })
    },
    trim: async (before) =>
      (await prisma.idempotencyKey.deleteMany({ where: { createdAt: { lt: toDate(before) } } })).count,
  })
}

const takeStatement = `
  INSERT INTO "IdempotencyKey" ("userId", "key", "requestHash", "createdAt") VALUES ($1, $2, $3, $4)
  ON CONFLICT ("userId", "key") DO UPDATE SET "requestHash" = EXCLUDED."requestHash", "createdAt" = EXCLUDED."createdAt"
  WHERE "IdempotencyKey"."status" IS NULL AND "IdempotencyKey"."createdAt" < $5`

const foreignKeyViolation = '23503'

/** The body lies in an envelope: a JSON column cannot tell `null` from nothing. */
function judge(row: KeyRow, request: IdempotencyRequest): IdempotencyVerdict {
  if (row.requestHash !== request.requestHash) return { kind: 'other-request' }
  if (row.status === null) return { kind: 'running' }
  const envelope = row.body as { readonly body?: unknown } | null
  return { kind: 'done', status: row.status, body: envelope?.body }
}
