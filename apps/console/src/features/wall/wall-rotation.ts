// Which picture the wall shows now. Pure: it follows from the time alone, so the wall needs no timer for it and no memory.
export const wallLayouts = ['sites', 'machines', 'plans', 'incident'] as const
export type WallLayout = (typeof wallLayouts)[number]

export const wordsOfLayout: Record<WallLayout, string> = {
  sites: 'Sites',
  machines: 'Machines',
  plans: 'Plans',
  incident: 'Incident',
}

export type WallFacts = {
  /** Of the address. */
  readonly chosen: WallLayout
  /** Null: it stays with what was chosen. */
  readonly cycleSeconds: number | null
  /** Milliseconds since 1970. */
  readonly now: number
  /** A failover runs, or has just ended: nothing else is looked at then. */
  readonly hasIncident: boolean
  /** A plan is being run, if only as a test: worth a turn. */
  readonly hasRun: boolean
}

export function chooseLayout({ chosen, cycleSeconds, now, hasIncident, hasRun }: WallFacts): WallLayout {
  if (hasIncident) return 'incident'
  if (cycleSeconds === null) return chosen
  const turns = wallLayouts.filter((layout) => layout !== 'incident' || hasRun)
  // By the time of day, so that several walls beside each other turn together.
  const turn = Math.floor(now / (cycleSeconds * 1000)) % turns.length
  return turns[turn] ?? chosen
}

const shortestTurn = 5

/** What the address says about it. Quicker than a person can read is refused; nothing, zero or less: no cycle. */
export function cycleOf(seconds: number | undefined): number | null {
  if (seconds === undefined || seconds <= 0) return null
  return Math.max(shortestTurn, seconds)
}

/** After its end a failover stays on the wall for a while: the room wants to see how it came out. */
export const lingerSeconds = 300

type Run = { readonly startedAt: string; readonly endedAt: string | null; readonly waitingForPeople: number }

/** Of these the one that the room looks at: what goes on before what is over, what waits for people first, then the newest. */
export function chooseRun<Some extends Run>(runs: readonly Some[], now: number): Some | null {
  const fresh = runs.filter(
    ({ endedAt }) => endedAt === null || now - Date.parse(endedAt) < lingerSeconds * 1000,
  )
  const [first] = fresh.toSorted(
    (left, right) =>
      Number(left.endedAt !== null) - Number(right.endedAt !== null) ||
      Number(right.waitingForPeople > 0) - Number(left.waitingForPeople > 0) ||
      Date.parse(right.startedAt) - Date.parse(left.startedAt),
  )
  return first ?? null
}

type SiteFailover = { readonly startedAt: string; readonly endedAt: string | null }

/** Of failovers of whole sites, newest first, the one that the room looks at: it goes on, or has just ended. */
export const chooseSiteFailover = <Some extends SiteFailover>(
  failovers: readonly Some[],
  now: number,
): Some | null =>
  failovers.find(({ endedAt }) => endedAt === null) ??
  failovers.find(({ endedAt }) => endedAt !== null && now - Date.parse(endedAt) < lingerSeconds * 1000) ??
  null
