// What a target writes beside its mark into the firmware of a replica: the addresses that its adapters are to have there. A step that was prepared
// in the machine reads it. One line for each adapter; nobody but that step understands it. Pure.
import type { AdapterAddress } from '../protection/protection.ts'

export const NETWORK_MARK = 'understudy-network:'

/** `dhcp`, or `static <address/prefix> <gateway or -> <name servers or ->`. */
export const ADDRESS_TEXT =
  /^(dhcp|static \d{1,3}(\.\d{1,3}){3}\/\d{1,2} (-|\d{1,3}(\.\d{1,3}){3}) (-|\d{1,3}(\.\d{1,3}){3}(,\d{1,3}(\.\d{1,3}){3})*))$/

export function toAddressText(address: AdapterAddress): string {
  if (address.method === 'dhcp') return 'dhcp'
  const servers = address.nameServers.length === 0 ? '-' : address.nameServers.join(',')
  return `static ${address.prefix} ${address.gateway ?? '-'} ${servers}`
}

/** The adapter is known by its hardware address: its name is another one on other hardware. */
export const networkText = (macAddress: string, addressText: string): string =>
  `${NETWORK_MARK}${macAddress.toLowerCase()} ${addressText}`
