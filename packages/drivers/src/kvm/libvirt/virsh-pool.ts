// Sessions without a lock, kept for a moment after use: to start virsh and connect costs more than most questions (50 ms here,
// some tenths of a second over ssh), and a boot asks a dozen.
import type { VirshSession } from './virsh-session.ts'

export interface VirshPool {
  /** A session for `work` alone. When it throws, or the signal aborts, its session ends with it. */
  use<Result>(work: (session: VirshSession) => Promise<Result>, signal?: AbortSignal): Promise<Result>
  /** Ends those that nobody uses. */
  close(): void
}

const IDLE_MILLISECONDS = 2000
const MOST_IDLE = 4

export function virshPool(open: () => Promise<VirshSession>): VirshPool {
  const idle = new Map<VirshSession, NodeJS.Timeout>()

  const forget = (session: VirshSession): void => {
    clearTimeout(idle.get(session))
    idle.delete(session)
  }
  const take = (): Promise<VirshSession> => {
    const [session] = idle.keys()
    if (session === undefined) return open()
    forget(session)
    return Promise.resolve(session)
  }
  const keep = (session: VirshSession): void => {
    if (idle.size >= MOST_IDLE) {
      session.close()
      return
    }
    // virsh ends with us in any case, so it does not keep us alive.
    idle.set(session, setTimeout(() => session.close(), IDLE_MILLISECONDS).unref())
    void session.closed.then(() => forget(session))
  }
  return {
    async use(work, signal) {
      signal?.throwIfAborted()
      const session = await take()
      const abort = (): void => session.close()
      signal?.addEventListener('abort', abort, { once: true })
      try {
        const result = await work(session)
        if (signal?.aborted !== true) keep(session)
        return result
      } catch (error) {
        // An answer may still be on its way; whoever came next would take it for his.
        session.close()
        throw error
      } finally {
        signal?.removeEventListener('abort', abort)
      }
    },
    close() {
      for (const session of [...idle.keys()]) session.close()
    },
  }
}
