import { expect, test } from 'vitest'
import { type HoldPlan, type MountOnDisk, parseMounts, planHold } from './mounts.ts'

const MOUNTINFO = `21 26 0:20 / /proc rw,relatime - proc proc rw
26 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw,errors=remount-ro
40 26 8:1 / /boot/efi rw,relatime shared:9 - vfat /dev/sda1 rw,fmask=0077
44 26 253:3 / /srv/my\\040data rw,relatime shared:2 master:3 - xfs /dev/mapper/vg-data rw,inode64
45 26 8:2 /var/lib /mnt/again ro,relatime - ext4 /dev/sda2 rw,errors=remount-ro
46 26 7:3 / /snap/core ro,nodev - squashfs /dev/loop3 ro
`
const mount = (
  mountPoint: string,
  type: string,
  device: string,
  change: Partial<MountOnDisk> = {},
): MountOnDisk => ({
  id: `id of ${mountPoint}`,
  parent: '26',
  root: '/',
  mountPoint,
  type,
  device,
  source: '/dev/x',
  writable: true,
  reachable: true,
  depth: 0,
  ...change,
})
const pointsOf = ({ freeze }: HoldPlan): readonly string[] => freeze.map(({ mountPoint }) => mountPoint)

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
    mount('/media', 'ext4', '8:9', { writable: false }),
  ])
  expect(pointsOf(plan)).toEqual(['/srv/deep/est', '/srv', '/'])
  expect(plan).toMatchObject({ syncOnly: ['/boot/efi'], unreachable: [] })
})

test('what lies in a file of another one is frozen before it, wherever it is mounted', () => {
  const plan = planHold([
    mount('/', 'ext4', '8:2'),
    mount('/srv/images', 'xfs', '8:3'),
    mount('/mnt', 'ext4', '7:0', { depth: 1 }),
  ])
  expect(pointsOf(plan)).toEqual(['/mnt', '/srv/images', '/'])
})

test('a file system is frozen where its name still leads to it, and the whole of it rather than a part', () => {
  const mounts = parseMounts(`26 1 8:2 / / rw - ext4 /dev/sda2 rw
40 26 8:1 / /data rw - ext4 /dev/sda1 rw
41 40 8:3 / /data rw - ext4 /dev/sda3 rw
50 26 8:4 / /a/b rw - ext4 /dev/sda4 rw
51 50 8:5 / /a/b/c rw - ext4 /dev/sda5 rw
52 26 8:6 / /a rw - ext4 /dev/sda6 rw
53 26 8:4 /etc/hosts /etc/hosts rw - ext4 /dev/sda4 rw
54 26 8:4 / /mnt/b rw - ext4 /dev/sda4 rw
60 26 8:7 / /ab rw - ext4 /dev/sda7 rw
`)
  expect(mounts.filter(({ reachable }) => !reachable).map(({ device }) => device)).toEqual([
    '8:1',
    '8:4',
    '8:5',
  ])
  const plan = planHold(mounts.map((some) => ({ ...some, depth: 0 })))
  expect(pointsOf(plan)).toEqual(['/mnt/b', '/data', '/a', '/ab', '/'])
  expect(plan.unreachable).toEqual(['/data', '/a/b/c'])
})
