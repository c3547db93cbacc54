import { describe, expect, test } from 'vitest'
import { checkKvmSecrets, checkKvmSettings } from './settings.ts'

const good = {
  adapter: 'qmp',
  hosts: [
    { name: 'kvm1', address: { kind: 'local' }, machinesFolder: '/srv/machines/' },
    {
      name: 'kvm2',
      address: {
        kind: 'ssh',
        host: '192.0.2.7',
        port: 22,
        user: 'root',
        hostKeySha256: `SHA256:${'a'.repeat(43)}`,
      },
      machinesFolder: '/srv/machines',
    },
  ],
  accelerator: 'tcg',
  bootDeadlineSeconds: 30,
  networks: [
    { id: 'lan', name: 'LAN', kind: 'user', isolated: false, probePorts: [80, 22] },
    { id: 'br', name: 'Bridge', kind: 'bridge', isolated: true, bridge: 'br0' },
  ],
}

describe('KVM settings', () => {
  test('that are right come back whole, folders without a slash at the end', () => {
    const settings = checkKvmSettings(good)
    expect(settings.hosts.map(({ machinesFolder }) => machinesFolder)).toEqual([
      '/srv/machines',
      '/srv/machines',
    ])
    expect(settings.networks[0]).toEqual({
      id: 'lan',
      name: 'LAN',
      kind: 'user',
      isolated: false,
      probePorts: [80, 22],
    })
  })

  const [local, ssh] = good.hosts
  const wrong: [string, unknown, string][] = [
    ['no object', null, 'settings'],
    ['an adapter of another kind', { ...good, adapter: 'xen' }, 'settings.adapter'],
    ['no host', { ...good, hosts: [] }, 'hosts'],
    ['a folder that is relative', { ...good, hosts: [{ ...local, machinesFolder: 'm' }] }, 'machinesFolder'],
    [
      'a folder too long for sockets',
      { ...good, hosts: [{ ...local, machinesFolder: `/${'m'.repeat(90)}` }] },
      'bytes',
    ],
    ['one host twice', { ...good, hosts: [local, local] }, 'twice'],
    [
      'an ssh host without the fingerprint of its key',
      { ...good, hosts: [{ ...ssh, address: { ...ssh?.address, hostKeySha256: '' } }] },
      'hosts[0].address.hostKeySha256',
    ],
    [
      'a bridge network without a bridge',
      { ...good, networks: [{ ...good.networks[1], bridge: undefined }] },
      'bridge',
    ],
    ['a port that is none', { ...good, networks: [{ ...good.networks[0], probePorts: [0] }] }, 'probePorts'],
    ['half a second', { ...good, bootDeadlineSeconds: 0.5 }, 'bootDeadlineSeconds'],
  ]
  test.each(wrong)('with %s are refused, naming the place', (_what, settings, place) => {
    const check = (): unknown => checkKvmSettings(settings)
    expect(check).toThrow(expect.objectContaining({ name: 'Refusal', code: 'kvm/settings' }))
    expect(check).toThrow(place)
  })

  test('behind libvirt the folder must be short enough for sockets in folders inside it', () => {
    const folder = `/${'f'.repeat(66)}`
    const hosts = [{ ...good.hosts[0], machinesFolder: folder, libvirtUri: 'qemu:///system' }]
    expect(checkKvmSettings({ ...good, hosts }).hosts[0]?.machinesFolder).toBe(folder)
    expect(() => checkKvmSettings({ ...good, hosts, adapter: 'libvirt' })).toThrow('longer than 66 bytes')
  })

  test('need a private key as soon as a host is reached by ssh, and never repeat it', () => {
    const settings = checkKvmSettings(good)
    expect(() => checkKvmSecrets(settings, {})).toThrow('kvm2')
    expect(() => checkKvmSecrets(settings, { privateKey: 'hunter2' })).not.toThrow('hunter2')
    const privateKey = '-----BEGIN OPENSSH PRIVATE KEY-----'
    expect(checkKvmSecrets(settings, { privateKey })).toEqual({ privateKey })
    expect(checkKvmSecrets({ ...settings, hosts: settings.hosts.slice(0, 1) }, {})).toEqual({})
  })
})
