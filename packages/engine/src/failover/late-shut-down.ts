// A guest that installs updates on its way down may take longer than anybody waits. The failover is put back by then, the guest runs
// on, counts as started, and goes off minutes later: by our doing, so it is for us to start it again.
import type { MachineRef, PowerState } from '@understudy/domain/machines/machine'
import {
  type Protection,
  type ProtectionId,
  replicatingStates,
} from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import { startUnasked } from '../jobs/start-job.ts'
import type { ProtectionNotes } from '../ports/stores.ts'
import { sourceOf } from '../sites/platform-of.ts'
import { tellFailover } from './boot-run.ts'

/** Beyond that it was somebody else who switched it off. */
const ECHO_MILLISECONDS = 3600_000

export async function noteLateEcho(parts: EngineParts, { id }: Pick<Protection, 'id'>): Promise<void> {
  const until = parts.clock.now() + ECHO_MILLISECONDS
  await parts.stores.protections.updateNotes(id, { sourceMayGoOffUntil: until })
}

export const mayStillGoOff = (
  { clock }: Pick<EngineParts, 'clock'>,
  { sourceMayGoOffUntil = null }: ProtectionNotes,
): boolean => sourceMayGoOffUntil !== null && clock.now() < sourceMayGoOffUntil

/**
 * Of protections from the site whose inventory was read a moment ago. As a job: a failover that is asked for meanwhile must not find its source
 * started under its hands.
 */
export async function watchLateShutDowns(
  parts: EngineParts,
  protections: readonly Protection[],
  powers: ReadonlyMap<MachineRef, PowerState>,
): Promise<void> {
  for (const { id, name, state, sourceRef } of protections) {
    if (powers.get(sourceRef) !== 'off' || !replicatingStates.includes(state)) continue
    if (!mayStillGoOff(parts, await parts.stores.protections.notes(id))) continue
    await startUnasked(parts, 'tidy-up', { id, name })
  }
}

const mayBeStarted = async (parts: EngineParts, { id, state }: Protection): Promise<boolean> =>
  replicatingStates.includes(state) && mayStillGoOff(parts, await parts.stores.protections.notes(id))

/** Repeatable: a source that runs is left as it is. */
export async function startLate(context: EngineContext, id: ProtectionId): Promise<void> {
  const { parts } = context
  const protection = await loadProtection(parts, id)
  if (!(await mayBeStarted(parts, protection))) return
  const source = await sourceOf(parts, protection.sourceSiteId)
  if ((await source.powerState(protection.sourceRef)) !== 'off') return
  // Again, and last: a process that stood still must not start what a failover has shut down meanwhile.
  if (!(await mayBeStarted(parts, await loadProtection(parts, id)))) return
  await source.start(protection.sourceRef)
  await parts.stores.protections.updateNotes(id, { sourceMayGoOffUntil: null })
  await tellFailover(context, protection, {
    severity: 'warning',
    code: 'failover/source-started-late',
    message: `${protection.name} shut down after its failover had been given up, and was started again`,
  })
}
