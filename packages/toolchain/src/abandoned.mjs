/**
 * npm passes SIGTERM on to its shell only, and the shell dies of it without a word to us. So a launcher that npm
 * started watches whether its parent is still the same, and takes a new one for the order to stop.
 * @param {number} [pollSeconds]
 * @returns {AbortSignal} aborted once the parent is gone; never when npm did not start us, as under `nohup node`
 */
export function whenAbandoned(pollSeconds = 0.5) {
  const abandoned = new AbortController()
  if (process.env.npm_lifecycle_event === undefined) return abandoned.signal
  const parent = process.ppid
  const poll = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(poll)
    abandoned.abort()
  }, pollSeconds * 1000)
  poll.unref()
  return abandoned.signal
}
