// What comes through a data stream, as long as it is neither too much nor too slow: a peer that trickles, or says nothing, holds nothing here.
import { badFrame } from '@understudy/agent-protocol/frames'
import { endsAt, type StreamLimits } from '@understudy/agent-protocol/stream-limits'
import { Outage } from '@understudy/base/errors'

export type TakenStream = AsyncIterable<Buffer> & { destroy(error?: Error): unknown }

type Watched = {
  readonly limits: StreamLimits
  /** Milliseconds of a clock that nobody sets. */
  readonly now: () => number
  readonly lookMilliseconds: number
  readonly heard: (bytes: number) => void
}

/** What was begun below the limits is ended a little above them: a frame, and its head. */
const LAST_FRAME_BYTES = 2 * 1024 * 1024

/** Throws Outage (`agent/stream-too-slow`, `agent/bad-frame`) at a limit, and ends the stream. */
export async function* withinLimits(
  stream: TakenStream,
  { limits, now, lookMilliseconds, heard }: Watched,
): AsyncGenerator<Buffer> {
  const startedAt = now()
  let movedAt = startedAt
  let bytes = 0
  let late: Outage | null = null
  const looking = setInterval(() => {
    const at = now()
    if (at - movedAt < limits.idleMilliseconds && at < endsAt(limits, { startedAt, bytes })) return
    late = tooSlow(bytes, at - startedAt)
    stream.destroy(late)
  }, lookMilliseconds)
  try {
    for await (const part of stream) {
      movedAt = now()
      bytes += part.length
      if (bytes > limits.bytes + LAST_FRAME_BYTES) throw badFrame('it is longer than any that an agent sends')
      heard(part.length)
      yield part
    }
  } catch (error) {
    throw late ?? error
  } finally {
    clearInterval(looking)
  }
}

const tooSlow = (bytes: number, milliseconds: number): Outage =>
  new Outage({
    code: 'agent/stream-too-slow',
    message: `A data stream of the agent brought ${bytes} bytes in ${Math.round(milliseconds / 1000)} s, and was ended`,
    remedy:
      'It is asked for again. If it stays, check the line between the two, and a proxy if there is one.',
  })
