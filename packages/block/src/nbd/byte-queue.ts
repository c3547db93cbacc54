// Bytes as they come, taken in the portions that a protocol wants.
import { invariant } from '@understudy/base/invariant'

export type ByteQueue = {
  readonly bytes: number
  /** Somebody waits for more than is here. */
  readonly waiting: boolean
  push(data: Buffer): void
  /** The next `bytes` bytes: at once when they are here, else when they come. Rejects when the stream has failed. */
  take(bytes: number): Buffer | Promise<Buffer>
  /** Everything that came after the last `take`. */
  drain(): Buffer
  /** The stream ended: whoever waits, and whoever asks for more than is here, gets this error. */
  fail(error: Error): void
}

/** `onTake` runs after every take and every delivery to a waiter, for back-pressure. One taker at a time. */
export function byteQueue(onTake?: () => void): ByteQueue {
  let parts: Buffer[] = []
  let held = 0
  let failure: Error | null = null
  let waiting: { bytes: number; resolve: (data: Buffer) => void; reject: (error: Error) => void } | null =
    null

  const remove = (bytes: number): Buffer => {
    held -= bytes
    const first = parts[0]
    if (first === undefined || bytes === 0) return Buffer.alloc(0)
    if (first.length > bytes) {
      parts[0] = first.subarray(bytes)
      return first.subarray(0, bytes)
    }
    if (first.length === bytes) {
      parts.shift()
      return first
    }
    return gather(bytes)
  }
  const gather = (bytes: number): Buffer => {
    const whole = Buffer.allocUnsafe(bytes)
    let filled = 0
    let used = 0
    for (const part of parts) {
      const copied = part.copy(whole, filled, 0, Math.min(part.length, bytes - filled))
      filled += copied
      if (copied < part.length) {
        parts[used] = part.subarray(copied)
        break
      }
      used += 1
    }
    parts = parts.slice(used)
    return whole
  }

  return {
    get bytes() {
      return held
    },
    get waiting() {
      return waiting !== null
    },
    push(data) {
      if (data.length === 0) return
      parts.push(data)
      held += data.length
      if (waiting === null || held < waiting.bytes) return
      const { bytes, resolve } = waiting
      waiting = null
      resolve(remove(bytes))
      onTake?.()
    },
    take(bytes) {
      invariant(waiting === null, 'one taker at a time')
      if (held >= bytes) {
        const data = remove(bytes)
        onTake?.()
        return data
      }
      if (failure !== null) return Promise.reject(failure)
      return new Promise((resolve, reject) => {
        waiting = { bytes, resolve, reject }
        onTake?.()
      })
    },
    drain() {
      return remove(held)
    },
    fail(error) {
      failure ??= error
      const waiter = waiting
      waiting = null
      waiter?.reject(failure)
    },
  }
}
