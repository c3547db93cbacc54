// The script as it is, by the shell of this computer, in a tree of files.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { ADDRESS_TEXT, networkText, toAddressText } from '@understudy/domain/failover/network-text'
import { replicaMark } from '@understudy/domain/failover/replica-mark'
import type { AdapterAddress } from '@understudy/domain/protection/protection'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { firstBootScript } from './first-boot.ts'

const run = promisify(execFile)
const toNetworkText = (address: string, wanted: AdapterAddress): string =>
  networkText(address, toAddressText(wanted))
const mac = '52:54:00:12:34:56'
const fixed = toNetworkText('52:54:00:12:34:56'.toUpperCase(), {
  method: 'static',
  prefix: '10.9.8.7/24',
  gateway: '10.9.8.1',
  nameServers: ['10.9.8.2', '10.9.8.3'],
})
let root: string

const put = async (path: string, content: string | Buffer = ''): Promise<void> => {
  await mkdir(dirname(join(root, path)), { recursive: true })
  await writeFile(join(root, path), content)
}
/** SMBIOS type 11: the first text stands right behind the number of texts. */
async function boot(...texts: string[]): Promise<string[]> {
  const table = Buffer.from([11, 5, 0, 1, texts.length])
  await put(
    'sys/firmware/dmi/tables/DMI',
    Buffer.concat([Buffer.from('QEMU\0\0'), table, Buffer.from(`${texts.join('\0')}\0\0`)]),
  )
  await run('/bin/sh', ['-c', firstBootScript, 'sh', root])
  const all = await readdir(join(root, 'etc'), { recursive: true })
  return all.filter((path) => path.includes('understudy')).sort()
}
const read = (path: string) => readFile(join(root, 'etc', path), 'utf8')

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'us-first-'))
  await put('etc/hostname', 'x')
  await put('sys/class/net/ens4/address', `${mac}\n`)
  await put('sys/class/net/ens4/device')
  await put('sys/class/net/lo/address', '00:00:00:00:00:00\n')
})
afterEach(() => rm(root, { recursive: true, force: true }))
const enable = (unit: string) => put(`etc/systemd/system/multi-user.target.wants/${unit}`)

test('where the mark of a replica is missing nothing is touched, whatever else is said', async () => {
  await enable('systemd-networkd.service')
  expect(await boot(fixed)).toEqual([])
  expect(await boot('Default string')).toEqual([])
})

test('networkd: a fixed address, by the hardware address; another target says another thing at the next start', async () => {
  await enable('systemd-networkd.service')
  expect(await boot(replicaMark('r1'), fixed)).toEqual(['systemd/network/05-understudy-525400123456.network'])
  expect(await read('systemd/network/05-understudy-525400123456.network')).toBe(
    `[Match]\nMACAddress=${mac}\n\n[Network]\nAddress=10.9.8.7/24\nGateway=10.9.8.1\nDNS=10.9.8.2\nDNS=10.9.8.3\n`,
  )
  expect(await read('resolv.conf')).toBe('nameserver 10.9.8.2\nnameserver 10.9.8.3\n')
  await boot(fixed, replicaMark('r2'), toNetworkText(mac, { method: 'dhcp' }))
  expect(await read('systemd/network/05-understudy-525400123456.network')).toContain('DHCP=yes')
})

test('where the target says nothing every adapter of hardware asks for its address', async () => {
  await enable('systemd-networkd.service')
  await boot(replicaMark('r1'))
  expect(await read('systemd/network/05-understudy-525400123456.network')).toBe(
    `[Match]\nMACAddress=${mac}\n\n[Network]\nDHCP=yes\n`,
  )
})

test('ifupdown knows adapters by their names only, so it gets the name of the adapter that has the address', async () => {
  await put('etc/network/interfaces', 'source /etc/network/interfaces.d/*\n')
  expect(await boot(replicaMark('r1'), fixed)).toEqual(['network/interfaces.d/understudy-ens4'])
  expect(await read('network/interfaces.d/understudy-ens4')).toBe(
    'auto ens4\niface ens4 inet static\n  address 10.9.8.7/24\n  gateway 10.9.8.1\n  dns-nameservers 10.9.8.2 10.9.8.3\n',
  )
})

test('NetworkManager gets a keyfile, netplan a file of its own', async () => {
  await enable('NetworkManager.service')
  await boot(replicaMark('r1'), fixed)
  const keyfile = await read('NetworkManager/system-connections/understudy-525400123456.nmconnection')
  expect(keyfile).toContain('[ipv4]\nmethod=manual\naddress1=10.9.8.7/24,10.9.8.1\ndns=10.9.8.2;10.9.8.3;\n')
  await put('etc/netplan/01-netcfg.yaml', 'network: {}\n')
  expect(await boot(replicaMark('r1'), fixed)).toEqual(['netplan/90-understudy-525400123456.yaml'])
  expect(await read('netplan/90-understudy-525400123456.yaml')).toContain(
    'match: {macaddress: "52:54:00:12:34:56"}',
  )
})

test('a resolver that somebody else writes, an unknown adapter, and what is no address are left alone', async () => {
  await enable('systemd-networkd.service')
  await symlink('../run/resolve', join(root, 'etc/resolv.conf'))
  await boot(
    replicaMark('r1'),
    fixed,
    toNetworkText('52:54:00:00:00:01', { method: 'dhcp' }),
    `understudy-network:${mac} static $(touch${'\t'}/x) - -`,
  )
  expect(await readdir(join(root, 'etc/systemd/network'))).toEqual(['05-understudy-525400123456.network'])
  await expect(read('resolv.conf')).rejects.toThrow('ENOENT')
})

test('a target takes only such texts as it would write itself', () => {
  const texts = [
    'dhcp',
    toAddressText({ method: 'static', prefix: '10.0.0.2/8', gateway: null, nameServers: [] }),
  ]
  for (const text of texts) expect(text).toMatch(ADDRESS_TEXT)
  expect(fixed.split(' ').slice(1).join(' ')).toMatch(ADDRESS_TEXT)
  for (const text of ['static x', 'dhcp\n', 'static 10.0.0.2/8 - -,value=x'])
    expect(text).not.toMatch(ADDRESS_TEXT)
})
