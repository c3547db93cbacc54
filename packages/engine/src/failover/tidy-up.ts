// A job that stopped for good without its undo, or was lost, leaves a protection in a state that belongs to nobody. This job
// leads it out, by what the run's row proves. Nobody asks for it: the mover's look finds what is stranded.
import { chooseExit, type Exit } from '@understudy/domain/failover/choose-exit'
import type { JobId } from '@understudy/domain/jobs/job'
import { harmlessKinds } from '@understudy/domain/jobs/job'
import type { ProtectionId, ProtectionState } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import type { JobBody, JobScope } from '../jobs/job-scope.ts'
import { activeJobsOf } from '../jobs/start-job.ts'
import type { ProtectionRequest } from '../requests.ts'
import { findFailover, tellFailover } from './boot-run.ts'
import { settleCommit } from './commit.ts'
import { settleFailedOver } from './failed-over.ts'
import { mayStillGoOff, startLate } from './late-shut-down.ts'
import { endLeft, removeLeftBesideSource } from './left-replicas.ts'
import { removeNeedless } from './needless-replicas.ts'
import { isTurnedTo, newestBoot } from './newest-boot.ts'
import { putBack, STOPPED_EARLY, startSource } from './planned-failover.ts'
import { removeReplicas } from './remove-replica.ts'
import { finishTurn } from './reprotect.ts'
import { goOn, ROLLED_BACK } from './roll-back.ts'
import { type Claim, claimedBy, giveBackState, type StillOurs, settleState } from './state-claim.ts'

export const tidyUp = (context: EngineContext): JobBody<ProtectionRequest> => ({
  tasks: () => ['See how things stand'],
  async run(job, { protectionId }) {
    const way = await job.task('See how things stand', async (task) => {
      // Whose claim it is first: whoever takes the protection from here on finds it in his own hands.
      const { claim = null } = await context.parts.stores.protections.notes(protectionId)
      const { state } = await loadProtection(context.parts, protectionId)
      const exit = await exitOf(context.parts, protectionId)
      const found = { exit, from: state, owner: claim?.jobId ?? null }
      task.note(noteOf(exit, state))
      return found
    })
    job.passPointOfNoReturn()
    await leave(context, job, { protectionId, ...way })
  },
})

function noteOf(exit: Exit, state: ProtectionState): string {
  if (exit === 'none') return 'Nothing is left over'
  return exit === 'remove-left'
    ? 'A roll back has left a replica at the target site'
    : `A job stopped while it was ${state}`
}

/** What leads out, if the protection is stranded: `none` while a job is at work on it. */
export async function exitOf(parts: Pick<EngineParts, 'stores' | 'clock'>, id: ProtectionId): Promise<Exit> {
  const protection = await loadProtection(parts, id)
  const [notes, active, booted] = await Promise.all([
    parts.stores.protections.notes(id),
    parts.stores.runs.active(id),
    newestBoot(parts, id),
  ])
  const { leftReplicas = [] } = notes
  const failovers = active.filter(({ id, kind }) => kind !== 'test' && !leftReplicas.includes(id))
  return chooseExit({
    state: protection.state,
    former: notes.claim?.former.state ?? protection.resumeState,
    // One that may run outweighs one that has nothing.
    failover: failovers.find(({ machineRef }) => machineRef !== null) ?? failovers[0] ?? null,
    left: leftReplicas.length === 0 ? 'none' : await reachOf(parts, protection.targetSiteId),
    turned: booted !== null && isTurnedTo(protection, booted),
    sourceMayGoOff: mayStillGoOff(parts, notes),
  })
}

async function reachOf(
  { stores }: Pick<EngineParts, 'stores'>,
  siteId: SiteId,
): Promise<'out-of-reach' | 'reachable'> {
  return (await stores.sites.find(siteId))?.health === 'unreachable' ? 'out-of-reach' : 'reachable'
}

