// A short past of what Live measures, for charts. Losing some of it loses nothing else.
import type { Instant } from '@understudy/base/instant'
import type { ProtectionId } from '@understudy/domain/protection/protection'

export type LagSample = {
  readonly protectionId: ProtectionId
  readonly at: Instant
  /** Null while there is no recovery point. */
  readonly lagSeconds: number | null
  /** Moved since the sample before. */
  readonly bytes: number
}

export interface HistoryStore {
  /** One call for many protections. A second sample of the same protection and instant replaces the first. */
  append(samples: readonly LagSample[]): Promise<void>
  /**
   * Samples with `from <= at < to`, from old to new. When there are more than `maximumRows`, neighbours are merged into
   * equal time slots: the greatest lag, the sum of bytes, the newest instant of each slot.
   */
  range(
    protectionId: ProtectionId,
    from: Instant,
    to: Instant,
    maximumRows: number,
  ): Promise<readonly LagSample[]>
  /** Bounded history: drops what is older than `before`. Returns how many. */
  trim(before: Instant): Promise<number>
}
