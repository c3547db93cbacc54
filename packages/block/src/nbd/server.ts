// Serves disks over NBD: recovery points to a hypervisor that boots from them, and any disk to any NBD client.
import { once } from 'node:events'
import { chmod, unlink } from 'node:fs/promises'
import net from 'node:net'
import { Refusal } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import type { BlockDevice, BlockReader } from '../device.ts'
import { type NbdAddress, toText } from './failures.ts'
import { Goodbye, type NbdExport, type NbdServerTls, openPeer, serveHandshake } from './server-handshake.ts'
import { serveSession } from './server-session.ts'

export type { NbdServerTls } from './server-handshake.ts'

export type NbdServerSettings = {
  /** Port 0 takes any free one. */
  readonly address: NbdAddress
  /** When set, nothing but listing goes in the clear, and clients must show a certificate. */
  readonly tls?: NbdServerTls
  /** Hears of every error of an exported disk, for the log: NBD clients only get a number. */
  readonly onFailure?: (exportName: string, error: unknown) => void
  /**
   * Offered from the first connection on. A server that takes over from a killed one needs this: clients that reconnect at
   * once would otherwise be told that their export does not exist.
   */
  readonly exports?: readonly NbdOffer[]
  readonly maximumConnections?: number
  /** How long a client may take to negotiate. */
  readonly handshakeTimeoutMs?: number
}

export type NbdOffer = {
  readonly name: string
  readonly disk: BlockReader | BlockDevice
  readonly readOnly?: boolean
  readonly description?: string
}

export type NbdServer = {
  /** With the port that was taken. */
  readonly address: NbdAddress
  /**
   * Offers a disk under a name. A device is offered writable unless `readOnly`. The disk stays its owner's: it must be open
   * until `unexport` or `close` has resolved. Throws Refusal when the name is taken.
   */
  export(name: string, disk: BlockReader, options?: { readOnly?: true; description?: string }): void
  export(name: string, disk: BlockDevice, options?: { readOnly?: boolean; description?: string }): void
  /** Withdraws it, ends its connections, and resolves when nothing touches the disk any more. Idempotent. */
  unexport(name: string): Promise<void>
  /** Ends everything. Idempotent. */
  close(): Promise<void>
}

type Session = {
  readonly socket: net.Socket
  readonly stop: AbortController
  exportName: string | null
  ended: Promise<void>
}

/** Throws Refusal when somebody else serves at the address already. A dead predecessor's socket file is replaced. */
export async function startNbdServer(settings: NbdServerSettings): Promise<NbdServer> {
  const exports = new Map<string, NbdExport>()
  const sessions = new Set<Session>()
  const listener = net.createServer({ noDelay: true, keepAlive: true }, (socket) => {
    const session: Session = {
      socket,
      stop: new AbortController(),
      exportName: null,
      ended: Promise.resolve(),
    }
    sessions.add(session)
    session.ended = serve(session, settings, exports).finally(() => sessions.delete(session))
  })
  const offer = ({ name, disk, readOnly, description = '' }: NbdOffer): void => {
    if (exports.has(name)) throw nameTaken(name)
    const device = 'write' in disk && readOnly !== true ? disk : null
    exports.set(name, { name, description, reader: disk, device })
  }
  for (const initial of settings.exports ?? []) offer(initial)
  listener.maxConnections = settings.maximumConnections ?? 256
  await listenOn(listener, settings.address)
  // For instance too many open files: the next client may have more luck.
  listener.on('error', (error) => settings.onFailure?.('', error))

  const end = async (which: (session: Session) => boolean): Promise<void> => {
    const leaving = [...sessions].filter(which)
    for (const session of leaving) {
      session.stop.abort()
      session.socket.destroy()
    }
    await Promise.all(leaving.map((session) => session.ended))
  }
  return {
    address: actualAddress(listener, settings.address),
    export: (
      name: string,
      disk: BlockReader | BlockDevice,
      options: { readOnly?: boolean; description?: string } = {},
    ) => offer({ name, disk, ...options }),
    async unexport(name) {
      exports.delete(name)
      await end((session) => session.exportName === name)
    },
    async close() {
      exports.clear()
      if (listener.listening) listener.close()
      await end(() => true)
    },
  }
}

async function serve(
  session: Session,
  settings: NbdServerSettings,
  exports: ReadonlyMap<string, NbdExport>,
): Promise<void> {
  const peer = openPeer(session.socket)
  const timer = setTimeout(() => session.socket.destroy(), settings.handshakeTimeoutMs ?? 15_000)
  try {
    const agreed = await serveHandshake(peer, exports, settings.tls)
    clearTimeout(timer)
    // The export may have been withdrawn while the client was negotiating.
    if (agreed === null || exports.get(agreed.served.name) !== agreed.served) return
    session.exportName = agreed.served.name
    await serveSession(peer, agreed, session.stop.signal, (error) =>
      settings.onFailure?.(agreed.served.name, error),
    )
  } catch (error) {
    // A client that goes, or talks nonsense, is no event for anybody but itself.
    if (!(error instanceof Goodbye)) settings.onFailure?.(session.exportName ?? '', error)
  } finally {
    clearTimeout(timer)
    peer.socket.end()
    peer.socket.destroySoon()
  }
}

async function listenOn(listener: net.Server, address: NbdAddress): Promise<void> {
  const target = address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port }
  try {
    await listening(listener, target)
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE') throw cannotListen(address, error)
    if (address.kind === 'tcp' || (await somebodyAnswers(address.path))) throw addressInUse(address)
    // A process that was killed leaves its socket file. Nobody answers there, so nobody can miss it.
    await unlink(address.path)
    await listening(listener, target)
  }
  // Whoever may connect may read the disk.
  if (address.kind === 'unix') await chmod(address.path, 0o600)
}

async function listening(listener: net.Server, target: net.ListenOptions): Promise<void> {
  listener.listen(target)
  // Rejects with the error when that comes first.
  await once(listener, 'listening')
}

async function somebodyAnswers(path: string): Promise<boolean> {
  const probe = net.connect({ path })
  try {
    await once(probe, 'connect')
    return true
  } catch (error) {
    // Only a refused connection proves that nobody listens. Anything else, such as a full queue, proves nothing.
    return codeOf(error) !== 'ECONNREFUSED'
  } finally {
    probe.destroy()
  }
}

function actualAddress(listener: net.Server, wanted: NbdAddress): NbdAddress {
  const bound = listener.address()
  if (wanted.kind === 'unix') return wanted
  invariant(bound !== null && typeof bound === 'object', 'a TCP listener has a port')
  return { ...wanted, port: bound.port }
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined

const nameTaken = (name: string): Refusal =>
  new Refusal({
    code: 'nbd/export-exists',
    message: `There is already an export "${name}"`,
    remedy: 'Withdraw the other one first.',
  })

const addressInUse = (address: NbdAddress): Refusal =>
  new Refusal({
    code: 'nbd/address-in-use',
    message: `Another program already serves at ${toText(address)}`,
    remedy: 'Choose another address, or stop that program.',
  })

const cannotListen = (address: NbdAddress, cause: unknown): Refusal =>
  new Refusal({
    code: 'nbd/cannot-listen',
    message: `We cannot listen at ${toText(address)}: ${cause instanceof Error ? cause.message : String(cause)}`,
    remedy: 'Check that the folder exists and may be written, and that the address belongs to this computer.',
    cause,
  })
