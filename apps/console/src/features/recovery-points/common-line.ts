// The points of several machines as one line. Pure.
import type { PlanTimeLine } from '@understudy/contract/recovery-plan'
import { type LinePoint, type TimedPoint, toTimed } from './time-line-layout.ts'

type Machine = PlanTimeLine['machines'][number]

export type CommonLine = {
  readonly points: readonly TimedPoint<LinePoint>[]
  /** The name of the machine whose point it is. */
  readonly ownerOf: (pointId: string) => string
}

/** Points of two machines may have one id: on the line each has one of its own. */
export function commonLine(machines: readonly Pick<Machine, 'itemId' | 'name' | 'points'>[]): CommonLine {
  const owners = new Map<string, string>()
  const points = machines.flatMap(({ itemId, name, points: own }) =>
    own.map((point) => {
      const id = `${itemId} ${point.id}`
      owners.set(id, name)
      return { ...point, id }
    }),
  )
  return { points: toTimed(points), ownerOf: (id) => owners.get(id) ?? '' }
}
