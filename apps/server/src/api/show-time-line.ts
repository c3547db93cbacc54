// The recovery points of all machines of a plan as the API shows them.
import { toIso, toIsoOrNull } from '@understudy/base/instant'
import type { PlanDryRun, PlanTimeLine } from '@understudy/contract/recovery-plan'
import {
  type ChosenPoint,
  earliestCommon,
  latestProcessed,
  type MemberPoints,
} from '@understudy/domain/recovery-plans/plan-points'
import { thinPoints } from '@understudy/domain/recovery-points/thin-points'
import { showPoint } from './show-point.ts'

/** Of all machines together: more than a screen has columns, and an answer that a browser draws at once. */
const MOST_POINTS = 20_000
const MOST_OF_ONE = 1200

export function showTimeLine(members: readonly MemberPoints[]): PlanTimeLine {
  const most = Math.max(40, Math.min(MOST_OF_ONE, Math.floor(MOST_POINTS / Math.max(1, members.length))))
  return {
    machines: members.map(({ itemId, name, points, why }) => {
      const shown = thinPoints(points ?? [], most)
      return {
        itemId,
        name,
        points: shown.map((point) => {
          const { id, instant, consistency, verifiedAt, suspicious, pinned, held } = showPoint(point)
          return { id, instant, consistency, verifiedAt, suspicious, pinned, held }
        }),
        left: (points?.length ?? 0) - shown.length,
        problem: points === null ? (why ?? 'It is not known why') : null,
      }
    }),
    earliestCommon: toIsoOrNull(earliestCommon(members)),
    latestProcessed: toIsoOrNull(latestProcessed(members)),
  }
}

export const showChosenPoint = ({
  itemId,
  name,
  point,
  ageSeconds,
}: ChosenPoint): PlanDryRun['points'][number] => ({
  itemId,
  name,
  instant: point === null ? null : toIso(point.instant),
  consistency: point?.consistency ?? null,
  ageSeconds,
})
