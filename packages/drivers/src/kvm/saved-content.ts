// Which parts of a snapshot QEMU has saved because the guest has changed them since: the allocated clusters of its scratch.
import { MiB } from '@understudy/base/bytes'
import type { Extent } from '@understudy/block/device'
import { coalesce, intersect } from '@understudy/block/extents'
import type { NbdReader } from '@understudy/block/nbd/client'

/** Holds the number of layers that have the content: https://www.qemu.org/docs/master/interop/nbd.html */
export const DEPTH_CONTEXT = 'qemu:allocation-depth'
/** One answer about a little more costs less than two questions. */
const GAP_BYTES = 4 * MiB

type Question = {
  readonly range: Extent
  resolve(hasSaved: boolean): void
  reject(error: unknown): void
}

/** So many reads that are done are asked about at once, while others are under way. */
const TOGETHER = 8

export type SavedContent = {
  /** A read after which `has` may be asked. */
  reading<Result>(read: () => Promise<Result>): Promise<Result>
  /** Whether anything in the range has been saved up to now. An abort ends the wait, not the question, which others share. */
  has(range: Extent, signal?: AbortSignal): Promise<boolean>
}

/** Questions are asked together, so that a pipeline of reads pays one round trip for several; the last of them wait for nobody. */
export function askForSaved(scratch: Pick<NbdReader, 'blockStatus'>): SavedContent {
  let waiting: Question[] = []
  let isAsking = false
  let readsUnderWay = 0

  async function answer(questions: readonly Question[]): Promise<void> {
    try {
      const ranges = questions.map(({ range }) => range).sort((a, b) => a.offset - b.offset)
      const saved = (await Promise.all(coalesce(ranges, GAP_BYTES).map(savedIn))).flat()
      for (const { range, resolve } of questions) resolve(intersect([range], saved).length > 0)
    } catch (error) {
      for (const { reject } of questions) reject(error)
    }
  }
  async function savedIn(range: Extent): Promise<readonly Extent[]> {
    const saved: Extent[] = []
    for await (const { offset, bytes, flags } of scratch.blockStatus(DEPTH_CONTEXT, range))
      if (flags !== 0) saved.push({ offset, bytes })
    return saved
  }
  async function askIfWorthIt(): Promise<void> {
    if (isAsking) return
    isAsking = true
    while (waiting.length > 0 && waiting.length >= Math.min(TOGETHER, readsUnderWay)) {
      // What is asked while this is under way waits for the next turn: this answer may be older than its read.
      const questions = waiting
      waiting = []
      await answer(questions)
    }
    isAsking = false
  }

  return {
    async reading(read) {
      readsUnderWay += 1
      try {
        return await read()
      } finally {
        readsUnderWay -= 1
        void askIfWorthIt()
      }
    },
    has: (range, signal) =>
      new Promise((resolve, reject) => {
        const abort = (): void => reject(signal?.reason)
        const settle = (act: () => void): void => {
          signal?.removeEventListener('abort', abort)
          act()
        }
        signal?.addEventListener('abort', abort, { once: true })
        waiting.push({
          range,
          resolve: (hasSaved) => settle(() => resolve(hasSaved)),
          reject: (error) => settle(() => reject(error)),
        })
        void askIfWorthIt()
        if (signal?.aborted) abort()
      }),
  }
}
