// What a failover has made goes again: before a boot, at a roll back, and when a failover stops early.
import { Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { Run, RunId } from '@understudy/domain/failover/failover'
import type { Protection } from '@understudy/domain/protection/protection'
import { trackingIdOf } from '@understudy/domain/protection/tracking-id'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import type { DiskFingerprint } from '../ports/source-platform.ts'
import { platformOf, sourceOf } from '../sites/platform-of.ts'
import { closeRun, destroyRun, isFailBack } from './boot-run.ts'
import type { StillOurs } from './state-claim.ts'

/**
 * Every failover of the protection that is not over: more than one when an earlier one could not be put back. The machine of a
 * fail-back was there before it and is switched off, any other is destroyed. Repeatable.
 */
export async function removeReplicas(
  context: EngineContext,
  protectionId: Protection['id'],
  how: { readonly failure: string; readonly stillOurs: StillOurs; readonly except?: RunId },
): Promise<void> {
  const protection = await loadProtection(context.parts, protectionId)
  const end = { failure: how.failure }
  const { stillOurs } = how
  for (const run of await context.parts.stores.runs.active(protectionId)) {
    if (run.kind === 'test' || run.id === how.except) continue
    // After the list was made: what somebody else has booted since is not in it.
    await stillOurs()
    await removeRun(context, protection, run, { end, stillOurs })
  }
}

/** Repeatable. */
export async function removeRun(
  context: EngineContext,
  protection: Protection,
  run: Run,
  { end, stillOurs }: { readonly end: Partial<Run>; readonly stillOurs: StillOurs },
): Promise<void> {
  if (!isFailBack(run, protection)) return await destroyRun(context, run.id, end)
  await stopOriginal(context, protection, stillOurs)
  await closeRun(context, run, end)
}

/** The original ran for a while: it is off again, and what is on it now is noted for the next fail-back. Repeatable. */
async function stopOriginal(
  context: EngineContext,
  protection: Protection,
  stillOurs: StillOurs,
): Promise<void> {
  const source = await sourceOf(context.parts, protection.targetSiteId)
  const ref = present(protection.originalRef, 'only a protection with an original fails back')
  if ((await source.powerState(ref)) !== 'off') {
    await stillOurs()
    await source.powerOff(ref)
  }
  await noteOriginal(context, protection)
}

/**
 * What is on the original, which is off, counts as known from now on: the next fail-back sees whether it was written to. Of one whose rescue
 * system has gone nothing is known.
 */
export async function noteOriginal(context: EngineContext, protection: Protection): Promise<void> {
  const ref = present(protection.originalRef, 'only a protection with an original fails back')
  const { originals } = await platformOf(context.parts, protection.targetSiteId)
  const originalFingerprints = await fingerprintsOf(context, protection, ref).catch((error: unknown) => {
    if (originals && error instanceof Refusal) return []
    throw error
  })
  await context.parts.stores.protections.updateNotes(protection.id, {
    originalFingerprints,
    originalPoint: null,
  })
}

/** Of a machine that is off, at the protection's target site. */
export async function fingerprintsOf(
  context: EngineContext,
  protection: Protection,
  ref: Protection['sourceRef'],
): Promise<readonly DiskFingerprint[]> {
  const source = await sourceOf(context.parts, protection.targetSiteId)
  const stopped = await source.openStoppedDisks(ref, {
    excludedDisks: protection.excludedDisks,
    trackingId: trackingIdOf(protection.id),
    since: null,
  })
  await stopped.close()
  return stopped.fingerprints
}
