// What hangs in the operations room. One clock drives everything; every list is bounded, so it can hang there for weeks.
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useSearch } from '@tanstack/react-router'
import type { WallRunSummary } from '@understudy/contract/wall'
import { useEffect, useState } from 'react'
import { api, problemOf } from '../api/client.ts'
import { displaySecret } from '../api/display-link.ts'
import { useConnection } from '../api/live.ts'
import { WallSites } from '../features/overview/WallSites.tsx'
import { Incident } from '../features/plan-runs/Incident.tsx'
import { PlanTiles } from '../features/plan-runs/PlanTiles.tsx'
import { flowOfRun } from '../features/plan-runs/run-flow.ts'
import { isActive, isFailover, titleOfRun } from '../features/plan-runs/run-words.ts'
import { MachineTiles } from '../features/protections/MachineTiles.tsx'
import { freshnessOf } from '../features/wall/freshness.ts'
import { WallDark } from '../features/wall/WallDark.tsx'
import { WallFrame } from '../features/wall/WallFrame.tsx'
import {
  chooseLayout,
  chooseRun,
  chooseSiteFailover,
  cycleOf,
  type WallLayout,
  wordsOfLayout,
} from '../features/wall/wall-rotation.ts'
import { useNow } from '../ui/use-now.ts'

/** Hints make it quicker; without any it is never older than this. */
const refetchInterval = 10_000

export function WallPage({ layout }: { readonly layout: WallLayout }) {
  const [end, setEnd] = useState<string | null>(null)
  return end === null ? <LiveWall layout={layout} onEnd={setEnd} /> : <WallDark why={end} />
}

type LiveWallProps = { readonly layout: WallLayout; readonly onEnd: (why: string) => void }

function LiveWall({ layout, onEnd }: LiveWallProps) {
  const { cycle } = useSearch({ strict: false })
  const connection = useConnection()
  const browserNow = useNow(1000)
  const display = displaySecret() !== null
  const picture = useQuery({ ...api.wall.picture.queryOptions(), refetchInterval })
  const { data } = picture
  // The screen's own clock may be wrong; the server's is what the times of a run are of.
  const skew = data ? Date.parse(data.overview.serverTime) - picture.dataUpdatedAt : 0
  const now = browserNow + skew
  const runs = data?.runs ?? []
  const incident = chooseRun(runs.filter(isFailover), now)
  const shownRun = incident ?? chooseRun(runs, now)
  const run = useQuery({
    ...api.wall.run.queryOptions({ input: { id: shownRun?.id ?? '' } }),
    enabled: shownRun !== null,
    refetchInterval: shownRun?.endedAt === null ? 2000 : refetchInterval,
    placeholderData: keepPreviousData,
  })
  const end = endOf(picture.error) ?? endOf(run.error)
  useEffect(() => {
    if (end !== null) onEnd(end)
  }, [end, onEnd])
  if (end !== null) return null
  const shown = chooseLayout({
    chosen: layout,
    cycleSeconds: cycleOf(cycle),
    now,
    hasIncident: incident !== null,
    hasRun: shownRun !== null,
  })
  const parts = [picture, ...(shownRun ? [run] : [])]
  const freshness = freshnessOf({
    connection,
    answeredAt: parts.map(({ dataUpdatedAt }) => dataUpdatedAt),
    now: browserNow,
  })
  const active = runs.filter(isActive)
  const waiting =
    (data?.overview.waiting ?? 0) + active.reduce((sum, { waitingForPeople }) => sum + waitingForPeople, 0)
  const drawn = (): React.ReactNode => {
    if (!data) return null
    switch (shown) {
      case 'sites':
        return <WallSites overview={data.overview} waiting={waiting} />
      case 'machines':
        return <MachineTiles protections={data.machines} total={data.overview.counts.protections} />
      case 'plans':
        return <PlanTiles plans={data.plans} now={now} />
      case 'incident':
        if (!run.data) return shownRun === null ? <p>No plan is being run.</p> : null
        return (
          <Incident
            run={run.data}
            now={now}
            flow={flowOfRun(run.data, data.machines)}
            site={chooseSiteFailover(data.siteFailovers, now)}
            others={active.filter(({ id }) => id !== run.data.id).map(wordsOfOther)}
          />
        )
    }
  }
  return (
    <WallFrame
      title={shown === 'incident' && run.data ? titleOfRun(run.data) : wordsOfLayout[shown]}
      shown={shown}
      cycle={cycle}
      freshness={freshness}
      now={now}
      display={display}
    >
      {drawn() ?? (freshness.kind === 'loading' ? <p>Reading from the server</p> : null)}
    </WallFrame>
  )
}

/** Why the display link opens nothing any more; null: it does, or there is another problem. */
function endOf(error: unknown): string | null {
  if (error === null) return null
  const { code, detail } = problemOf(error)
  return code === 'access/display-ended' ? detail : null
}

const wordsOfOther = (run: WallRunSummary): string =>
  run.waitingForPeople > 0 ? `${titleOfRun(run)} (waits for people)` : titleOfRun(run)

/** `/wall` */
export const FirstWallPage = () => <WallPage layout="sites" />
