import { Refusal } from '@understudy/base/errors'
import type { PointAnnotations, RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import { loadProtection } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import type { PointRequest } from '../requests.ts'
import { whereIs, withReplica } from './with-replica.ts'

/** Changes what people say about a point; what was known when it was sealed never changes. Repeatable. */
export async function annotatePoint(parts: EngineParts, request: PointRequest): Promise<RecoveryPoint> {
  const protection = await loadProtection(parts, request.protectionId)
  return await withReplica(parts, whereIs(protection), async (replica) => {
    const point = replica.points().find(({ id }) => id === request.pointId)
    if (!point)
      throw new Refusal({
        code: 'recovery-point/not-found',
        message: `There is no recovery point ${request.pointId} any more`,
        remedy: 'Choose another recovery point.',
      })
    const changed = await replica.annotate(point.id, withChange(point.annotations, request))
    parts.live.changed('protections', request.protectionId)
    return changed
  })
}

/** A note that is taken away becomes empty: stores merge annotations, so leaving it out would keep it. */
const withChange = (annotations: PointAnnotations, { note, pinned }: PointRequest): PointAnnotations => ({
  ...annotations,
  ...(note === undefined ? {} : { note: note ?? '' }),
  ...(pinned === undefined ? {} : { pinned }),
})
