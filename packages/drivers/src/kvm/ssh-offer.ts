// A socket of this computer, reachable on the far host: OpenSSH's streamlocal-forward.
// https://github.com/openssh/openssh-portable/blob/master/PROTOCOL section 2.4
//
//     far program -> hostPath -> sshd -> the connection -> localPath -> our server
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AcceptConnection, Client, RejectConnection, UNIXConnectionDetails } from 'ssh2'
import type { SocketOffer } from './host.ts'

export type OfferDeps = {
  /** The living connection, or a new one. */
  readonly client: () => Promise<Client>
  readonly removeFile: (path: string) => Promise<void>
  /** On the far host. */
  readonly isThere: (path: string) => Promise<boolean>
  /** Each time that the far socket is there anew. */
  readonly onListening?: (() => Promise<void>) | undefined
  readonly attempts?: number
  readonly againMilliseconds?: number
}

const AGAIN_MILLISECONDS = 2000
/** An hour. After that the offer counts as lost, and whoever needs it makes a new one. */
const MOST_ATTEMPTS = 1800

/**
 * Resolves when far programs can connect. A connection that is lost is made again behind, and the offer with it. Replaces
 * whatever socket file lies at `hostPath`.
 */
export async function offerSocket(
  deps: OfferDeps,
  localPath: string,
  hostPath: string,
): Promise<SocketOffer> {
  const { attempts = MOST_ATTEMPTS, againMilliseconds = AGAIN_MILLISECONDS } = deps
  const end = new AbortController()
  let current: Client | null = null
  let lost = false
  /** What is being done to the path, or was. */
  let work: Promise<void> = Promise.resolve()

  const onConnection = (
    details: UNIXConnectionDetails,
    accept: AcceptConnection,
    reject: RejectConnection,
  ): void => {
    // One connection carries all offers; each takes its own.
    if (details.socketPath !== hostPath) return
    if (end.signal.aborted) {
      reject()
      return
    }
    const socket = net.connect({ path: localPath })
    // Its `close` follows and ends the channel, which is how the far program learns of it.
    socket.on('error', () => undefined)
    const channel = accept()
    channel.on('error', () => socket.destroy())
    channel.once('close', () => socket.destroy())
    socket.once('close', () => channel.destroy())
    socket.pipe(channel).pipe(socket)
  }
  const onClose = (): void => void establishAgain()
  const establish = async (): Promise<void> => {
    const client = await deps.client()
    if (end.signal.aborted) return
    work = takePath(client)
    await work
  }
  /** Stops as soon as the offer is closed. */
  const takePath = async (client: Client): Promise<void> => {
    // sshd does not replace a socket file that is there (StreamLocalBindUnlink is off by default).
    await deps.removeFile(hostPath)
    if (end.signal.aborted) return
    await forwardIn(client, hostPath)
    try {
      await deps.onListening?.()
    } catch (error) {
      await stopForwarding(client, hostPath)
      throw error
    }
    client.on('unix connection', onConnection)
    client.once('close', onClose)
    current = client
  }
  const establishAgain = async (): Promise<void> => {
    current = null
    for (let attempt = 0; attempt < attempts && !end.signal.aborted; attempt += 1) {
      try {
        return await establish()
      } catch {
        // Whoever needs the socket waits meanwhile, and says so when it takes too long.
        await sleep(againMilliseconds, undefined, { signal: end.signal, ref: false }).catch(() => undefined)
      }
    }
    lost = true
  }

  await establish()
  return {
    async isLost() {
      // While it is made again the path comes and goes.
      return lost || (current !== null && !(await deps.isThere(hostPath)))
    },
    async close() {
      if (end.signal.aborted) return
      end.abort()
      // What is under way still works on the path: whoever offers it next must be alone with it.
      await work.catch(() => undefined)
      current?.off('unix connection', onConnection)
      current?.off('close', onClose)
      if (current !== null) await stopForwarding(current, hostPath)
    },
  }
}

const forwardIn = (client: Client, hostPath: string): Promise<void> =>
  untilClosed(client, (resolve, reject) => {
    client.openssh_forwardInStreamLocal(hostPath, (failure) =>
      failure === undefined || failure === null ? resolve() : reject(failure),
    )
  })

/** A connection that ends takes its forwards along, so a failure here means that it is gone already. */
const stopForwarding = (client: Client, hostPath: string): Promise<void> =>
  untilClosed(client, (resolve) => client.openssh_unforwardInStreamLocal(hostPath, () => resolve())).catch(
    () => undefined,
  )

/** Rejects when the connection ends before the answer. One connection is asked many times: nothing stays behind on it. */
async function untilClosed(
  client: Client,
  ask: (resolve: () => void, reject: (cause: Error) => void) => void,
): Promise<void> {
  const answer = Promise.withResolvers<void>()
  const onClose = (): void => answer.reject(new Error('connection closed'))
  client.once('close', onClose)
  try {
    ask(answer.resolve, answer.reject)
    await answer.promise
  } finally {
    client.off('close', onClose)
  }
}
