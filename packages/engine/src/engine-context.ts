// What use cases and jobs work with: the parts, this process's mover and its keeper of running replicas.
import { Refusal } from '@understudy/base/errors'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from './engine-parts.ts'
import type { RunKeeper } from './failover/run-keeper.ts'
import type { Cancels } from './jobs/run-job.ts'
import type { Mover } from './replication/mover.ts'

export type EngineContext = {
  readonly parts: EngineParts
  readonly mover: Mover
  readonly keeper: RunKeeper
  readonly cancels: Cancels
  /** Something was done to its machines: its inventory is read soon, not only when its turn comes. */
  readonly lookAtSite: (siteId: SiteId) => void
}

export async function loadProtection(
  parts: Pick<EngineParts, 'stores'>,
  id: ProtectionId,
): Promise<Protection> {
  const protection = await parts.stores.protections.find(id)
  if (protection) return protection
  throw new Refusal({
    code: 'protection/not-found',
    message: `There is no protection ${id}`,
    remedy: 'Reload the page: it may have been ended.',
  })
}

export const stateChanged = (): Refusal =>
  new Refusal({
    code: 'protection/state-changed',
    message: 'The protection changed its state meanwhile',
    remedy: 'Look at it and decide again.',
  })
