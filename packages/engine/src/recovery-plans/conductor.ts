// Keeps the runs of plans going in this process. What there is to do stands in the rows, so any number of processes may do this at once.
import { isAbort } from '@understudy/base/errors'
import { createRecurring, type Recurring } from '../recurring.ts'
import { type Conducting, conductRun } from './conduct-run.ts'
import { conductSiteFailover } from './fail-over-site.ts'

/** Many jobs end at once; one look serves them all. */
const pace = { everyMilliseconds: 1000, atLeastMilliseconds: 20 } as const
/** Of one run, without a pause: whatever goes on for longer than this waits for the next turn. */
const LOOKS_AT_ONCE = 100

export function createConductor(conducting: Conducting): Recurring {
  const { parts } = conducting

  const lookAtAll = async <Id extends string>(
    rows: readonly { readonly id: Id }[],
    signal: AbortSignal,
    look: (id: Id) => Promise<boolean>,
  ): Promise<void> => {
    await Promise.all(
      rows.map(async ({ id }) => {
        try {
          for (let looks = 0; looks < LOOKS_AT_ONCE && !signal.aborted; looks += 1)
            if (!(await look(id))) return
        } catch (error) {
          if (!isAbort(error)) parts.log('warn', 'a run of a plan could not be looked at', { run: id, error })
        }
      }),
    )
  }
  const runs = createRecurring(parts, { name: 'the look for runs of plans', ...pace }, async (signal) =>
    lookAtAll(await parts.stores.planRuns.active(), signal, (id) => conductRun(conducting, id)),
  )
  // Apart: a plan that is slow to begin, because a store does not answer, must not hold up the runs that go on.
  const sites = createRecurring(parts, { name: 'the look for failovers of sites', ...pace }, async (signal) =>
    lookAtAll(await parts.stores.siteFailovers.active(), signal, async (id) => {
      const moved = await conductSiteFailover(parts, id)
      if (moved) runs.wake()
      return moved
    }),
  )
  return {
    start() {
      sites.start()
      runs.start()
    },
    wake() {
      sites.wake()
      runs.wake()
    },
    async stop() {
      await Promise.all([sites.stop(), runs.stop()])
    },
  }
}
