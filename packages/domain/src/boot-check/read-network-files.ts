// Which adapters a Linux machine has configuration for, and how: from the files of the five programs that distributions use. Read only as
// far as the judgement needs it; what is not understood counts as unknown, never as good. Pure.
import type { InterfaceConfiguration } from './boot-facts.ts'

export type NetworkFile = { readonly path: string; readonly lines: readonly string[] }

export function readNetworkFiles(files: readonly NetworkFile[]): readonly InterfaceConfiguration[] {
  const netplan = files.filter(({ path }) => path.startsWith('/etc/netplan/'))
  return [
    ...readNetplan(netplan),
    ...files.filter(({ path }) => !path.startsWith('/etc/netplan/')).flatMap(readFile),
  ].filter(({ name }) => name !== 'lo')
}

function readFile(file: NetworkFile): readonly InterfaceConfiguration[] {
  if (file.path.startsWith('/etc/network/')) return readInterfaces(file)
  if (file.path.startsWith('/etc/NetworkManager/')) return readKeyFile(file)
  if (/\/ifcfg-[^/]+$/.test(file.path)) return readIfcfg(file)
  if (file.path.endsWith('.network')) return readNetworkd(file)
  return []
}

/** interfaces(5): `iface eth0 inet dhcp`. */
const readInterfaces = ({ path, lines }: NetworkFile): readonly InterfaceConfiguration[] =>
  lines.flatMap((line) => {
    const [word, name = '', family, method] = line.trim().split(/\s+/)
    if (word !== 'iface' || family !== 'inet' || method === 'loopback') return []
    return [
      {
        writtenFor: 'ifupdown' as const,
        path,
        name,
        macAddress: null,
        driver: null,
        method: method === 'dhcp' || method === 'static' ? method : ('unknown' as const),
      },
    ]
  })

/** nm-settings-keyfile(5). */
function readKeyFile({ path, lines }: NetworkFile): readonly InterfaceConfiguration[] {
  const value = toValues(lines)
  const type = value('connection', 'type')
  if (type !== null && type !== 'ethernet' && type !== '802-3-ethernet') return []
  const method = value('ipv4', 'method')
  return [
    {
      writtenFor: 'networkmanager',
      path,
      name: value('connection', 'interface-name'),
      macAddress: value('ethernet', 'mac-address') ?? value('802-3-ethernet', 'mac-address'),
      driver: null,
      // Left out, it is "auto".
      method: method === null || method === 'auto' ? 'dhcp' : method === 'manual' ? 'static' : 'unknown',
    },
  ]
}

