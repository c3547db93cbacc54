// Keeps the runs of plans going in this process. What there is to do stands in the rows, so any number of processes may do this at once.
import { isAbort } from '@understudy/base/errors'
import type { EngineParts } from '../engine-parts.ts'
import { type Conducting, conductRun } from './conduct-run.ts'
import { conductSiteFailover } from './fail-over-site.ts'

export type Conductor = {
  start(): void
  /** Something may have moved: look soon instead of at the next turn. */
  wake(): void
  stop(): Promise<void>
}

const EVERY_MILLISECONDS = 1000
/** Many jobs end at once; one look serves them all. */
const AT_LEAST_MILLISECONDS = 20
/** Of one run, without a pause: whatever goes on for longer than this waits for the next turn. */
const LOOKS_AT_ONCE = 100

export function createConductor(conducting: Conducting): Conductor {
  const { parts } = conducting
  const stopping = new AbortController()
  const { siteFailovers, planRuns } = parts.stores

  const lookAtAll = <Id extends string>(
    rows: readonly { readonly id: Id }[],
    look: (id: Id) => Promise<boolean>,
  ): Promise<unknown> =>
    Promise.all(
      rows.map(async ({ id }) => {
        try {
          for (let looks = 0; looks < LOOKS_AT_ONCE && !stopping.signal.aborted; looks += 1)
            if (!(await look(id))) return
        } catch (error) {
          if (!isAbort(error)) parts.log('warn', 'a run of a plan could not be looked at', { run: id, error })
        }
      }),
    )
  const runs = createLoop(parts, stopping.signal, async () => {
    await lookAtAll(await planRuns.active(), (id) => conductRun(conducting, id))
  })
  // Apart: a plan that is slow to begin, because a store does not answer, must not hold up the runs that go on.
  const sites = createLoop(parts, stopping.signal, async () => {
    await lookAtAll(await siteFailovers.active(), async (id) => {
      const moved = await conductSiteFailover(parts, id)
      if (moved) runs.wake()
      return moved
    })
  })
  const wake = (): void => {
    sites.wake()
    runs.wake()
  }
  let going: Promise<unknown> | null = null

  return {
    start() {
      going ??= Promise.all([sites.go(), runs.go()])
    },
    wake,
    async stop() {
      stopping.abort(new DOMException('The conductor stops', 'AbortError'))
      await going
    },
  }
}

/** Turn after turn until the signal; never fails. */
function createLoop(parts: EngineParts, stopping: AbortSignal, turn: () => Promise<void>) {
  let woken = new AbortController()
  return {
    wake: (): void => woken.abort(new DOMException('There is something to do', 'AbortError')),
    async go(): Promise<void> {
      while (!stopping.aborted) {
        woken = new AbortController()
        await turn().catch((error: unknown) =>
          parts.log('warn', 'the runs of plans could not be looked for', { error }),
        )
        await pause(parts, AT_LEAST_MILLISECONDS, stopping)
        await pause(parts, EVERY_MILLISECONDS, AbortSignal.any([stopping, woken.signal]))
      }
    },
  }
}

async function pause({ sleep }: EngineParts, milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, signal).catch((error: unknown) => {
    if (!isAbort(error)) throw error
  })
}
