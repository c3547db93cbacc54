// Keeping a copy below the policy's rate.
import type { Clock } from '@understudy/base/instant'
import type { BlockReader } from '@understudy/block/device'
import type { Sleep } from '../engine-parts.ts'

export type Pace = {
  /** Resolves when this many bytes may pass. Callers are served in order. */
  take(bytes: number, signal?: AbortSignal): Promise<void>
}

/** At most this many bytes a second over any longer while; a pause earns one second's worth of burst at most. */
export function openPace(bytesPerSecond: number, time: Clock & { sleep: Sleep }): Pace {
  if (bytesPerSecond === 0) return { take: async () => {} }
  let freeAt = time.now()
  return {
    async take(bytes, signal) {
      const now = time.now()
      const begin = Math.max(freeAt, now - 1000)
      freeAt = begin + (bytes * 1000) / bytesPerSecond
      if (begin > now) await time.sleep(begin - now, signal)
    },
  }
}

export function withPace(reader: BlockReader, pace: Pace): BlockReader {
  const { map } = reader
  const readInto = reader.readInto?.bind(reader)
  return {
    bytes: reader.bytes,
    async read(offset, bytes, signal) {
      await pace.take(bytes, signal)
      return await reader.read(offset, bytes, signal)
    },
    ...(readInto
      ? {
          async readInto(offset: number, target: Buffer, signal?: AbortSignal): Promise<void> {
            await pace.take(target.length, signal)
            await readInto(offset, target, signal)
          },
        }
      : {}),
    ...(map ? { map: map.bind(reader) } : {}),
    close: () => reader.close(),
  }
}