/** A job that could put the protection back itself is at work, or will be. */
export const isWorkedOn = async (parts: Pick<EngineParts, 'stores'>, id: ProtectionId): Promise<boolean> =>
  (await activeJobsOf(parts, id)).some(({ kind }) => !harmlessKinds.includes(kind))

type Way = {
  readonly protectionId: ProtectionId
  readonly exit: Exit
  readonly from: Awaited<ReturnType<typeof loadProtection>>['state']
  /** The job that was at work on it. */
  readonly owner: JobId | null
}

async function leave(context: EngineContext, job: JobScope, way: Way): Promise<void> {
  const { protectionId } = way
  const stillOurs = claimedBy(context, protectionId, way.owner)
  switch (way.exit) {
    case 'none':
      return
    case 'failed-over':
      await job.task('Give the choice back to the operator', () => giveChoice(context, way, stillOurs))
      break
    case 'put-back':
      await putBack(context, job, {
        protectionId,
        claim: await claimOf(context, job, protectionId),
        because: null,
        stillOurs,
      })
      break
    case 'start-source': {
      // Of a roll back that was to leave it, and did not get so far.
      await job.task('Settle what was left behind', () =>
        endLeft(context, protectionId, { failure: ROLLED_BACK, stillOurs }),
      )
      const started = await job.undo('Start the source machine again', () =>
        startSource(context, protectionId, stillOurs),
      )
      await job.task('Go back to replication', () => goOn(context, protectionId, { started, stillOurs }))
      break
    }
    case 'commit':
      await job.task('Settle the commit', () => settleCommit(context, protectionId, stillOurs))
      break
    case 'turned':
      await job.task('Go on in the new direction', () => finishTurn(context, protectionId, stillOurs))
      await job.afterwards('Remove the former replica', () => removeNeedless(context, protectionId, null))
      break
    case 'not-turned': {
      const claim = await claimOf(context, job, protectionId)
      await job.task('Put the protection back', () =>
        giveBackState(context, {
          protectionId,
          to: 'reprotecting',
          claim: { ...claim, state: 'committed' },
          stillOurs,
        }),
      )
      await job.undo('Remove the reverse replica', () => removeNeedless(context, protectionId, null))
      break
    }
    case 'start-late':
      await job.task('Start the source machine again', () => startLate(context, protectionId))
      return
    case 'remove-left':
      await job.task('Remove the replica that was left behind', () =>
        removeLeftBesideSource(context, protectionId, stillOurs),
      )
      return
    case 'let-go':
      await job.task('Let the recovery point go', () =>
        removeReplicas(context, protectionId, { failure: STOPPED_EARLY, stillOurs }),
      )
  }
  await job.afterwards('Tell about it', () => tell(context, protectionId))
}

async function giveChoice(
  context: EngineContext,
  { protectionId, from }: Way,
  stillOurs: StillOurs,
): Promise<void> {
  const run = await findFailover(context, protectionId)
  // The hand-over that the failover did not get to: its timer, its event, its hydration.
  if (from === 'failingOver' && run !== null && run.machineRef !== null) {
    await settleFailedOver(context, { protectionId, runId: run.id, stillOurs })
    return context.keeper.hydrate(run)
  }
  await settleState(context, {
    protectionId,
    from,
    to: 'failedOver',
    note: 'A job stopped early. See whether the replica runs, then commit it, change its point or roll it back.',
    stillOurs,
  })
}

const claimOf = (context: EngineContext, job: JobScope, id: ProtectionId): Promise<Claim> =>
  job.task('Look up what it was before', async () => {
    const { claim } = await context.parts.stores.protections.notes(id)
    const { resumeState } = await loadProtection(context.parts, id)
    return claim?.former ?? { state: resumeState ?? 'broken', note: null, resumeState: null }
  })

async function tell(context: EngineContext, id: ProtectionId): Promise<void> {
  const protection = await loadProtection(context.parts, id)
  await tellFailover(context, protection, {
    severity: 'warning',
    code: 'failover/tidied-up',
    message: `A job on ${protection.name} had stopped half-way; it is ${protection.state} again`,
  })
}
