// The networks of hosts that libvirt manages: those of the settings, libvirt's own, and bridges that the host has beside them.
import { Outage } from '@understudy/base/errors'
import type { SiteNetwork } from '../networks.ts'
import type { LibvirtHost } from './libvirt-host.ts'
import { type VirshSession, word } from './virsh-session.ts'
import { all, attribute, one, parseXml, textOf } from './xml.ts'

export type HostNetworks = {
  readonly networks: readonly SiteNetwork[]
  /** What a machine can be plugged into now: bridges, and networks of libvirt that are active. */
  readonly present: ReadonlySet<string>
}

const CABLE_OUT = 'No cable in any adapter: nothing gets in or out'

/** Always there, so a test is possible before anybody has set up a network: an adapter whose cable is out. */
export const NOWHERE: SiteNetwork = {
  id: 'us-unplugged',
  name: 'Unplugged',
  kind: 'user',
  isolated: true,
  probePorts: [],
  description: CABLE_OUT,
}

const LIST_BRIDGES = 'for b in /sys/class/net/*/bridge; do [ -d "$b" ] && echo "$b"; done; true'

/** Outage when the host cannot be asked. */
export async function readHostNetworks(host: LibvirtHost, signal?: AbortSignal): Promise<HostNetworks> {
  const defined = await host.virsh(readLibvirtNetworks, signal)
  const { stdout } = await host.run('sh', ['-c', LIST_BRIDGES], { signal })
  const bridges = stdout
    .split('\n')
    .flatMap((path) => /^\/sys\/class\/net\/([^/]+)\/bridge$/.exec(path)?.[1] ?? [])
  const ofLibvirt = new Set(defined.map(({ ownBridge }) => ownBridge))
  return {
    networks: [
      ...defined.map(({ network }) => network),
      ...bridges.filter((bridge) => !ofLibvirt.has(bridge)).map(toBridgeNetwork),
    ],
    present: new Set([...bridges, ...defined.flatMap(({ name, active }) => (active ? [name] : []))]),
  }
}

/** Pure. What the operator has named comes first and wins; a bridge that has a name in the settings is not listed twice. */
export function mergeNetworks(
  fromSettings: readonly SiteNetwork[],
  found: readonly SiteNetwork[],
): readonly SiteNetwork[] {
  const merged: SiteNetwork[] = fromSettings.map(withDescription)
  for (const network of [...found, NOWHERE]) {
    const known = merged.some(
      ({ id, bridge, managedByLibvirt }) =>
        id === network.id ||
        (bridge !== undefined && bridge === network.bridge && managedByLibvirt === network.managedByLibvirt),
    )
    if (!known) merged.push(network)
  }
  return merged
}

/** libvirt's user networks have no way in, and cannot be restricted: see replica-xml.ts. */
const withDescription = (network: SiteNetwork): SiteNetwork =>
  network.kind === 'user'
    ? {
        ...network,
        description: network.isolated ? CABLE_OUT : 'Each machine alone, with a way out through the host',
      }
    : network

export type LibvirtNetwork = {
  readonly name: string
  readonly active: boolean
  /** The bridge that libvirt makes for it or uses. Empty: none. */
  readonly ownBridge: string
  readonly network: SiteNetwork
}

async function readLibvirtNetworks(session: VirshSession): Promise<readonly LibvirtNetwork[]> {
  const active = new Set(await listNames(session, 'net-list --name'))
  const found: LibvirtNetwork[] = []
  for (const name of await listNames(session, 'net-list --all --name')) {
    const xml = await session.ask(`net-dumpxml ${word(name)}`).catch(whenRefused)
    const network = parseNetwork(xml, active.has(name))
    if (network !== null) found.push(network)
  }
  return found
}

const listNames = async (session: VirshSession, commandLine: string): Promise<readonly string[]> => {
  const text = await session.ask(commandLine).catch(whenRefused)
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

/** A libvirt without its network driver, or a network that went away meanwhile: then there is none. */
const whenRefused = (error: unknown): string => {
  if (error instanceof Outage && error.code === 'kvm/libvirt-failed') return ''
  throw error
}

/** https://libvirt.org/formatnetwork.html#connectivity: without `forward` its machines reach each other and the host alone. */
export function parseNetwork(xml: string, active: boolean): LibvirtNetwork | null {
  const element = all(parseXml(xml), 'network')[0]
  if (element === undefined) return null
  const name = textOf(element, 'name')
  const isolated = all(element, 'forward').length === 0
  return {
    name,
    active,
    ownBridge: attribute(one(element, 'bridge'), 'name'),
    network: {
      id: name,
      name,
      kind: 'bridge',
      bridge: name,
      isolated,
      probePorts: [],
      managedByLibvirt: true,
    },
  }
}

const toBridgeNetwork = (bridge: string): SiteNetwork => ({
  id: bridge,
  name: bridge,
  kind: 'bridge',
  bridge,
  isolated: false,
  probePorts: [],
})
