// Short visits to a replica: to read or annotate it without disturbing its mover, or to write as its newest owner.
import type { Protection, ReplicaId } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import type { Replica } from '../ports/replica-store.ts'
import { replicasOf } from '../sites/platform-of.ts'

type ReplicaParts = Pick<EngineParts, 'stores' | 'platforms'>

/** Reads, holds, annotates. */
export async function withReplica<Result>(
  parts: ReplicaParts,
  where: { readonly siteId: SiteId; readonly replicaId: ReplicaId },
  work: (replica: Replica) => Promise<Result>,
): Promise<Result> {
  const replicas = await replicasOf(parts, where.siteId)
  const replica = await replicas.openReplica(where.replicaId, null)
  try {
    return await work(replica)
  } finally {
    await replica.close()
  }
}

export const whereIs = (protection: Pick<Protection, 'targetSiteId' | 'replicaId'>) => ({
  siteId: protection.targetSiteId,
  replicaId: protection.replicaId,
})

/** Writes, with an epoch of its own: whoever wrote before is refused from now on. */
export async function withWriter<Result>(
  parts: ReplicaParts,
  where: { readonly protectionId: Protection['id']; readonly siteId: SiteId; readonly replicaId: ReplicaId },
  work: (replica: Replica) => Promise<Result>,
): Promise<Result> {
  const replicas = await replicasOf(parts, where.siteId)
  const epoch = await parts.stores.protections.nextEpoch(where.protectionId)
  const replica = await replicas.openReplica(where.replicaId, epoch)
  try {
    return await work(replica)
  } finally {
    await replica.close()
  }
}
