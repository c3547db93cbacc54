// What goes on behind the cycles: merging, folding, reclaiming, and the merged indexes. One run at a time for a replica.
import { isAbort, Refusal } from '@understudy/base/errors'
import { buildRun, type MergeDeps, mergeLayers } from './merge-layers.ts'
import { planMerge, planRuns } from './plan-merge.ts'
import type { ReplicaCore, Writer } from './replica-core.ts'
import { throttle } from './throttle.ts'

export class Maintenance {
  readonly #core: ReplicaCore
  readonly #writer: Writer
  readonly #stop = new AbortController()
  readonly #immovable = new Set<number>()
  #running: Promise<void> | null = null
  #failure: { readonly error: unknown } | null = null
  #seals = 0

  constructor(core: ReplicaCore, writer: Writer) {
    this.#core = core
    this.#writer = writer
  }

  /** Starts a run unless one is under way. What goes wrong behind is thrown by the next call: nothing is lost, only late. */
  async run(signal?: AbortSignal): Promise<void> {
    const { maintainBehind } = this.#core.deps.limits
    this.#running ??= this.#workQuietly(signal)
    if (!maintainBehind) await this.#running
    const failure = this.#failure
    this.#failure = null
    if (failure !== null) throw failure.error
  }

  async afterSeal(): Promise<void> {
    this.#seals += 1
    if (this.#seals < this.#core.deps.limits.sealsPerMaintenance) return
    this.#seals = 0
    // The point is sealed; that its index could not be merged is the next call's news.
    await this.run().catch((error: unknown) => {
      this.#failure = { error }
    })
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async #workQuietly(signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#work(signal)
      await this.#core.rest()
    } catch (error) {
      if (!isAbort(error)) this.#failure = { error }
    }
    this.#running = null
  }

  async #work(signal: AbortSignal | undefined): Promise<void> {
    const deps: MergeDeps = {
      core: this.#core,
      writer: this.#writer,
      throttle: throttle(this.#core.deps.limits.maintenanceBytesPerSecond),
      signal: signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]),
      immovable: this.#immovable,
    }
    await this.#mergeAll(deps)
    for (const plan of planRuns(this.#core.state, this.#core.deps.limits.runFanout)) {
      deps.signal.throwIfAborted()
      await buildRun(deps, plan)
    }
  }

  async #mergeAll(deps: MergeDeps): Promise<void> {
    for (;;) {
      deps.signal.throwIfAborted()
      const plan = planMerge(this.#core.state, this.#core.deps.limits)
      if (plan === null) return
      const immovable = this.#immovable.size
      try {
        await mergeLayers(deps, plan)
      } catch (error) {
        // Each damaged record is found once; then its segment stays where it is and the merge goes on without moving it.
        const isNews = this.#immovable.size > immovable
        if (!(error instanceof Refusal && error.code === 'replica/damaged' && isNews)) throw error
      }
    }
  }
}
