import { queryOptions, useQuery, useQueryClient } from '@tanstack/react-query'
import type { RecoveryPoint } from '@understudy/contract/recovery-point'
import { useMemo } from 'react'
import { client } from '../../api/client.ts'
import { toTimed } from './time-line-layout.ts'

type Loaded = {
  readonly points: readonly RecoveryPoint[]
  readonly wholeAt: number
  readonly complete: boolean
}

const pageRows = 500
const mostPages = 60
/** Retention takes points away without a word about each: after this long everything is read again. */
const wholeAgainMilliseconds = 120_000

type Wanted = {
  readonly protectionId: string
  /** The site that is replicated from: when the direction turns there is another replica, and the points are others. */
  readonly sourceSiteId: string
  /** False before the first point, when there is no replica to ask. */
  readonly expected: boolean
}

/** All points of one protection, oldest first. After the first time only what is new is asked for. */
export function usePoints({ protectionId, sourceSiteId, expected }: Wanted) {
  const queries = useQueryClient()
  const options = queryOptions({
    queryKey: [['protections', 'recoveryPoints'], { input: { id: protectionId, sourceSiteId }, type: 'all' }],
    queryFn: async ({ signal }): Promise<Loaded> => {
      const known = queries.getQueryData<Loaded>(options.queryKey)
      const newest = known?.points[0]
      const pages = Math.ceil((known?.points.length ?? 0) / pageRows)
      const fresh = known && Date.now() - known.wholeAt < wholeAgainMilliseconds * Math.max(1, pages / 4)
      if (!known || !newest || !fresh)
        return { ...(await loadFrom(protectionId, null, signal)), wholeAt: Date.now() }
      const added = await loadFrom(protectionId, newest.instant, signal)
      const addedIds = new Set(added.points.map(({ id }) => id))
      return { ...known, points: [...added.points, ...known.points.filter(({ id }) => !addedIds.has(id))] }
    },
    enabled: expected,
  })
  const { data, error } = useQuery(options)
  const timed = useMemo(() => (data ? toTimed(data.points) : expected ? undefined : []), [data, expected])
  /** Puts a changed point (note, pin) in its place at once. */
  const adopt = (point: RecoveryPoint): void => {
    queries.setQueryData<Loaded>(
      options.queryKey,
      (known) =>
        known && { ...known, points: known.points.map((each) => (each.id === point.id ? point : each)) },
    )
  }
  return { timed, complete: data?.complete ?? true, error, adopt }
}

async function loadFrom(id: string, from: string | null, signal: AbortSignal) {
  const points: RecoveryPoint[] = []
  let cursor: string | undefined
  for (let page = 0; page < mostPages; page += 1) {
    const answer = await client.protections.recoveryPoints(
      { id, limit: pageRows, cursor, ...(from === null ? {} : { from }) },
      { signal },
    )
    points.push(...answer.items)
    if (answer.next === null) return { points, complete: true }
    cursor = answer.next
  }
  return { points, complete: false }
}
