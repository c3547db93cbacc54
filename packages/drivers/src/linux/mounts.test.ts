import { expect, test } from 'vitest'
import { type Mount, parseMounts, planHold } from './mounts.ts'

const MOUNTINFO = `21 26 0:20 / /proc rw,relatime - proc proc rw
26 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw,errors=remount-ro
40 26 8:1 / /boot/efi rw,relatime shared:9 - vfat /dev/sda1 rw,fmask=0077
44 26 253:3 / /srv/my\\040data rw,relatime shared:2 master:3 - xfs /dev/mapper/vg-data rw,inode64
45 26 8:2 /var/lib /mnt/again ro,relatime - ext4 /dev/sda2 rw,errors=remount-ro
46 26 7:3 / /snap/core ro,nodev - squashfs /dev/loop3 ro
`
const mount = (mountPoint: string, type: string, device: string, writable = true): Mount => ({
  mountPoint,
  type,
  device,
  source: '/dev/x',
  writable,
})

test('mounts are read with their blanks, their optional fields and what may be written', () => {
  const mounts = parseMounts(MOUNTINFO)
  expect(mounts.map(({ mountPoint, writable }) => [mountPoint, writable])).toEqual([
    ['/proc', true],
    ['/', true],
    ['/boot/efi', true],
    ['/srv/my data', true],
    ['/mnt/again', true],
    ['/snap/core', false],
  ])
  expect(mounts[3]).toMatchObject({ device: '253:3', type: 'xfs', source: '/dev/mapper/vg-data' })
})

test('each file system is frozen once, what is mounted inside another one before it, and root last', () => {
  const plan = planHold([
    mount('/', 'ext4', '8:2'),
    mount('/srv', 'xfs', '8:3'),
    mount('/srv/deep/est', 'btrfs', '0:44'),
    mount('/mnt/again', 'ext4', '8:2'),
    mount('/boot/efi', 'vfat', '8:1'),
    mount('/media', 'ext4', '8:9', false),
  ])
  expect(plan).toEqual({ freeze: ['/srv/deep/est', '/srv', '/'], syncOnly: ['/boot/efi'] })
})
