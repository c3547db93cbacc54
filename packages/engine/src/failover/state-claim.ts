// A job takes a protection into a working state, and gives it back when it stops early.
import { Refusal } from '@understudy/base/errors'
import type { JobId } from '@understudy/domain/jobs/job'
import type { Protection, ProtectionId, ProtectionState } from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection } from '../engine-context.ts'

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
  /** For people; the job's id is added, which is how a repeated step knows its own claim. */
  readonly note: string
}

/**
 * Moves the state, stops this process's cycle and gives movers elsewhere the time to notice. Repeatable by the same job.
 * Refuses when somebody else was quicker (`protection/state-changed`).
 */
export async function claimState(context: EngineContext, request: ClaimRequest): Promise<Claim> {
  const { parts, mover } = context
  const protection = await loadProtection(parts, request.protectionId)
  const claim = await takeState(context, protection, request)
  parts.live.changed('protections', request.protectionId)
  const heldHere = await mover.quiesce(request.protectionId)
  if (!heldHere && (await parts.stores.leases.movers()).length > 1)
    await parts.sleep((parts.config.lookSeconds + 1) * 1000)
  return claim
}

async function takeState(
  context: EngineContext,
  protection: Protection,
  request: ClaimRequest,
): Promise<Claim> {
  const { protections } = context.parts.stores
  const notes = await protections.notes(protection.id)
  if (protection.state === request.to && notes.claim?.jobId === request.jobId) return notes.claim.former
  if (!request.from.includes(protection.state)) throw changed(protection)
  const former: Claim = {
    state: protection.state,
    note: protection.stateNote,
    resumeState: protection.resumeState,
  }
  // Written first: after a crash in between, the claim says what was before and the state has not moved yet.
  await protections.updateNotes(protection.id, { claim: { jobId: request.jobId, former } })
  const moved = await protections.moveState(
    protection.id,
    protection.state,
    request.to,
    request.note,
    protection.state,
  )
  if (!moved) throw changed(protection)
  return former
}

const changed = (protection: Protection): Refusal =>
  new Refusal({
    code: 'protection/state-changed',
    message: `${protection.name} is ${protection.state} now`,
    remedy: 'Look at the protection and decide again.',
  })

/** Back to what was before the claim. Repeatable. */
export async function giveBackState(
  context: EngineContext,
  request: Pick<ClaimRequest, 'protectionId' | 'to'> & { readonly claim: Claim },
): Promise<void> {
  const { parts, mover } = context
  const { state, note, resumeState } = request.claim
  await parts.stores.protections.moveState(request.protectionId, request.to, state, note, resumeState)
  await parts.stores.protections.updateNotes(request.protectionId, { claim: null })
  parts.live.changed('protections', request.protectionId)
  mover.look()
}

/** Forward, out of a working state. Repeatable: a state that is there already is fine. */
export async function settleState(
  context: EngineContext,
  request: {
    readonly protectionId: ProtectionId
    readonly from: ProtectionState
    readonly to: ProtectionState
    readonly note: string | null
  },
): Promise<void> {
  const { parts, mover } = context
  const { protectionId, from, to, note } = request
  const moved = await parts.stores.protections.moveState(protectionId, from, to, note, null)
  if (!moved) {
    const protection = await loadProtection(parts, protectionId)
    if (protection.state !== to) throw changed(protection)
  }
  await parts.stores.protections.updateNotes(protectionId, { claim: null })
  parts.live.changed('protections', protectionId)
  mover.look()
}
