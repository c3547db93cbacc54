// What can go wrong with an NBD server, in our words: who has to act, and what to do.
import { type ErrorFacts, Outage, Refusal } from '@understudy/base/errors'
import { errno } from './protocol.ts'

export type NbdAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export const toText = (address: NbdAddress): string =>
  address.kind === 'unix' ? address.path : `${address.host}:${address.port}`

export const unreachable = (address: NbdAddress, cause: unknown): Outage =>
  new Outage({
    code: 'nbd/unreachable',
    message: `No NBD server answers at ${toText(address)}: ${reasonOf(cause)}`,
    remedy: 'Check that the host is up, that the server runs there, and that no firewall lies between.',
    cause,
  })

export const connectionLost = (address: NbdAddress, cause: unknown): Outage =>
  new Outage({
    code: 'nbd/connection-lost',
    message: `The connection to the NBD server at ${toText(address)} was lost: ${reasonOf(cause)}`,
    remedy: 'It is tried again. If it keeps happening, check the network and the log of that server.',
    cause,
  })

export const tooSlow = (address: NbdAddress, what: string, timeoutMs: number): Outage =>
  new Outage({
    code: 'nbd/timeout',
    message: `The NBD server at ${toText(address)} did not answer ${what} within ${timeoutMs / 1000} s`,
    remedy: 'Check the load of that host and of its storage, and the network.',
  })

export const violation = (address: NbdAddress, what: string): Outage =>
  new Outage({
    code: 'nbd/protocol-violation',
    message: `The NBD server at ${toText(address)} broke the protocol: ${what}`,
    remedy: 'Check that nothing on the way changes the data, and update that server.',
  })

export const notNbd = (address: NbdAddress, what: string): Refusal =>
  new Refusal({
    code: 'nbd/not-an-nbd-server',
    message: `What answers at ${toText(address)} is not a usable NBD server: ${what}`,
    remedy: 'Check the address and the port. The server must speak the fixed newstyle protocol.',
  })

export const unknownExport = (address: NbdAddress, name: string): Refusal =>
  new Refusal({
    code: 'nbd/unknown-export',
    message: `The NBD server at ${toText(address)} has no export "${name}"`,
    remedy: 'Check the name of the export; it may have been withdrawn meanwhile.',
  })

export const tlsRequired = (address: NbdAddress): Refusal =>
  new Refusal({
    code: 'nbd/tls-required',
    message: `The NBD server at ${toText(address)} accepts encrypted connections only`,
    remedy:
      'Configure TLS for this connection: the authority, and a client certificate if the server asks for one.',
  })

export const tlsUnavailable = (address: NbdAddress): Refusal =>
  new Refusal({
    code: 'nbd/tls-unavailable',
    message: `The NBD server at ${toText(address)} offers no encryption`,
    remedy: 'Set up TLS on that server, or connect through something that encrypts, such as ssh.',
  })

/** TLS failed in a way that only other certificates, keys or names can change. */
export const tlsRefused = (address: NbdAddress, cause: unknown): Refusal =>
  new Refusal({
    code: 'nbd/tls-refused',
    message: `The NBD server at ${toText(address)} and we do not trust each other: ${reasonOf(cause)}`,
    remedy: 'Check the authority, the name in the server certificate, and the client certificate and key.',
    cause,
  })

export const refusedByServer = (address: NbdAddress, what: string, reason: string): Refusal =>
  new Refusal({
    code: 'nbd/refused-by-server',
    message: `The NBD server at ${toText(address)} refused ${what}${reason === '' ? '' : `: ${reason}`}`,
    remedy: 'Check the permissions of that server and its log.',
  })

export const shuttingDown = (address: NbdAddress): Outage =>
  new Outage({
    code: 'nbd/shutting-down',
    message: `The NBD server at ${toText(address)} is shutting down`,
    remedy: 'It is tried again; start the server if it stays down.',
  })

export const readOnlyExport = (address: NbdAddress, name: string): Refusal =>
  new Refusal({
    code: 'nbd/read-only',
    message: `The export "${name}" of the NBD server at ${toText(address)} is read-only`,
    remedy: 'Export it writable, or choose another target.',
  })

export const writesInDoubt = (address: NbdAddress): Outage =>
  new Outage({
    code: 'nbd/writes-in-doubt',
    message: `The connection to the NBD server at ${toText(address)} broke between writing and flushing`,
    remedy: 'The writing is started over: some of it may not have reached the disk.',
  })

export const noSuchContext = (address: NbdAddress, context: string): Refusal =>
  new Refusal({
    code: 'nbd/unknown-context',
    message: `The NBD server at ${toText(address)} does not offer "${context}" for this export`,
    remedy: 'Check that the bitmap exists and is exported, and that the server knows structured replies.',
  })

/** An error number in a reply. `what` names the request, for a person. */
export function requestFailed(
  address: NbdAddress,
  what: string,
  number: number,
  message: string,
): Outage | Refusal {
  const facts: ErrorFacts = { errno: number }
  const said = message === '' ? (errnoText[number] ?? `error ${number}`) : message
  const text = `The NBD server at ${toText(address)} failed to ${what}: ${said}`
  if (number === errno.shutdown) return shuttingDown(address)
  if (number === errno.notPermitted)
    return new Refusal({
      code: 'nbd/not-permitted',
      message: text,
      remedy: 'Export the disk writable.',
      facts,
    })
  if (number === errno.notSupported)
    return new Refusal({ code: 'nbd/not-supported', message: text, remedy: 'Update that server.', facts })
  if (number === errno.noSpace)
    return new Outage({ code: 'nbd/no-space', message: text, remedy: 'Free space on that host.', facts })
  return new Outage({
    code: 'nbd/request-failed',
    message: text,
    remedy: 'Check the disk behind that server and its log.',
    facts,
  })
}

const errnoText: Readonly<Record<number, string>> = {
  [errno.notPermitted]: 'not permitted',
  [errno.io]: 'input/output error',
  [errno.noMemory]: 'out of memory',
  [errno.invalid]: 'invalid request',
  [errno.noSpace]: 'no space left',
  [errno.overflow]: 'too large',
  [errno.notSupported]: 'not supported',
}

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
