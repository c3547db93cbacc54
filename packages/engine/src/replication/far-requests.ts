// Requests beyond those of every cycle, for what is read over a line. One number for the whole process, so that its memory stays bounded.

export type FarRequests = {
  /**
   * How many more may be under way to a disk that is so far away, until `giveBack`. None where it is near; half of what is left at
   * most, so that whoever comes next has some, too.
   */
  take(latencyMilliseconds: number): { readonly requests: number; giveBack(): void }
}

/** Nearer than that a request waits for the disk and not for the line. */
const NEAR_MILLISECONDS = 5
/** For each millisecond of the way: with 256 KiB more than a line of 1 Gbit/s carries, and what is packed is read in less. */
const REQUESTS_PER_MILLISECOND = 1
/** Of one disk: the line to an agent takes no more. */
const MOST_REQUESTS = 48

export function openFarRequests(all: number): FarRequests {
  let left = all
  return {
    take(latencyMilliseconds) {
      const wanted =
        latencyMilliseconds < NEAR_MILLISECONDS
          ? 0
          : Math.min(MOST_REQUESTS, Math.ceil(latencyMilliseconds * REQUESTS_PER_MILLISECOND))
      const requests = Math.min(wanted, Math.max(Math.floor(left / 2), Math.min(left, MOST_REQUESTS / 4)))
      left -= requests
      let given = false
      return {
        requests,
        giveBack() {
          if (!given) left += requests
          given = true
        },
      }
    },
  }
}
