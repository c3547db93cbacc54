// Why a signal is aborted. Whoever has begun something that outlives this process must know whether it is to be ended.

/** People do not want it any more. Any other reason of an abort says only that this process is to stop waiting. */
export class Cancelled extends Error {
  override readonly name = 'AbortError'
  constructor() {
    super('The job was cancelled')
  }
}

/** Also of signals that were made of the one that was aborted: the reason that came first is handed on. */
export const isCancelled = (signal: AbortSignal): boolean => signal.reason instanceof Cancelled
