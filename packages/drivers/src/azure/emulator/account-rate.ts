// An account that carries so many requests a second and no more, as Azure says it: what comes beyond is answered with 503.
import type { CorrectingProxy } from './correcting-proxy.ts'

export function accountRate(requestsPerSecond: number): NonNullable<CorrectingProxy['fault']> {
  let left = requestsPerSecond
  let filledAt = performance.now()
  return () => {
    const now = performance.now()
    left = Math.min(requestsPerSecond, left + ((now - filledAt) / 1000) * requestsPerSecond)
    filledAt = now
    if (left < 1) return { kind: 'answer', status: 503, name: 'ServerBusy' }
    left -= 1
    return null
  }
}
