// Which processes run durable jobs and are alive, and who takes over from the dead. DBOS leaves that to its hosted service.
import type { Instant } from '@understudy/base/instant'
import type { Database } from './database.ts'
import { toDate, withFailures } from './database.ts'
import { databaseClock } from './database-clock.ts'

export type JobRunners = {
  /** Upserts this runner's heartbeat. */
  beat(at: Instant, expiresAt: Instant): Promise<void>
  /** On a clean stop: what is unfinished is free for others at once. */
  leave(): Promise<void>
  /**
   * Gives the unfinished workflows of dead runners back to the queue from which any live one takes them. A runner that left is
   * dead; one whose heartbeat expired only counts as such with `expiredIsDead`. Returns the workflows' ids. Atomic.
   */
  takeOver(at: Instant, expiredIsDead: boolean): Promise<readonly string[]>
  /** Of these workflows, which this runner has begun, those that others have taken or are about to. */
  lost(ids: readonly string[]): Promise<readonly string[]>
}

export function jobRunners(
  { prisma, pool }: Database,
  runnerId: string,
  applicationVersion: string,
  now: () => Instant = () => Date.now(),
): JobRunners {
  const clock = databaseClock(pool, now)
  return withFailures<JobRunners>({
    async beat(localAt, localExpiresAt) {
      const skew = await clock.skewMilliseconds()
      const beat = { beatAt: toDate(localAt + skew), expiresAt: toDate(localExpiresAt + skew) }
      await prisma.jobRunner.upsert({
        where: { id: runnerId },
        create: { id: runnerId, ...beat },
        update: beat,
      })
    },
    async leave() {
      await prisma.jobRunner.deleteMany({ where: { id: runnerId } })
    },
    async takeOver(localAt, expiredIsDead) {
      const at = localAt + (await clock.skewMilliseconds())
      const values = [applicationVersion, runnerId, toDate(at), expiredIsDead]
      const result = await pool.query<{ id: string }>(takeOverStatement, values)
      // Nothing is left of them; without a row they stay dead.
      if (expiredIsDead) await prisma.jobRunner.deleteMany({ where: { expiresAt: { lte: toDate(at) } } })
      return result.rows.map((row) => row.id)
    },
    async lost(ids) {
      const result = await pool.query<{ id: string }>(lostStatement, [ids, runnerId])
      return result.rows.map((row) => row.id)
    },
  })
}

// What DBOS itself does at a launch with its own executor's workflows (reenqueueWorkflowsForRecovery of 5.3.0), for those of
// others. The owner is cleared: whatever a presumed dead one still records is refused from now on.
const takeOverStatement = `
  UPDATE dbos.workflow_status w
  SET status = 'ENQUEUED', owner_xid = NULL, started_at_epoch_ms = NULL,
      queue_name = COALESCE(queue_name, '_dbos_internal_queue'),
      updated_at = (EXTRACT(EPOCH FROM now()) * 1000)::bigint
  WHERE w.status = 'PENDING' AND w.application_version = $1 AND w.executor_id <> $2
    AND NOT EXISTS (
      SELECT 1 FROM "JobRunner" r WHERE r."id" = w.executor_id AND (r."expiresAt" > $3 OR NOT $4::boolean))
  RETURNING w.workflow_uuid AS id`

const lostStatement = `
  SELECT workflow_uuid AS id FROM dbos.workflow_status
  WHERE workflow_uuid = ANY($1::text[]) AND (executor_id <> $2 OR owner_xid IS NULL)`
