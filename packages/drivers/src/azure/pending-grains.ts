// What was written to a disk and has not gone to Azure yet: whole grains, gathered until neighbours make one large request. Pure.
import type { Extent } from '@understudy/block/device'
import { GRAIN_BYTES } from '@understudy/block/zero-detection'
import { REQUEST_BYTES } from './limits.ts'

const GRAINS = REQUEST_BYTES / GRAIN_BYTES

/** A grain that reads as zeros. */
export type Grain = Buffer | 'zero'

/** Neighbouring grains of one kind, inside one window of 4 MiB. */
export type Batch = Extent & { readonly grains: readonly Buffer[] | 'zero' }

/** What an empty grain costs to remember, so that a flood of zeros is bounded too. */
const ZERO_COST = 64

export class PendingGrains {
  readonly #windows = new Map<number, Map<number, Grain>>()
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  get(grain: number): Grain | undefined {
    return this.#windows.get(Math.floor(grain / GRAINS))?.get(grain)
  }

  /** `content` is kept and must not change any more. */
  set(grain: number, content: Grain): void {
    const number = Math.floor(grain / GRAINS)
    let window = this.#windows.get(number)
    if (window === undefined) {
      window = new Map()
      this.#windows.set(number, window)
    }
    this.#bytes += costOf(content) - costOf(window.get(grain))
    window.set(grain, content)
  }

  /** Forgets whole windows: the range begins and ends at one. */
  drop({ offset, bytes }: Extent): void {
    for (const number of this.#numbersIn(offset / REQUEST_BYTES, (offset + bytes) / REQUEST_BYTES)) {
      for (const content of this.#windows.get(number)?.values() ?? []) this.#bytes -= costOf(content)
      this.#windows.delete(number)
    }
  }

  #numbersIn(first: number, end: number): number[] {
    if (end - first > this.#windows.size)
      return [...this.#windows.keys()].filter((number) => number >= first && number < end)
    return Array.from({ length: end - first }, (_, index) => first + index)
  }

  /** Takes out the windows that are complete: they need not wait for neighbours. */
  takeFull(): Batch[] {
    return this.#take((window) => window.size === GRAINS)
  }

  takeAll(): Batch[] {
    return this.#take(() => true)
  }

  #take(isWanted: (window: ReadonlyMap<number, Grain>) => boolean): Batch[] {
    const batches: Batch[] = []
    for (const [number, window] of this.#windows) {
      if (!isWanted(window)) continue
      this.#windows.delete(number)
      for (const content of window.values()) this.#bytes -= costOf(content)
      batches.push(...batchesOf(window))
    }
    return batches
  }
}

const costOf = (content: Grain | undefined): number => {
  if (content === undefined) return 0
  return content === 'zero' ? ZERO_COST : GRAIN_BYTES
}

function batchesOf(window: ReadonlyMap<number, Grain>): Batch[] {
  const batches: { offset: number; bytes: number; grains: Buffer[] | 'zero' }[] = []
  for (const [grain, content] of [...window].sort(([a], [b]) => a - b)) {
    const last = batches.at(-1)
    const offset = grain * GRAIN_BYTES
    const touches = last !== undefined && last.offset + last.bytes === offset
    if (touches && (content === 'zero') === (last.grains === 'zero')) {
      last.bytes += GRAIN_BYTES
      if (content !== 'zero' && last.grains !== 'zero') last.grains.push(content)
    } else batches.push({ offset, bytes: GRAIN_BYTES, grains: content === 'zero' ? 'zero' : [content] })
  }
  return batches
}
