// Failed-over machines that went off before anybody has committed them. Production stands then: it is told, and where the host had
// failed they are started again.
import type { Instant } from '@understudy/base/instant'
import type { Run, RunId } from '@understudy/domain/failover/failover'
import { judgeReplica, nothingSeen, type ReplicaSight } from '@understudy/domain/failover/replica-power'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, resolveAlert } from '../events/report.ts'
import { startUnasked } from '../jobs/start-job.ts'
import { seePower } from './see-power.ts'
import { REPLICA_OFF_ALERT } from './start-replica.ts'

export type ReplicaWatcher = {
  /** Begins to look at what this process holds. Does not wait: a site that does not answer must not hold up the heartbeat. */
  look(held: ReadonlyMap<ProtectionId, Protection>, runs: readonly Run[]): void
  stop(): Promise<void>
}

const EVERY_MILLISECONDS = 15_000

type Watched = { sight: ReplicaSight; lookAt: Instant; looking: Promise<void> | null }

export function createReplicaWatcher(parts: EngineParts): ReplicaWatcher {
  const watched = new Map<RunId, Watched>()
  const stopping = new AbortController()

  const lookAt = async ({ run, protection }: Replica, entry: Watched): Promise<void> => {
    const seen = await seePower(parts, run, stopping.signal)
    // The answer may have taken its time, and the failover may be over by now.
    if (seen === null || stopping.signal.aborted || !(await isStillWatched(parts, run))) return
    const judged = judgeReplica(entry.sight, seen.power, parts.clock.now())
    entry.sight = judged.seen
    switch (judged.verdict) {
      case 'wait':
        return
      case 'runs':
        return await resolveAlert(parts, REPLICA_OFF_ALERT, protection)
      case 'tell':
        return await tell(parts, protection, seen.why)
      case 'start':
        await tell(parts, protection, seen.why)
        // As a job of its own: nobody else may be at work on the protection meanwhile.
        await startUnasked(parts, 'start-replica', protection)
    }
  }

  return {
    look(held, runs) {
      if (stopping.signal.aborted) return
      const replicas = runs.flatMap((run): readonly Replica[] => {
        const protection = held.get(run.protectionId)
        return protection && isWatched(run, protection) ? [{ run, protection }] : []
      })
      const known = new Set(replicas.map(({ run }) => run.id))
      for (const id of watched.keys()) if (!known.has(id)) watched.delete(id)
      const now = parts.clock.now()
      for (const replica of replicas) {
        const { id } = replica.run
        const entry = watched.get(id) ?? { sight: nothingSeen, lookAt: 0, looking: null }
        watched.set(id, entry)
        // A clock that was set back must not leave it unseen.
        const due = now >= entry.lookAt || entry.lookAt - now > EVERY_MILLISECONDS
        if (entry.looking !== null || !due) continue
        entry.lookAt = now + EVERY_MILLISECONDS
        entry.looking = lookAt(replica, entry)
          .catch((error: unknown) =>
            parts.log('warn', 'a replica could not be looked at', { run: id, error }),
          )
          .finally(() => {
            entry.looking = null
          })
      }
    },
    async stop() {
      stopping.abort(new DOMException('The server stops', 'AbortError'))
      await Promise.all([...watched.values()].map(({ looking }) => looking))
    },
  }
}

type Replica = { readonly run: Run; readonly protection: Protection }

/** While a job moves the protection its machine may be off for good reasons. */
const isWatched = (run: Run, protection: Protection): boolean =>
  protection.state === 'failedOver' && run.kind !== 'test' && run.machineRef !== null && !run.over

async function isStillWatched({ stores }: EngineParts, { id, protectionId }: Run): Promise<boolean> {
  const [run, protection] = await Promise.all([stores.runs.find(id), stores.protections.find(protectionId)])
  return run !== null && protection !== null && isWatched(run, protection)
}

async function tell(parts: EngineParts, protection: Protection, why: string): Promise<void> {
  await raiseAlert(parts, {
    severity: 'critical',
    code: REPLICA_OFF_ALERT,
    message: `${protection.name} is failed over, but its replica does not run: ${why}`,
    remedy:
      'Use "Start the replica": it goes on with what it has written. A change of the point or a roll back throws that away.',
    subject: protection,
  })
}
