import { expect, test } from 'vitest'
import { parseDomain, replicable, toDefinition } from './domain-xml.ts'

const UUID = '4dea22b3-1d52-d8f3-2516-782e98ab3fa0'
const domain = (devices: string, more = ''): string =>
  `<domain type='kvm'><name>web &amp; db</name><uuid>${UUID}</uuid><memory unit='KiB'>2097152</memory><vcpu current='2'>4</vcpu>
   <os><type>hvm</type><loader readonly='yes' type='pflash'>/x</loader></os>${more}<devices>${devices}</devices></domain>`
const disk = (target: string, bus: string, more = '', type = 'file'): string =>
  `<disk type='${type}' device='disk'><driver name='qemu' type='qcow2'/><source ${type === 'file' ? 'file' : 'dev'}='/d/${target}'/><target dev='${target}' bus='${bus}'/>${more}</disk>`

test('a domain that is off has the disk keys that it will have when it runs', () => {
  const address = "<address type='drive' controller='1' bus='0' target='3' unit='5'/>"
  const found = parseDomain(
    domain(
      disk('vda', 'virtio') +
        disk('vdaa', 'virtio') +
        disk('sda', 'scsi', address) +
        disk('sdb', 'sata', address),
    ),
  )
  expect(found?.disks.map(({ key }) => key)).toEqual([
    'virtio-disk0',
    'virtio-disk26',
    'scsi1-0-3-5',
    'sata1-0-5',
  ])
})

test('an alias of the operator is the key, and one that is too long for a node name is none', () => {
  const found = parseDomain(
    domain(
      disk('vda', 'virtio', "<alias name='ua-root'/>") +
        disk('vdb', 'virtio', "<alias name='ua-0123456789012345678901234'/>"),
    ),
  )
  expect(found?.disks.map(({ key }) => key)).toEqual(['ua-root', null])
})

test('what the machine is made of is read, with entities and units', () => {
  const found = parseDomain(
    domain(
      `${disk('vda', 'virtio', "<boot order='2'/>")}${disk('vdb', 'virtio', "<boot order='1'/>")}
       <disk type='file' device='cdrom'><target dev='sdc' bus='sata'/><readonly/></disk>
       <interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/><model type='virtio'/></interface>
       <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>`,
      `<seclabel model='apparmor'><label>libvirt-${UUID}</label></seclabel><seclabel model='dac'><label>+64055:+64055</label></seclabel>`,
    ),
  )
  expect(found).toMatchObject({
    ref: UUID,
    name: 'web & db',
    active: false,
    cpus: 2,
    memoryBytes: 2 * 1024 ** 3,
    firmware: 'uefi',
    accelerator: 'kvm',
    agentChannel: true,
    owner: '64055:64055',
    confinedBy: 'apparmor',
    adapters: [{ key: 'net0', macAddress: '52:54:00:00:00:01', networkId: 'default', model: 'virtio' }],
  })
  expect(found?.disks.map(({ target, boot }) => [target, boot])).toEqual([
    ['vda', false],
    ['vdb', true],
  ])
})

test('an adapter whose address and alias are markup has neither', () => {
  const markup = 'x&apos;/&gt;&lt;/interface&gt;&lt;disk/&gt;'
  const found = parseDomain(
    domain(`<interface type='network'><mac address="${markup}"/><alias name="${markup}"/></interface>`),
  )
  expect(found?.adapters).toMatchObject([{ key: 'net0', macAddress: '' }])
})

test('only image files on virtio-blk that nobody shares can be replicated', () => {
  const found = parseDomain(
    domain(
      disk('vda', 'virtio') +
        disk('vdb', 'virtio', '<shareable/>') +
        disk('vdc', 'virtio', '', 'block') +
        disk('hda', 'ide'),
    ),
  )
  expect(found?.disks).toHaveLength(4)
  expect(found === null ? [] : replicable(found).map(({ target }) => target)).toEqual(['vda'])
})

test.each([
  ['<understudy:run xmlns:understudy="urn:understudy:run" id="run-1"/>', 'run-1'],
  ['<a:run xmlns:a="urn:understudy:run" id="run-1"/>', 'run-1'],
  ['<run xmlns="urn:understudy:run" id="run-1"/>', 'run-1'],
  ['<other xmlns="urn:other"/><u:run xmlns:u="urn:understudy:run" id="run-1"/>', 'run-1'],
  ['<understudy:run xmlns:understudy="urn:other" id="run-1"/>', null],
  ['<u:about xmlns:u="urn:understudy:run" id="run-1"/>', null],
  ['', null],
])('a domain with the metadata %s is of run %s, whatever prefix its namespace has', (metadata, run) => {
  expect(parseDomain(domain('', `<metadata>${metadata}</metadata>`))?.ownedBy).toBe(run)
})

test('only a backing on a socket of this host is that of a replica', () => {
  const backing = (type: string, source: string): string =>
    `<backingStore type='${type}'><format type='raw'/>${source}<backingStore/></backingStore>`
  const ours = "<source protocol='nbd' name='a'><host transport='unix' socket='/s'/></source>"
  const found = parseDomain(
    domain(
      disk('vda', 'virtio', backing('network', ours)) +
        disk('vdb', 'virtio', backing('file', "<source file='/base'/>")) +
        disk('vdc', 'virtio', '<backingStore/>') +
        disk('vdd', 'virtio', backing('network', ours.replace('nbd', 'gluster'))) +
        disk('vde', 'virtio', backing('network', ours.replace('unix', 'tcp'))),
    ),
  )
  const expected = { kind: 'nbd-unix', path: '/s', exportName: 'a' }
  expect(found?.disks.map((each) => each.backing)).toEqual([expected, null, null, null, null])
  const definition = found === null ? null : toDefinition(found, new Map())
  expect(definition?.disks.map((each) => each.backing)).toEqual([expected, ...Array(4).fill(undefined)])
})

test('text that is no domain is none', () => {
  expect(parseDomain('')).toBeNull()
  expect(parseDomain('<domain><name>x</name></domain>')).toBeNull()
})
