// How this process ends: in order, whatever the reason. Whoever supervises it starts it again; jobs and cycles then go on where
// they were.
import type { Logger } from 'pino'

/** A clean stop takes no longer; then the process goes anyway. Nothing is lost either way. */
const stopMilliseconds = 25_000

export type ProcessEnd = {
  /** From now on there is something to stop before the process goes, and signals ask for that. */
  stopWith(stop: () => Promise<void>): void
  /** Something has happened that this process must not outlive. Says so, stops and exits with 1. */
  fail(error: unknown, why: string): void
}

/**
 * From here on a failure that nobody handled is said in the log and ends the process in order, with 1: what it has left behind in
 * memory is not known, and half of a server that looks alive is worse than one that starts anew.
 */
export function processEnd(log: Logger): ProcessEnd {
  let stop = async (): Promise<void> => {}
  let ending = false
  const end = (code: number): void => {
    if (ending) return
    ending = true
    setTimeout(() => process.exit(1), stopMilliseconds).unref()
    stop().then(
      () => process.exit(code),
      () => process.exit(1),
    )
  }
  const fail: ProcessEnd['fail'] = (error, why) => {
    log.fatal({ error }, why)
    end(1)
  }
  // Rejections that nobody handled come here as well.
  process.on('uncaughtException', (error, origin) =>
    fail(error, `${origin}: nobody handled this failure, so the server stops and has to be started again`),
  )
  return {
    stopWith(how) {
      stop = how
      // The first signal stops cleanly; a second one at once.
      const onSignal = (): void => (ending ? process.exit(130) : end(0))
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
    },
    fail,
  }
}