/** Of Red Hat (`DEVICE=`) and of SUSE, where the name of the file is that of the adapter. */
function readIfcfg({ path, lines }: NetworkFile): readonly InterfaceConfiguration[] {
  const value = (key: string): string | null => {
    const line = lines.map((one) => one.trim()).find((one) => one.startsWith(`${key}=`))
    const text = line?.slice(key.length + 1).replaceAll(/["']/g, '') ?? ''
    return text === '' ? null : text
  }
  const type = value('TYPE')
  if (type !== null && type.toLowerCase() !== 'ethernet') return []
  const macAddress = value('HWADDR')
  const ofFile = path.slice(path.lastIndexOf('/ifcfg-') + '/ifcfg-'.length)
  const isSuse = path.startsWith('/etc/sysconfig/network/')
  const method = value('BOOTPROTO')?.toLowerCase() ?? null
  return [
    {
      writtenFor: 'ifcfg',
      path,
      name: isSuse ? ofFile : (value('DEVICE') ?? (macAddress === null ? ofFile : null)),
      macAddress,
      driver: null,
      method:
        method === 'dhcp' || method === 'dhcp4'
          ? 'dhcp'
          : method === 'static' || value('IPADDR') !== null
            ? 'static'
            : 'unknown',
    },
  ]
}

/** systemd.network(5). A file may name several adapters. */
function readNetworkd({ path, lines }: NetworkFile): readonly InterfaceConfiguration[] {
  const value = toValues(lines)
  const type = value('Match', 'Type')
  if (type !== null && type !== 'ether') return []
  const dhcp = value('Network', 'DHCP')?.toLowerCase() ?? null
  const isStatic = value('Network', 'Address') !== null || value('Address', 'Address') !== null
  const method =
    dhcp === 'yes' || dhcp === 'true' || dhcp === 'ipv4' ? 'dhcp' : isStatic ? 'static' : 'unknown'
  const names = value('Match', 'Name')?.split(/\s+/) ?? [null]
  return names.map((name) => ({
    writtenFor: 'networkd',
    path,
    name,
    macAddress: value('Match', 'MACAddress'),
    driver: value('Match', 'Driver'),
    method,
  }))
}

/** Of files with sections: the value of a key in one of them. */
function toValues(lines: readonly string[]): (section: string, key: string) => string | null {
  const values = new Map<string, string>()
  let section = ''
  for (const line of lines.map((one) => one.trim())) {
    const head = /^\[(.+)\]$/.exec(line)?.[1]
    const [key = '', ...rest] = line.split('=')
    if (head !== undefined) section = head
    else if (rest.length > 0 && !/^[#;]/.test(line))
      values.set(`${section}/${key.trim()}`, rest.join('=').trim())
  }
  return (of, key) => values.get(`${of}/${key}`) || null
}

/** Of one adapter, over all files: a later one adds to an earlier one. */
type Wanted = { path: string; values: Map<string, string> }

/** Netplan's own part of YAML: maps by indentation, and a list or a map in one line where people write them so. */
function readNetplan(files: readonly NetworkFile[]): readonly InterfaceConfiguration[] {
  const adapters = new Map<string, Wanted>()
  for (const { path, lines } of files)
    for (const { keys, value } of leaves(lines)) {
      const [network, kind, id, ...rest] = keys
      if (network !== 'network' || kind !== 'ethernets' || id === undefined) continue
      const wanted = adapters.get(id) ?? { path, values: new Map() }
      wanted.path = path
      wanted.values.set(rest.join('.'), value)
      adapters.set(id, wanted)
    }
  return [...adapters].map(([id, { path, values }]) => {
    const macAddress = values.get('match.macaddress') ?? null
    const driver = values.get('match.driver') ?? null
    const isMatched = [...values.keys()].some((key) => key.startsWith('match'))
    return {
      writtenFor: 'netplan',
      path,
      name: values.get('match.name') ?? (isMatched ? null : id),
      macAddress,
      driver,
      method: /^(true|yes|on)$/i.test(values.get('dhcp4') ?? '')
        ? 'dhcp'
        : values.has('addresses')
          ? 'static'
          : 'unknown',
    }
  })
}

/** Every line that ends in a value, with the keys that lead to it. */
function leaves(
  lines: readonly string[],
): readonly { readonly keys: readonly string[]; readonly value: string }[] {
  const found: { keys: readonly string[]; value: string }[] = []
  let path: { readonly indent: number; readonly key: string }[] = []
  for (const line of lines) {
    const parts = /^(\s*)(?:"([^"]+)"|'([^']+)'|([^\s#:'"-][^:]*)):(?:\s+(.*))?$/.exec(line)
    if (parts === null) continue
    const indent = parts[1]?.length ?? 0
    const key = (parts[2] ?? parts[3] ?? parts[4] ?? '').trim()
    path = [...path.filter((one) => one.indent < indent), { indent, key }]
    const value = (parts[5] ?? '').replace(/\s+#.*$/, '').trim()
    const keys = path.map((one) => one.key)
    for (const [inner, of] of inOneLine(value)) found.push({ keys: [...keys, ...inner], value: of })
  }
  return found
}

/** `{macaddress: "52:…"}` is a map in one line. */
function inOneLine(value: string): readonly (readonly [readonly string[], string])[] {
  const map = /^\{(.*)\}$/.exec(value)?.[1]
  if (map === undefined) return [[[], unquoted(value)]]
  return map.split(',').map((pair) => {
    const at = pair.indexOf(':')
    return [[unquoted(pair.slice(0, at))], unquoted(pair.slice(at + 1))] as const
  })
}

const unquoted = (text: string): string => text.trim().replace(/^(["'])(.*)\1$/, '$2')
