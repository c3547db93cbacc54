// The address of an adapter as a person types it: `10.1.2.3/24 10.1.2.1 10.1.2.2`, which is the address with its prefix, the gateway, and name servers.
import type { Protection } from '@understudy/contract/protection'

export type AdapterAddress = NonNullable<Protection['adapters'][number]['testAddress']>

export const addressHint = 'address/prefix, gateway or -, name servers'

const NUMBER = '(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)'
const IP = `${NUMBER}(?:\\.${NUMBER}){3}`
const PATTERN = new RegExp(`^(${IP}/(?:3[0-2]|[12]?\\d))(?:\\s+(-|${IP}))?((?:\\s+${IP}){0,3})$`)

export const showAddress = (address: AdapterAddress | undefined): string => {
  if (address?.method !== 'static') return ''
  const { prefix, gateway, nameServers } = address
  const rest = gateway === null && nameServers.length === 0 ? [] : [gateway ?? '-', ...nameServers]
  return [prefix, ...rest].join(' ')
}

/** Undefined: it asks for its address. Null: this cannot be understood. */
export function readAddress(text: string): AdapterAddress | undefined | null {
  const trimmed = text.trim()
  if (trimmed === '') return undefined
  const found = PATTERN.exec(trimmed)
  if (!found) return null
  const [, prefix = '', gateway = '-', servers = ''] = found
  return {
    method: 'static',
    prefix,
    gateway: gateway === '-' ? null : gateway,
    nameServers: servers.split(/\s+/).filter((word) => word !== ''),
  }
}
