// A job takes a protection into a working state, and gives it back when it stops early.
import { Refusal } from '@understudy/base/errors'
import type { JobId } from '@understudy/domain/jobs/job'
import type { Protection, ProtectionId, ProtectionState } from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import { JobFailure, type JobScope } from '../jobs/job-scope.ts'
import type { ProtectionNotes } from '../ports/stores.ts'
import { findFailover } from './boot-run.ts'

/** What the protection was before the job took it. Small JSON. */
export type Claim = {
  readonly state: ProtectionState
  readonly note: string | null
  readonly resumeState: ProtectionState | null
}

export type ClaimRequest = {
  readonly protectionId: ProtectionId
  readonly jobId: JobId
  readonly from: readonly ProtectionState[]
  readonly to: ProtectionState
  /** For people. */
  readonly note: string
  /** What becomes true with the claim, in the same act. A claim that is repeated keeps what it has noted since. */
  readonly notes?: () => Promise<Partial<ProtectionNotes>>
}

/** Refuses when the protection is in other hands by now. Asked right before an act that would do harm there. */
export type StillOurs = {
  (): Promise<void>
  /** Whose claim it has to be; null: nobody's. */
  readonly owner: JobId | null
}

/**
 * A process may stand still in the middle of a step for longer than its lease. Another one has taken its job over then, brought
 * it to its end, and the next job may be at work: what the first one does when it wakes up would be done to that one.
 */
export function claimedBy(
  context: EngineContext,
  protectionId: ProtectionId,
  owner: JobId | null,
): StillOurs {
  const look = async (): Promise<void> => {
    const { claim = null } = await context.parts.stores.protections.notes(protectionId)
    if ((claim?.jobId ?? null) !== owner) throw claimLost()
  }
  return Object.assign(look, { owner })
}

export const claimLost = (): Refusal =>
  new Refusal({
    code: 'protection/claim-lost',
    message: 'Another job works on the protection by now',
    remedy: 'Nothing is to be done: what was begun is put back or finished there.',
  })

/**
 * A task that claims, and gives back what it got when it could not be finished: nobody must be left in a working state that
 * no job works on.
 */
export async function claimInTask(
  context: EngineContext,
  job: JobScope,
  task: string,
  request: Omit<ClaimRequest, 'jobId'>,
): Promise<Claim> {
  try {
    return await job.task(task, () => claimState(context, { ...request, jobId: job.id }))
  } catch (error) {
    if (!(error instanceof JobFailure)) throw error
    await job.undo('Put the protection back', () => giveBackOwn(context, job, request))
    throw error
  }
}

/** Claims for a failover. */
export const claimForFailover = (
  context: EngineContext,
  job: JobScope,
  task: string,
  request: Pick<ClaimRequest, 'protectionId' | 'from' | 'note'>,
): Promise<Claim> =>
  claimInTask(context, job, task, {
    ...request,
    to: 'failingOver',
    async notes() {
      // What an earlier failover knew about its source says nothing about this one, unless it was never put back.
      const leftOver = await findFailover(context, request.protectionId)
      return leftOver === null
        ? {
            stoppedSource: null,
            lastPoint: null,
            sourceStoppedByRun: null,
            unfencedAccepted: false,
            sourceMayGoOffUntil: null,
          }
        : {}
    },
  })

async function giveBackOwn(
  context: EngineContext,
  job: JobScope,
  { protectionId, to }: Omit<ClaimRequest, 'jobId'>,
): Promise<void> {
  const { state } = await loadProtection(context.parts, protectionId)
  const { claim } = await context.parts.stores.protections.notes(protectionId)
  // Somebody else was quicker: what is under way is theirs.
  if (state !== to || claim?.jobId !== job.id) return
  const stillOurs = claimedBy(context, protectionId, job.id)
  await giveBackState(context, { protectionId, to, claim: claim.former, stillOurs })
}

/**
 * Moves the state, stops this process's cycle and gives movers elsewhere the time to notice. Repeatable by the same job.
 * Refuses when somebody else was quicker (`protection/state-changed`).
 */
export async function claimState(context: EngineContext, request: ClaimRequest): Promise<Claim> {
  const { parts } = context
  const protection = await loadProtection(parts, request.protectionId)
  const claim = await takeState(context, protection, request)
  parts.live.changed('protections', request.protectionId)
  await quiesceEverywhere(context, request.protectionId)
  return claim
}

/** Once the state has moved: stops this process's cycle, and gives movers elsewhere the time to notice. */
export async function quiesceEverywhere({ parts, mover }: EngineContext, id: ProtectionId): Promise<void> {
  const heldHere = await mover.quiesce(id)
  if (!heldHere && (await parts.stores.leases.movers()).length > 1)
    await parts.sleep((parts.config.lookSeconds + 1) * 1000)
}

async function takeState(
  context: EngineContext,
  protection: Protection,
  request: ClaimRequest,
): Promise<Claim> {
  const { protections } = context.parts.stores
  const known = (await protections.notes(protection.id)).claim
  if (protection.state === request.to && known?.jobId === request.jobId) return known.former
  if (!request.from.includes(protection.state)) throw changed(protection)
  const { state, stateNote, resumeState } = protection
  const former: Claim = { state, note: stateNote, resumeState }
  // In one act: of two jobs at once, the one that lost must not be found as the owner when either is repeated.
  const moved = await protections.claimState(protection.id, state, request.to, {
    note: request.note,
    notes: { ...(await request.notes?.()), claim: { jobId: request.jobId, former } },
  })
  if (!moved) throw changed(await loadProtection(context.parts, protection.id))
  return former
}

const changed = (protection: Protection): Refusal =>
  new Refusal({
    code: 'protection/state-changed',
    message: `${protection.name} is ${protection.state} now`,
    remedy: 'Look at the protection and decide again.',
  })

type Release = {
  readonly protectionId: ProtectionId
  readonly from: ProtectionState
  readonly to: ProtectionState
  readonly note: string | null
  readonly resumeState: ProtectionState | null
  readonly stillOurs: StillOurs
}

/**
 * Out of a working state, in one act with the end of the claim: between two, a process that stands still would move the state or
 * wipe the claim of the next job. Returns the state that is there then: `to`, or whatever else has become of one that had been
 * given up already. Refuses when the working state is another job's. Repeatable.
 */
export async function releaseClaim(context: EngineContext, release: Release): Promise<ProtectionState> {
  const { parts, mover } = context
  const { protectionId, from, to, note, resumeState, stillOurs } = release
  const what = { owner: stillOurs.owner, note, resumeState }
  const released = await parts.stores.protections.releaseState(protectionId, from, to, what)
  const state = released ? to : (await loadProtection(parts, protectionId)).state
  if (state === from) throw claimLost()
  parts.live.changed('protections', protectionId)
  mover.look()
  return state
}

/** Back to what was before the claim. Repeatable. */
export async function giveBackState(
  context: EngineContext,
  request: Pick<ClaimRequest, 'protectionId' | 'to'> & {
    readonly claim: Claim
    readonly stillOurs: StillOurs
  },
): Promise<void> {
  const { protectionId, to, claim, stillOurs } = request
  const { state, note, resumeState } = claim
  await releaseClaim(context, { protectionId, from: to, to: state, note, resumeState, stillOurs })
}

/** Forward, out of a working state. Repeatable: a state that is there already is fine. */
export async function settleState(
  context: EngineContext,
  request: Omit<Release, 'resumeState'>,
): Promise<void> {
  const state = await releaseClaim(context, { ...request, resumeState: null })
  if (state !== request.to) throw changed(await loadProtection(context.parts, request.protectionId))
}
