// Something that stands in for Azure on this computer, kept up as long as this server runs: on one port for ever, because a site names it.
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export type KeptEmulator = {
  /** Resolves when something answers at the port, or rejects with why nothing does. */
  ready(): Promise<void>
  /** Ends it in peace: what it was told stays. Repeatable. */
  stop(): Promise<void>
}

export type Emulating = {
  /** Resolves when it has ended, however that came. */
  readonly ended: Promise<void>
  stop(): Promise<void>
}

export type KeepUpOptions = {
  readonly port: number
  /** Begins to answer at the port. */
  start(): Promise<Emulating>
  readonly onTrouble: (error: unknown) => void
}

const AGAIN_MS = 5000

export function keepUp({ port, start, onTrouble }: KeepUpOptions): KeptEmulator {
  const stopping = new AbortController()
  const firstTry = Promise.withResolvers<void>()
  firstTry.promise.catch(() => {})
  let running: Emulating | null = null

  const keepOnce = async (): Promise<void> => {
    // Another server of this home keeps it: two of them in one folder would spoil it. Should that one go, this one takes over.
    if (await answers(port)) return firstTry.resolve()
    if (stopping.signal.aborted) return
    const started = await start().catch(async (error: unknown) => {
      // Another server of this home was quicker.
      if (await answers(port)) return null
      throw error
    })
    firstTry.resolve()
    if (started === null) return
    running = started
    if (stopping.signal.aborted) await running.stop()
    await running.ended
    running = null
  }
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await keepOnce().catch((error: unknown) => {
        firstTry.reject(error)
        onTrouble(error)
      })
      await sleep(AGAIN_MS, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }
  const kept = loop()
  return {
    ready: () => firstTry.promise,
    async stop() {
      stopping.abort(new DOMException('The server stops', 'AbortError'))
      await running?.stop()
      await kept
    },
  }
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const end = (is: boolean) => () => {
      socket.destroy()
      resolve(is)
    }
    socket.once('connect', end(true))
    socket.once('error', end(false))
  })
