import { Refusal } from '@understudy/base/errors'
import { type ProtectionId, replicatingStates } from '@understudy/domain/protection/protection'
import type { LeaseStore } from '@understudy/engine/ports/stores'
import type { Database } from './database.ts'
import { toDate, toInstant, withFailures } from './database.ts'
import { type DatabaseClock, databaseClock } from './database-clock.ts'

export function leaseStore(
  { prisma, pool }: Database,
  clock: DatabaseClock = databaseClock(pool),
): LeaseStore {
  return withFailures<LeaseStore>({
    async beat(moverId, localAt, localExpiresAt) {
      const skew = await clock.skewMilliseconds()
      const at = localAt + skew
      const beat = { beatAt: toDate(at), expiresAt: toDate(localExpiresAt + skew) }
      await prisma.mover.upsert({ where: { id: moverId }, create: { id: moverId, ...beat }, update: beat })
      // Those that will not come back; whatever they still held is free.
      await prisma.mover.deleteMany({ where: { expiresAt: { lt: toDate(at - forgottenMilliseconds) } } })
    },
    async claim(moverId, localAt, limit) {
      const at = localAt + (await clock.skewMilliseconds())
      const result = await pool
        .query<{ id: string }>(claimStatement, [moverId, toDate(at), limit, replicatingStates])
        .catch((error) => {
          throw error.code === foreignKeyViolation ? neverBeat(moverId) : error
        })
      return result.rows.map((row) => row.id as ProtectionId)
    },
    async held(moverId) {
      const rows = await prisma.protection.findMany({
        where: { moverId },
        select: { id: true },
        orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
      })
      return rows.map((row) => row.id as ProtectionId)
    },
    async release(moverId, protectionId) {
      await prisma.protection.updateMany({
        where: { id: protectionId, moverId },
        data: { moverId: null, claimedAt: null },
      })
    },
    async groupHolders(localAt) {
      const at = localAt + (await clock.skewMilliseconds())
      const rows = await prisma.protection.findMany({
        where: { groupId: { not: null }, mover: { expiresAt: { gt: toDate(at) } } },
        select: { id: true, moverId: true },
      })
      return new Map(
        rows.flatMap(({ id, moverId }) => (moverId === null ? [] : [[id as ProtectionId, moverId]])),
      )
    },
    async leave(moverId) {
      // The reference from its protections becomes null with it.
      await prisma.mover.deleteMany({ where: { id: moverId } })
    },
    async movers() {
      const skew = await clock.skewMilliseconds()
      const rows = await prisma.mover.findMany({
        include: { _count: { select: { protections: true } } },
        orderBy: { id: 'asc' },
      })
      return rows.map((row) => ({
        id: row.id,
        beatAt: toInstant(row.beatAt) - skew,
        expiresAt: toInstant(row.expiresAt) - skew,
        protections: row._count.protections,
      }))
    },
  })
}

// Two movers that claim at once: the row lock lets one have a row, the other skips it. A row that was claimed between this
// statement's snapshot and its lock is looked at again in its newest version (the lock does that) and does not fit any more.
// Only machines that replicate are opened together: any other mate stays where it is, and must keep nobody away.
const claimStatement = `
  WITH free AS (
    SELECT p."id", policy."priority", p."createdAt"
    FROM "Protection" p
    JOIN "Policy" policy ON policy."id" = p."policyId"
    LEFT JOIN "Mover" m ON m."id" = p."moverId"
    LEFT JOIN LATERAL (
      SELECT bool_or(mate."moverId" = $1) AS "mine", bool_or(mate."moverId" <> $1) AS "others"
      FROM "Protection" mate JOIN "Mover" holder ON holder."id" = mate."moverId"
      WHERE mate."groupId" = p."groupId" AND holder."expiresAt" > $2
        AND p."state" = ANY($4) AND mate."state" = ANY($4)
    ) mates ON TRUE
    WHERE p."state" <> 'gone' AND (p."moverId" IS NULL OR m."expiresAt" <= $2) AND mates."others" IS NOT TRUE
    ORDER BY mates."mine" IS TRUE DESC, policy."priority" DESC, p."createdAt", p."id"
    LIMIT $3
    FOR UPDATE OF p SKIP LOCKED
  ), taken AS (
    UPDATE "Protection" p SET "moverId" = $1, "claimedAt" = $2 FROM free WHERE p."id" = free."id"
    RETURNING p."id", free."priority", free."createdAt"
  )
  SELECT "id" FROM taken ORDER BY "priority" DESC, "createdAt", "id"`

const forgottenMilliseconds = 24 * 3600 * 1000

const foreignKeyViolation = '23503'

const neverBeat = (moverId: string): Refusal =>
  new Refusal({
    code: 'mover/no-heartbeat',
    message: `The mover ${moverId} has given no sign of life yet`,
    remedy: 'Send a heartbeat before claiming.',
  })
