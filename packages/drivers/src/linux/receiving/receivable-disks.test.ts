import { expect, test } from 'vitest'
import { type BlockDevice, parseBlockDevices } from '../block-devices.ts'
import { whyBlocked } from './receivable-disks.ts'

const disk = (change: object, ...children: object[]): BlockDevice => {
  const [parsed] = parseBlockDevices(
    JSON.stringify({
      blockdevices: [
        { name: 'sda', path: '/dev/sda', size: 1000, type: 'disk', ro: false, children, ...change },
      ],
    }),
  )
  if (!parsed) throw new Error('There is a disk')
  return parsed
}
const part = (change: object): object => ({ name: 'sda1', type: 'part', size: 500, ...change })

test.each([
  ['it can only be read', disk({ ro: true })],
  ['something of it is mounted at /mnt', disk({}, part({ mountpoints: [null, '/mnt'] }))],
  ['the rescue system swaps to it', disk({}, part({ mountpoints: ['[SWAP]'] }))],
  ['LVM (vg-root) uses it', disk({}, part({ children: [{ name: 'vg-root', type: 'lvm', size: 1 }] }))],
  ['an array of md (md0) uses it', disk({}, part({ children: [{ name: 'md0', type: 'raid1', size: 1 }] }))],
  ['encryption (luks) uses it', disk({ children: [{ name: 'luks', type: 'crypt', size: 1 }] })],
  [
    'it is a medium to start from, maybe the one that the rescue system came from',
    disk({ fstype: 'iso9660' }, part({ fstype: 'vfat' })),
  ],
])('%s', (why, device) => {
  expect(whyBlocked(device)).toBe(why)
})
test('what merely holds a system, arrays or volumes that nobody has started may be written', () => {
  expect(
    whyBlocked(
      disk(
        {},
        part({ fstype: 'ext4' }),
        part({ fstype: 'LVM2_member' }),
        part({ fstype: 'linux_raid_member' }),
      ),
    ),
  ).toBeNull()
})
