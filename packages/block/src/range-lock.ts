// Who may touch a range of a disk now. For read-modify-write, where two writers in one grain would lose one of them.
import type { Extent } from './device.ts'

export type RangeLock = {
  /** Runs `work` while nothing else runs in an overlapping range. First come, first served among those that overlap. */
  hold<T>(range: Extent, work: () => Promise<T>): Promise<T>
}

export function rangeLock(): RangeLock {
  const held = new Set<{ readonly range: Extent; readonly released: Promise<void> }>()
  return {
    async hold(range, work) {
      const before = [...held].filter((other) => overlap(other.range, range)).map((other) => other.released)
      const { promise: released, resolve: release } = Promise.withResolvers<void>()
      const own = { range, released }
      // Registered before waiting: whoever comes later waits for us too.
      held.add(own)
      try {
        await Promise.all(before)
        return await work()
      } finally {
        held.delete(own)
        release()
      }
    },
  }
}

const overlap = (a: Extent, b: Extent): boolean =>
  a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes
