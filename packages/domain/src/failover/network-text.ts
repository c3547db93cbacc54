// What a target writes beside its mark into the firmware of a replica: the addresses that its adapters are to have there. A step that was prepared
// in the machine reads it. One line for each adapter; nobody but that step understands it. Pure.

export const NETWORK_MARK = 'understudy-network:'

/** Of one adapter. `prefix`: `10.1.2.3/24`. */
export type AdapterAddress =
  | { readonly method: 'dhcp' }
  | {
      readonly method: 'static'
      readonly prefix: string
      readonly gateway: string | null
      readonly nameServers: readonly string[]
    }

/** The adapter is known by its hardware address: its name is another one on other hardware. */
export function toNetworkText(macAddress: string, address: AdapterAddress): string {
  const who = `${NETWORK_MARK}${macAddress.toLowerCase()}`
  if (address.method === 'dhcp') return `${who} dhcp`
  const servers = address.nameServers.length === 0 ? '-' : address.nameServers.join(',')
  return `${who} static ${address.prefix} ${address.gateway ?? '-'} ${servers}`
}
