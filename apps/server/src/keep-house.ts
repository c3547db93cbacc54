// Bounds of what the database remembers: once an hour, what nobody needs any more is dropped.
import type { Clock } from '@understudy/base/instant'
import type { OpenedStores } from '@understudy/store/open-stores'
import type { Logger } from 'pino'

const hour = 3_600_000
const day = 24 * hour
/** Events, ended jobs, tests with their pictures, resolved alerts. */
const historyMilliseconds = 90 * day
/** An auditor comes once a year and asks about the year before: who did what, and which recovery plans were tested. */
const auditMilliseconds = 800 * day
/** Nobody repeats a request after so long a time. */
const idempotencyMilliseconds = 7 * day

export type Housekeeping = { stop(): Promise<void> }
type Kept = Pick<
  OpenedStores,
  | 'sessions'
  | 'idempotency'
  | 'audit'
  | 'events'
  | 'jobs'
  | 'runs'
  | 'alerts'
  | 'planRuns'
  | 'tests'
  | 'siteFailovers'
  | 'agents'
>

/** Begins at once; several server processes may do it beside each other. A failure is logged and made good in an hour. */
export function keepHouse(stores: Kept, clock: Clock, log: Logger): Housekeeping {
  let round = cleanUp(stores, clock, log)
  const timer = setInterval(() => {
    round = round.then(() => cleanUp(stores, clock, log))
  }, hour)
  return {
    async stop() {
      clearInterval(timer)
      await round
    },
  }
}

async function cleanUp(stores: Kept, clock: Clock, log: Logger): Promise<void> {
  const now = clock.now()
  const trims: readonly (readonly [string, () => Promise<number>])[] = [
    ['sessions', () => stores.sessions.trim(now)],
    ['idempotency keys', () => stores.idempotency.trim(now - idempotencyMilliseconds)],
    ['audit entries', () => stores.audit.trim(now - auditMilliseconds)],
    ['events', () => stores.events.trim(now - historyMilliseconds)],
    ['jobs', () => stores.jobs.trim(now - historyMilliseconds)],
    ['tests', () => stores.runs.trim(now - historyMilliseconds)],
    ['runs of recovery plans', () => stores.planRuns.trim(now - auditMilliseconds)],
    ['scheduled tests', () => stores.tests.trim(now - auditMilliseconds)],
    ['failovers of sites', () => stores.siteFailovers.trim(now - auditMilliseconds)],
    ['orders and invitations of agents', () => stores.agents.trim(now - historyMilliseconds)],
    ['alerts', () => stores.alerts.trim(now - historyMilliseconds)],
  ]
  for (const [what, trim] of trims) {
    try {
      const count = await trim()
      if (count > 0) log.info({ what, count }, 'dropped what is too old')
    } catch (error) {
      log.warn({ error, what }, 'what is too old could not be dropped')
    }
  }
}
