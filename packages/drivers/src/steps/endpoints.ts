// Where an action wants to go, as hosts and ports.
import net from 'node:net'
import type { Endpoint } from '@understudy/domain/recovery-plans/step-action'
import type { StepWork } from '@understudy/engine/ports/step-runner'

/** `port` only where the address brings one, as behind a forwarder. */
export type Place = { readonly host: string; readonly port: number | null }

/** The best first; none when the machine has no address yet. */
export const placesOf = (endpoint: Endpoint, { addressOf }: Pick<StepWork, 'addressOf'>): readonly Place[] =>
  endpoint.kind === 'address'
    ? [toPlace(endpoint.address)]
    : addressOf(endpoint.machine).map((address) => toPlace(address))

/** `192.0.2.7`, `name`, `name:80`, `2001:db8::1`, `[2001:db8::1]:80`, and each with a scheme before it. Pure. */
export function toPlace(text: string): Place {
  const bare = text
    .trim()
    .replace(/^[a-z][a-z0-9+.-]*:\/\//i, '')
    .replace(/\/.*$/, '')
  if (net.isIP(bare) !== 0) return { host: bare, port: null }
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d{1,5}))?$/.exec(bare) ?? []
  const host = bracketed ?? plain ?? bare
  return { host, port: port === undefined ? null : Number(port) }
}

/** As people and URLs write it. Pure. */
export const wordsOfPlace = (host: string, port: number): string =>
  net.isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
