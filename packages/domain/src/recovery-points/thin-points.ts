// A long history as far as a line of a thousand pixels can show it.
import type { RecoveryPoint } from './recovery-point.ts'

type Shown = Pick<RecoveryPoint, 'instant' | 'annotations' | 'consistency'>

/**
 * At most about `most` points, from old to new: always the newest and the oldest and what stands out, and of the rest the last of each
 * stretch of time. What is left out can still be asked for by its instant. Pure.
 */
export function thinPoints<Point extends Shown>(points: readonly Point[], most: number): readonly Point[] {
  const [first] = points
  const last = points.at(-1)
  if (first === undefined || last === undefined || points.length <= most) return points
  // Half for the newest, which lie closest together; half for all that came before.
  const half = Math.floor(most / 2)
  const older = points.slice(0, -half)
  const span = Math.max(1, (older.at(-1) ?? last).instant - first.instant)
  const stretchOf = ({ instant }: Point): number => Math.floor(((instant - first.instant) / span) * half)
  const kept = older.filter((point, index) => {
    const next = older[index + 1]
    return index === 0 || standsOut(point) || next === undefined || stretchOf(next) !== stretchOf(point)
  })
  return [...kept, ...points.slice(-half)]
}

const standsOut = ({ annotations: { pinned, suspicious } }: Shown): boolean =>
  pinned === true || suspicious !== undefined
