// Azure tells of pages of 512 bytes: of a large disk that was written everywhere more than memory holds.
import { KiB } from '@understudy/base/bytes'
import type { Extent } from '@understudy/block/device'
import { coalesce, sorted } from '@understudy/block/extents'

export type ChangedPages = { readonly written: readonly Extent[]; readonly cleared: readonly Extent[] }

/** Some tens of MiB. */
const MOST_RANGES = 250_000
const SMALLEST_GAP_BYTES = 64 * KiB

export type GatheredPages = {
  add(pages: ChangedPages): void
  /** Sorted. */
  all(): ChangedPages
}

/** Where there are too many ranges, those near to each other become one that was written: it is read as it is, with what lies between. */
export function gatherPages(most = MOST_RANGES): GatheredPages {
  let written: Extent[] = []
  let cleared: Extent[] = []

  function join(): void {
    const all = sorted(written.concat(cleared))
    cleared = []
    written = all
    // Half, so that it need not be done again for each range that comes.
    for (let gap = SMALLEST_GAP_BYTES; written.length > most / 2; gap *= 2) written = coalesce(all, gap)
  }
  return {
    add(pages) {
      // No spread: a function takes about a hundred thousand arguments.
      for (const extent of pages.written) written.push(extent)
      for (const extent of pages.cleared) cleared.push(extent)
      if (written.length + cleared.length > most) join()
    },
    all: () => ({ written: sorted(written), cleared: sorted(cleared) }),
  }
}
