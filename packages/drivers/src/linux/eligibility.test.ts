import { MiB } from '@understudy/base/bytes'
import { describe, expect, test } from 'vitest'
import { isDisk, parseBlockDevices, toDiskKey, type WholeDisk } from './block-devices.ts'
import { checkEligibility, disksToCopy, type EligibilityFacts } from './eligibility.ts'
import { toAdapter, toMachineDisks } from './server-facts.ts'

/** The shape of util-linux 2.38, and for sdb that of 2.27, where everything is text. */
const LSBLK = JSON.stringify({
  blockdevices: [
    {
      ...{
        name: 'nvme0n1',
        path: '/dev/nvme0n1',
        'maj:min': '259:0',
        size: 64 * MiB,
        type: 'disk',
        rm: false,
        ro: false,
      },
      ...{ wwn: 'eui.0025 38b1', serial: 'S4EV', model: 'Samsung SSD', tran: 'nvme', pttype: 'gpt' },
      children: [
        {
          name: 'nvme0n1p1',
          'maj:min': '259:1',
          size: MiB,
          type: 'part',
          fstype: 'vfat',
          mountpoints: ['/boot/efi'],
        },
        {
          ...{ name: 'nvme0n1p2', 'maj:min': '259:2', size: 32 * MiB, type: 'part', fstype: 'LVM2_member' },
          mountpoints: [null],
          children: [
            {
              name: 'vg-root',
              'maj:min': '253:0',
              size: MiB,
              type: 'lvm',
              fstype: 'xfs',
              mountpoints: ['/'],
            },
          ],
        },
      ],
    },
    { name: 'sdb', 'maj:min': '8:16', size: '1048576', type: 'disk', rm: '0', ro: '0', mountpoint: '/srv' },
    { name: 'sr0', 'maj:min': '11:0', size: MiB, type: 'rom', rm: true },
    { name: 'zram0', 'maj:min': '254:0', size: MiB, type: 'disk', rm: false },
    { name: 'loop0', 'maj:min': '7:0', size: MiB, type: 'loop', rm: false },
    { name: 'sdc', 'maj:min': '8:32', size: 0, type: 'disk', rm: false },
    { name: 'sdd', 'maj:min': '8:48', size: MiB, type: 'disk', rm: true },
  ],
})

const disksOf = (): readonly WholeDisk[] =>
  parseBlockDevices(LSBLK)
    .filter(isDisk)
    .map((disk) => ({
      ...disk,
      key: toDiskKey(disk.wwn ?? disk.name),
      keyIsStable: disk.wwn !== null,
      sequence: '1',
      hasRequests: true,
    }))

const good: EligibilityFacts = {
  name: 'web',
  isRoot: true,
  lockdown: 'none',
  tracing: 'known',
  disks: disksOf().slice(0, 1),
  mounts: [
    {
      ...{ id: '26', parent: '1', root: '/', mountPoint: '/', type: 'xfs', device: '253:0' },
      ...{ source: '/dev/mapper/vg-root', writable: true, reachable: true, depth: 0 },
    },
  ],
  rootType: 'xfs',
  hasNvmePaths: false,
  hasScripts: false,
}
const codesOf = (change: Partial<EligibilityFacts>): string[] =>
  checkEligibility({ ...good, ...change }).findings.map(({ level, code }) => `${level} ${code}`)

describe('the disks of a server', () => {
  test('are those it could lose: not of memory or files, not discs, not empty, not removable', () => {
    expect(disksOf().map(({ name, bytes }) => [name, bytes])).toEqual([
      ['nvme0n1', 64 * MiB],
      ['sdb', MiB],
    ])
  })

  test('are named by themselves, say what they are made of, and the one with the root is booted from', () => {
    const [second, first] = disksOf()
    if (!first || !second) throw new Error('there are two')
    expect(toMachineDisks([first, second])).toMatchObject([
      { key: 'sdb', label: '/dev/sdb', boot: false, bus: 'other' },
      {
        key: 'eui.0025-38b1',
        label: '/dev/nvme0n1, Samsung SSD, GPT + LVM',
        boot: true,
        bus: 'nvme',
        format: 'raw',
      },
    ])
  })
})

test('a server with endless names and addresses says what can be carried of them', () => {
  const long = 'x'.repeat(1_000_000)
  const [disk] = disksOf()
  if (!disk) throw new Error('there is one')
  expect(toMachineDisks([{ ...disk, model: long }])[0]?.label).toHaveLength(200)
  const adapter = toAdapter(
    'eth0',
    '52:54:00:00:00:01',
    Array.from({ length: 9000 }, () => 'fe80::1/64'),
  )
  expect(adapter).toMatchObject({ key: 'eth0', macAddress: '52:54:00:00:00:01' })
  expect(adapter.model).toMatch(/^eth0, fe80::1\/64, /)
  expect(adapter.model).toHaveLength(200)
})

