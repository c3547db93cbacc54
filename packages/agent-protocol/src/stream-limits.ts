// How much one data stream carries, and how slow it may be. Whoever sends keeps below it, whoever takes ends what does not.

export type StreamLimits = {
  /** What the sender puts into one, at least where there is so much; what was begun is ended. */
  readonly bytes: number
  /** Those of nothing but zeros weigh next to nothing. All of them fit into one message when the stream goes down. */
  readonly frames: number
  /** How long the sender goes on to begin with something new in one. */
  readonly milliseconds: number
  /** In which not a byte gets through. */
  readonly idleMilliseconds: number
  /** All of it, besides what its bytes are given. */
  readonly totalMilliseconds: number
  /** Slower than that over the whole of it is as good as standing still. */
  readonly bytesPerSecond: number
}

export const streamLimits: StreamLimits = {
  bytes: 64 * 1024 * 1024,
  frames: 4000,
  // Below what proxies and the server have patience for.
  milliseconds: 60_000,
  idleMilliseconds: 120_000,
  totalMilliseconds: 240_000,
  bytesPerSecond: 4096,
}

/** When a stream that has carried so much is over, whatever comes. */
export const endsAt = (
  { totalMilliseconds, bytesPerSecond }: StreamLimits,
  { startedAt, bytes }: { readonly startedAt: number; readonly bytes: number },
): number => startedAt + totalMilliseconds + (bytes / bytesPerSecond) * 1000
