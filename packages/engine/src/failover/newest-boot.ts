// The machine that a failover was committed to: of the boots that got one, the one that was over last.
import type { Run } from '@understudy/domain/failover/failover'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { EngineParts } from '../engine-parts.ts'

export type BootedRun = Run & { readonly machineRef: MachineRef }

const isBooted = (run: Run): run is BootedRun => run.kind !== 'test' && run.machineRef !== null

/** Null: nothing was ever booted. */
export async function newestBoot(
  { stores }: Pick<EngineParts, 'stores'>,
  id: ProtectionId,
): Promise<BootedRun | null> {
  const booted = (await stores.runs.history(id, 50)).filter(isBooted)
  // Not the one that was asked for last: a failover that is retried keeps the time of its click.
  return booted.toSorted((a, b) => (b.endedAt ?? Infinity) - (a.endedAt ?? Infinity))[0] ?? null
}

/** The direction has turned: what was failed over to is what is replicated. */
export const isTurnedTo = (protection: Protection, run: Pick<Run, 'targetSiteId' | 'machineRef'>): boolean =>
  protection.sourceSiteId === run.targetSiteId && protection.sourceRef === run.machineRef