describe('whether a server can be copied', () => {
  test('a usual one can', () => {
    expect(codesOf({})).toEqual([])
    expect(checkEligibility(good)).toMatchObject({
      applicationConsistent: false,
      shortestIntervalSeconds: 15,
    })
  })

  test.each<[string, Partial<EligibilityFacts>]>([
    ['blocker linux/not-root', { isRoot: false }],
    ['blocker linux/locked-down', { lockdown: 'confidentiality', tracing: 'absent' }],
    ['blocker linux/no-tracing', { tracing: 'absent' }],
    ['blocker linux/unknown-tracing', { tracing: 'unknown-format' }],
    [
      'blocker linux/root-cannot-freeze',
      { mounts: good.mounts.map((mount) => ({ ...mount, type: 'vfat' })) },
    ],
    ['blocker linux/mounted-over', { mounts: good.mounts.map((mount) => ({ ...mount, reachable: false })) }],
    ['warning linux/layered-root', { rootType: 'overlay' }],
    ['blocker linux/no-requests', { disks: good.disks.map((disk) => ({ ...disk, hasRequests: false })) }],
    ['blocker linux/several-paths', { hasNvmePaths: true }],
    ['blocker linux/zfs', { disks: good.disks.map((disk) => ({ ...disk, fileSystem: 'zfs_member' })) }],
    ['blocker linux/no-disk', { disks: [] }],
    [
      'warning linux/disk-without-name',
      { disks: good.disks.map((disk) => ({ ...disk, keyIsStable: false })) },
    ],
  ])('%s', (expected, change) => {
    expect(codesOf(change)).toEqual([expected])
  })

  test('two disks that say they are the same one block each other, and no point is taken of either', () => {
    const [disk] = good.disks
    if (!disk) throw new Error('there is one')
    const disks = [disk, { ...disk, name: 'sdz', path: '/dev/sdz' }]
    expect(codesOf({ disks })).toEqual(['blocker linux/same-name-twice'])
    expect(() => disksToCopy({ ...good, disks }, [])).toThrow(
      expect.objectContaining({
        code: 'linux/same-name-twice',
        message: expect.stringContaining('/dev/nvme0n1 and /dev/sdz'),
      }),
    )
    const third = { ...disk, key: toDiskKey('third'), name: 'sdy', path: '/dev/sdy' }
    expect(disksToCopy({ ...good, disks: [...disks, third] }, [disk.key])).toEqual([third])
  })

  test('with every disk excluded there is nothing to copy', () => {
    expect(() =>
      disksToCopy(
        good,
        good.disks.map(({ key }) => key),
      ),
    ).toThrow(expect.objectContaining({ code: 'linux/nothing-to-copy' }))
  })

  test('a layer that is not known blocks, whatever lies between', () => {
    const below = (type: string) =>
      good.disks.map((disk) => ({
        ...disk,
        children: disk.children.map((child) => ({ ...child, children: [{ ...child, type }] })),
      }))
    for (const type of ['disk', 'vdo', '']) {
      expect(codesOf({ disks: below(type) })).toEqual(['blocker linux/unknown-layer'])
      expect(() => disksToCopy({ ...good, disks: below(type) }, [])).toThrow(
        expect.objectContaining({ code: 'linux/unknown-layer' }),
      )
    }
    for (const type of ['lvm', 'crypt', 'raid1', 'md', 'part'])
      expect(codesOf({ disks: below(type) })).toEqual([])
  })

  test('what came since the server was protected is refused at the next point, unless its disk is excluded', () => {
    const [disk] = good.disks
    if (!disk) throw new Error('there is one')
    const facts = { ...good, hasNvmePaths: true }
    expect(() => disksToCopy(facts, [])).toThrow(expect.objectContaining({ code: 'linux/several-paths' }))
    const other = { ...disk, key: toDiskKey('other'), name: 'sdy', path: '/dev/sdy' }
    expect(disksToCopy({ ...facts, disks: [...facts.disks, other] }, [disk.key])).toEqual([other])
    expect(disksToCopy(good, [])).toEqual(good.disks)
    expect(() => disksToCopy({ ...good, isRoot: false }, [disk.key])).toThrow(
      expect.objectContaining({ code: 'linux/not-root' }),
    )
  })

  test('a disk’s key is one that every target takes, and two long names keep two', () => {
    const long = 'eui.00000000000000000025385791b00a'
    for (const text of ['0x5000c500a0b1c2d3', long, `${long}f`, 'ü', '/dev/x', 'nvme.8086-425443-494e54'])
      expect(toDiskKey(text)).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,21}$/)
    expect(toDiskKey('0x5000c500a0b1c2d3')).toBe('0x5000c500a0b1c2d3')
    expect(new Set([toDiskKey(`${long}e`), toDiskKey(`${long}f`)]).size).toBe(2)
    expect(toDiskKey('ü')).not.toBe(toDiskKey('ö'))
  })

  test('lockdown for integrity alone forbids nothing', () => {
    expect(codesOf({ lockdown: 'integrity' })).toEqual([])
  })
})
