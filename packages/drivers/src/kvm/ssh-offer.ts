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
  const establish = async (): Promise<void> => {
    const client = await deps.client()
    // sshd does not replace a socket file that is there (StreamLocalBindUnlink is off by default).
    await deps.removeFile(hostPath)
    await forwardIn(client, hostPath)
    await deps.onListening?.()
    client.on('unix connection', onConnection)
    client.once('close', () => void establishAgain())
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
    isLost: () => lost,
    async close() {
      if (end.signal.aborted) return
      end.abort()
      const client = current
      client?.off('unix connection', onConnection)
      if (client !== null) await stopForwarding(client, hostPath)
    },
  }
}

const forwardIn = (client: Client, hostPath: string): Promise<void> =>
  new Promise((resolve, reject) => {
    client.once('close', () => reject(new Error('connection closed')))
    client.openssh_forwardInStreamLocal(hostPath, (failure) =>
      failure === undefined || failure === null ? resolve() : reject(failure),
    )
  })

/** A connection that ends takes its forwards along, so a failure here means that it is gone already. */
const stopForwarding = (client: Client, hostPath: string): Promise<void> =>
  new Promise((resolve) => {
    client.once('close', () => resolve())
    try {
      client.openssh_unforwardInStreamLocal(hostPath, () => resolve())
    } catch {
      resolve()
    }
  })
