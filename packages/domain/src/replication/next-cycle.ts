import type { Instant } from '@understudy/base/instant'

/**
 * When the cycle after this one begins. Cycles keep their beat (start to start); a cycle that took longer than the
 * interval is followed at once, and beats that were missed are not made up for. Pure.
 */
export function nextCycleAt(cycle: {
  startedAt: Instant
  endedAt: Instant
  intervalSeconds: number
}): Instant {
  return Math.max(cycle.startedAt + cycle.intervalSeconds * 1000, cycle.endedAt)
}

/** The wait before the next try after so many failures in a row (1 = the first). The last wait repeats. Pure. */
export function retryDelaySeconds(failures: number, delays: readonly number[]): number {
  return delays[Math.min(failures, delays.length) - 1] ?? delays.at(-1) ?? 60
}

export type DueCycle = {
  readonly dueAt: Instant
  /** 1 to 9, higher first. */
  readonly priority: number
  readonly intervalSeconds: number
}

/**
 * Which of the due cycles runs first when there is room for one. Priority decides, but one that has waited for whole
 * intervals rises by one step for each, so nobody starves. Null when nothing is due. Pure.
 */
export function chooseNextCycle<Cycle extends DueCycle>(
  cycles: readonly Cycle[],
  now: Instant,
): Cycle | null {
  let best: Cycle | null = null
  for (const cycle of cycles) {
    if (cycle.dueAt > now) continue
    if (best === null || urgency(cycle, now) > urgency(best, now)) best = cycle
  }
  return best
}

const urgency = (cycle: DueCycle, now: Instant): number =>
  cycle.priority + (now - cycle.dueAt) / 1000 / Math.max(1, cycle.intervalSeconds)
