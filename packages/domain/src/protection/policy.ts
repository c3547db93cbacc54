import type { Brand } from '@understudy/base/brand'
import { Refusal } from '@understudy/base/errors'

export type PolicyId = Brand<'PolicyId'>

/** Keep one point every `everySeconds` among those younger than `forSeconds`. `everySeconds: 0` keeps every point. */
export type RetentionTier = { readonly everySeconds: number; readonly forSeconds: number }

/** How machines are replicated. */
export type PolicySettings = {
  readonly intervalSeconds: number
  /** Lag beyond which an alert is raised. */
  readonly lagTargetSeconds: number
  /** 0: never. */
  readonly applicationConsistentEverySeconds: number
  /** From young to old; the last tier's `forSeconds` is how far back one can go. */
  readonly retention: readonly RetentionTier[]
  readonly compress: boolean
  readonly encrypt: boolean
  /** Among protections waiting for a mover the higher goes first. 1 to 9. */
  readonly priority: number
  /** Bytes per second a mover reads for one protection; 0 is unlimited. */
  readonly rateLimitBytesPerSecond: number
  /** What happens to a failover nobody commits: after this long `uncommittedAction` is done. 0: nothing. */
  readonly commitTimeoutSeconds: number
  readonly uncommittedAction: 'commit' | 'roll-back'
}

export type Policy = PolicySettings & { readonly id: PolicyId; readonly name: string }

const hour = 3600
const day = 24 * hour

export const defaultPolicySettings: PolicySettings = {
  intervalSeconds: 5,
  lagTargetSeconds: 30,
  applicationConsistentEverySeconds: hour,
  retention: [
    { everySeconds: 0, forSeconds: hour },
    { everySeconds: 5 * 60, forSeconds: day },
    { everySeconds: hour, forSeconds: 3 * day },
  ],
  compress: true,
  encrypt: false,
  priority: 5,
  rateLimitBytesPerSecond: 0,
  commitTimeoutSeconds: 0,
  uncommittedAction: 'commit',
}

const SHORTEST_COMMIT_TIMEOUT_SECONDS = 60
const LOWEST_RATE_BYTES_PER_SECOND = 16 * 1024

/** Refuses settings that no mover could keep. Shapes are the contract's business; this is about sense. */
export function checkPolicy(policy: PolicySettings): void {
  const refuse = (message: string, remedy: string): never => {
    throw new Refusal({ code: 'policy/invalid', message, remedy })
  }
  if (policy.intervalSeconds < 1 || policy.intervalSeconds > day)
    refuse(`An interval of ${policy.intervalSeconds} s is out of range`, 'Choose 1 s to 24 h.')
  if (policy.lagTargetSeconds < policy.intervalSeconds)
    refuse('The lag target is shorter than the interval', 'Make the lag target at least the interval.')
  if (policy.priority < 1 || policy.priority > 9) refuse('The priority is out of range', 'Choose 1 to 9.')
  if (policy.retention.length === 0) refuse('There is no retention tier', 'Add at least one tier.')
  let previous: RetentionTier | null = null
  for (const tier of policy.retention) {
    if (previous && (tier.forSeconds <= previous.forSeconds || tier.everySeconds <= previous.everySeconds))
      refuse(
        'Retention tiers must grow',
        'Let each tier reach further back with wider steps than the one before.',
      )
    if (tier.forSeconds < tier.everySeconds)
      refuse(
        'A retention tier is shorter than its step: it would keep nothing',
        'Let it reach back at least as far as the distance between its points.',
      )
    previous = tier
  }
  if (
    policy.applicationConsistentEverySeconds > 0 &&
    policy.applicationConsistentEverySeconds < policy.intervalSeconds
  )
    refuse(
      'Application-consistent points are wanted more often than points',
      'Make their interval at least that of the points, or 0 for none.',
    )
  if (policy.commitTimeoutSeconds > 0 && policy.commitTimeoutSeconds < SHORTEST_COMMIT_TIMEOUT_SECONDS)
    refuse(
      `Nobody can decide about a failover within ${policy.commitTimeoutSeconds} s`,
      `Give at least ${SHORTEST_COMMIT_TIMEOUT_SECONDS} s, or 0 for no timer.`,
    )
  if (policy.rateLimitBytesPerSecond > 0 && policy.rateLimitBytesPerSecond < LOWEST_RATE_BYTES_PER_SECOND)
    refuse(
      `With ${policy.rateLimitBytesPerSecond} bytes a second nothing would ever be replicated`,
      'Allow at least 16 KiB a second, or 0 for no limit.',
    )
}
