// Addresses of IPv4 and ranges of them, as far as subnets need it; which addresses everybody can reach. Pure.
import { BlockList, isIP } from 'node:net'
import { invariant } from '@understudy/base/invariant'

export type Range = { readonly first: number; readonly last: number }

/** Azure keeps the first four addresses of a subnet and its last one. */
const RESERVED_AT_START = 4
const RESERVED = RESERVED_AT_START + 1

export function toNumber(address: string): number | null {
  const parts = address.split('.').map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : Number.NaN))
  if (parts.length !== 4 || !parts.every((part) => part <= 255)) return null
  return parts.reduce((number, part) => number * 256 + part, 0)
}

export const toAddress = (number: number): string =>
  [24, 16, 8, 0].map((bits) => Math.floor(number / 2 ** bits) % 256).join('.')

/** `10.1.0.0/16`, or one address. Null: not IPv4. */
export function toRange(text: string): Range | null {
  const [address = '', length = '32', ...more] = text.split('/')
  const number = toNumber(address)
  const bits = Number(length)
  if (number === null || more.length > 0 || !/^\d{1,2}$/.test(length) || bits > 32) return null
  const size = 2 ** (32 - bits)
  const first = number - (number % size)
  return { first, last: first + size - 1 }
}

export const contains = (outer: Range, inner: Range): boolean =>
  outer.first <= inner.first && inner.last <= outer.last

/** RFC 6890: only inside a network, on a link or on the computer itself. */
const notPublic = new BlockList()
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['224.0.0.0', 3],
] as const)
  notPublic.addSubnet(network, bits, 'ipv4')
for (const [network, bits] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  notPublic.addSubnet(network, bits, 'ipv6')

/** Of an address, not of a name. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  return family !== 0 && !notPublic.check(address, family === 4 ? 'ipv4' : 'ipv6')
}

export const usableAddresses = ({ first, last }: Range): number => Math.max(0, last - first + 1 - RESERVED)

/** Whether a machine may have it. */
export const isUsable = ({ first, last }: Range, address: number): boolean =>
  address >= first + RESERVED_AT_START && address < last

/** The first that a machine may have and nobody has; null: the range is full. */
export function firstFree(range: Range, taken: ReadonlySet<number>): number | null {
  invariant(range.last >= range.first, 'a range has an end')
  for (let address = range.first + RESERVED_AT_START; address < range.last; address += 1)
    if (!taken.has(address)) return address
  return null
}
