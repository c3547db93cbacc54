// What hangs in the operations room. One clock drives everything; every list is bounded, so it can hang there for weeks.
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useSearch } from '@tanstack/react-router'
import { api } from '../api/client.ts'
import { useConnection, useRooms } from '../api/live.ts'
import { WallSites } from '../features/overview/WallSites.tsx'
import { Incident } from '../features/plan-runs/Incident.tsx'
import { PlanTiles } from '../features/plan-runs/PlanTiles.tsx'
import { flowOf } from '../features/plan-runs/run-flow.ts'
import { isFailover, titleOfRun } from '../features/plan-runs/run-words.ts'
import { MachineTiles } from '../features/protections/MachineTiles.tsx'
import { freshnessOf } from '../features/wall/freshness.ts'
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
const mostTiles = 120

export function WallPage({ layout }: { readonly layout: WallLayout }) {
  const { cycle } = useSearch({ strict: false })
  const connection = useConnection()
  const browserNow = useNow(1000)
  useRooms(['measurements'])
  const overview = useQuery({ ...api.overview.queryOptions(), refetchInterval })
  const troubled = useQuery({
    ...api.protections.list.queryOptions({
      input: { health: 'bad,at-risk', sort: '-lag', limit: mostTiles },
    }),
    refetchInterval,
  })
  const others = useQuery({
    ...api.protections.list.queryOptions({ input: { health: 'good,off', sort: 'name', limit: mostTiles } }),
    refetchInterval,
  })
  const plans = useQuery({ ...api.plans.list.queryOptions(), refetchInterval })
  const active = useQuery({
    ...api.planRuns.list.queryOptions({ input: { state: 'running,paused,cancelling', limit: 20 } }),
    refetchInterval,
  })
  const recent = useQuery({ ...api.planRuns.list.queryOptions({ input: { limit: 10 } }), refetchInterval })
  const sites = useQuery({ ...api.siteFailovers.list.queryOptions({ input: { limit: 5 } }), refetchInterval })
  // The screen's own clock may be wrong; the server's is what the times of a run are of.
  const skew = overview.data ? Date.parse(overview.data.serverTime) - overview.dataUpdatedAt : 0
  const now = browserNow + skew
  const runs = [
    ...(active.data?.items ?? []),
    ...(recent.data?.items.filter(({ endedAt }) => endedAt !== null) ?? []),
  ]
  const incident = chooseRun(runs.filter(isFailover), now)
  const shownRun = incident ?? chooseRun(runs, now)
  const run = useQuery({
    ...api.planRuns.get.queryOptions({ input: { id: shownRun?.id ?? '' } }),
    enabled: shownRun !== null,
    refetchInterval: shownRun?.endedAt === null ? 2000 : refetchInterval,
    placeholderData: keepPreviousData,
  })
  const shown = chooseLayout({
    chosen: layout,
    cycleSeconds: cycleOf(cycle),
    now,
    hasIncident: incident !== null,
    hasRun: shownRun !== null,
  })
  const parts = [overview, troubled, others, plans, active, recent, sites, ...(shownRun ? [run] : [])]
  const freshness = freshnessOf({
    connection,
    answeredAt: parts.map(({ dataUpdatedAt }) => dataUpdatedAt),
    now: browserNow,
  })
  const protections = [...(troubled.data?.items ?? []), ...(others.data?.items ?? [])]
  // A question of a machine's job is counted by its job and by its run.
  const waiting = Math.max(
    overview.data?.waiting.length ?? 0,
    (active.data?.items ?? []).reduce((sum, { waitingForPeople }) => sum + waitingForPeople, 0),
  )
  const picture = (): React.ReactNode => {
    switch (shown) {
      case 'sites':
        return overview.data && <WallSites overview={overview.data} waiting={waiting} />
      case 'machines':
        return (
          <MachineTiles
            protections={protections}
            total={overview.data?.counts.protections ?? protections.length}
          />
        )
      case 'plans':
        return plans.data && <PlanTiles plans={plans.data.items} now={now} />
      case 'incident':
        if (!run.data) return shownRun === null && active.data ? <p>No plan is being run.</p> : null
        return (
          <Incident
            run={run.data}
            now={now}
            flow={flowOf(run.data.plan, protections, run.data.direction)}
            site={chooseSiteFailover(sites.data?.items ?? [], now)}
            others={(active.data?.items ?? []).filter(({ id }) => id !== run.data.id).map(titleOfRun)}
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
    >
      {picture() ?? (freshness.kind === 'loading' ? <p>Reading from the server</p> : null)}
    </WallFrame>
  )
}

/** `/wall` */
export const FirstWallPage = () => <WallPage layout="sites" />
