import type { Protection } from '@understudy/domain/protection/protection'
import type { RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import type { EngineParts } from '../engine-parts.ts'
import { replicasOf } from '../sites/platform-of.ts'
import { whereIs, withReplica } from './with-replica.ts'

/** From old to new. While its replica is being set up, or when that failed, there is none yet: no points, and nothing wrong. */
export async function loadPoints(
  parts: EngineParts,
  protection: Protection,
): Promise<readonly RecoveryPoint[]> {
  const replicas = await replicasOf(parts, protection.targetSiteId)
  const early = (await parts.stores.protections.summary(protection.id)).newestPoint === null
  if (early && !(await replicas.exists(protection.replicaId))) return []
  return await withReplica(parts, whereIs(protection), async (replica) => replica.points())
}
