// With commands that only pretend: a disk is a text for blkid, and mounting one puts a link to a folder in its place.
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  rmdir,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Outage } from '@understudy/base/errors'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { firstBootScript } from '../preparation/first-boot.ts'
import { finishDisks } from './finish-disks.ts'
import { REPLICA_NETWORK_FILES } from './replica-network.ts'
import { restartServer } from './restart-server.ts'
import type { Run } from './run-well.ts'

const SECTORS = 2_000_000
let folder: string
let disk: string
let table: object | null
/** What blkid says of a device. */
let probes: Record<string, string>
/** The folder that is mounted for a device. */
let trees: Record<string, string>
let answers: (asked: string) => string | null | undefined
let asked: string[]
let mounted: string[]
let loops: number

const run: Run = async (command, parameters, options) => {
  options?.signal?.throwIfAborted()
  const text = [command, ...parameters].join(' ')
  asked.push(text)
  const own = answers(text)
  if (own === null) return { code: 1, output: 'it does not want to' }
  if (own !== undefined) return { code: 0, output: own }
  const last = parameters.at(-1) ?? ''
  switch (command) {
    case 'blockdev':
      return { code: 0, output: parameters[0] === '--getsize64' ? `${SECTORS * 512}\n` : '' }
    case 'sfdisk':
      return {
        code: table === null ? 1 : 0,
        output: table === null ? '' : `a warning\n${JSON.stringify(table)}`,
      }
    case 'losetup': {
      if (parameters[0] === '-d') return { code: 0, output: '' }
      loops += 1
      return { code: 0, output: `/dev/loop${loops}\n` }
    }
    case 'blkid':
      return { code: last in probes ? 0 : 2, output: probes[last] ?? '' }
    case 'mount':
      return await pretendMount(parameters)
    case 'umount': {
      mounted = mounted.filter((place) => place !== last)
      if (!(await lstat(last)).isSymbolicLink()) return { code: 0, output: '' }
      await unlink(last)
      await mkdir(last)
      return { code: 0, output: '' }
    }
    case 'chroot':
      return await pretendInside(parameters)
    default:
      return { code: ['sync', 'udevadm', 'vgchange', 'mdadm'].includes(command) ? 0 : 1, output: '' }
  }
}

async function pretendMount(parameters: readonly string[]) {
  const [source = '', place = ''] = parameters.slice(-2)
  if (parameters.includes('--rbind')) {
    mounted.push(place)
    return { code: 0, output: '' }
  }
  const tree = trees[source]
  if (tree === undefined) return { code: 32, output: 'wrong fs type' }
  mounted.push(place)
  await rmdir(place)
  await symlink(tree, place)
  return { code: 0, output: '' }
}

async function pretendInside([root = '', ...rest]: readonly string[]) {
  const command = rest.slice(rest.findIndex((word) => !word.includes('=') && word !== 'env'))
  if (command[0] === 'mkinitramfs') {
    const [, , settings = '', , into = '', kernel] = command
    const content = await readFile(join(root, settings, 'conf.d/zz-understudy'), 'utf8')
    const list = await readFile(join(root, settings, 'initramfs.conf'), 'utf8')
    await writeFile(join(root, into), `${kernel}: ${list}${content}`)
  }
  return { code: 0, output: '' }
}

const put = async (path: string, content = ''): Promise<void> => {
  await mkdir(dirname(join(folder, path)), { recursive: true })
  await writeFile(join(folder, path), content)
}

async function putServer(name: string, fstab: string): Promise<void> {
  await put(`${name}/etc/os-release`, 'ID=debian\n')
  await put(`${name}/etc/fstab`, fstab)
  await put(`${name}/etc/initramfs-tools/initramfs.conf`, 'MODULES=dep\n')
  await put(`${name}/usr/sbin/mkinitramfs`)
  for (const kernel of ['6.1.0-9', '6.1.0-10']) {
    await put(`${name}/boot/vmlinuz-${kernel}`)
    await put(`${name}/boot/initrd.img-${kernel}`, 'as installed')
    await put(`${name}/lib/modules/${kernel}/modules.dep`)
  }
  await mkdir(join(folder, name, 'etc/initramfs-tools/hooks'))
  await mkdir(join(folder, name, 'run'))
}

const partition = (number: number, more: object = {}) => ({
  node: `${disk}${number}`,
  start: 2048 * number,
  size: 2048,
  type: '0FC63DAF-8483-4772-8E79-3D69D8477DE4',
  uuid: `AAAA-${number}`,
  ...more,
})

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'us-homecoming-'))
  disk = join(folder, 'disk')
  await writeFile(disk, Buffer.alloc(512))
  await putServer('server', 'UUID=ROOT-1 / ext4 errors=remount-ro 0 1\n')
  table = {
    partitiontable: { label: 'gpt', sectorsize: 512, lastlba: SECTORS - 34, partitions: [partition(1)] },
  }
  probes = { '/dev/loop1': 'TYPE=ext4\nUUID=root-1\n' }
  trees = { '/dev/loop1': join(folder, 'server') }
  answers = () => undefined
  asked = []
  mounted = []
  loops = 0
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const finish = (isUefi = false) =>
  finishDisks({ disks: [{ path: disk, bytes: 512 * 1000 }], run, isUefi }).then(({ changes }) =>
    changes.join('\n'),
  )

/** All that was mounted and attached is taken back, whatever became of the rest. */
function expectLetGo(): void {
  expect(mounted).toEqual([])
  const attached = asked.filter((text) => text.startsWith('losetup --find'))
  expect(asked.filter((text) => text.startsWith('losetup -d'))).toHaveLength(attached.length)
}

test('memory disks are made for all hardware, and the settings of the server stay as they are', async () => {
  const changes = await finish()
  expect(changes).toContain('kernel 6.1.0-10 was made for all hardware')
  for (const kernel of ['6.1.0-9', '6.1.0-10'])
    expect(await readFile(join(folder, `server/boot/initrd.img-${kernel}`), 'utf8')).toBe(
      `${kernel}: MODULES=dep\nMODULES=most\n`,
    )
  expect(await readdir(join(folder, 'server/etc/initramfs-tools'))).toEqual(['hooks', 'initramfs.conf'])
  expect(await readdir(join(folder, 'server/run'))).toEqual([])
  expectLetGo()
  // Again, with the same outcome.
  loops = 0
  expect(await finish()).toBe(changes)
})

test('the newest kernel has to get one, an older one is told of', async () => {
  answers = (text) => (text.endsWith('6.1.0-9') && text.includes('mkinitramfs') ? null : undefined)
  expect(await finish()).toContain('kernel 6.1.0-9 could not be made and is as it was')
  expect(await readFile(join(folder, 'server/boot/initrd.img-6.1.0-9'), 'utf8')).toBe('as installed')
  loops = 0
  answers = (text) => (text.includes('mkinitramfs') ? null : undefined)
  await writeFile(join(folder, 'server/boot/initrd.img-6.1.0-10'), 'as installed')
  await expect(finish()).rejects.toMatchObject({ code: 'homecoming/not-built' })
  expect(await readFile(join(folder, 'server/boot/initrd.img-6.1.0-10'), 'utf8')).toBe('as installed')
  const files = await readdir(join(folder, 'server/boot'))
  expect(files).not.toContain('initrd.img-6.1.0-10.understudy-new')
  expectLetGo()
})

test('dracut is asked for all hardware by an option of this build', async () => {
  await rm(join(folder, 'server/usr/sbin/mkinitramfs'))
  await mkdir(join(folder, 'server/etc/dracut.conf.d'))
  for (const kernel of ['6.1.0-9', '6.1.0-10'])
    await put(`server/boot/initramfs-${kernel}.img`, 'as installed')
  const built: string[] = []
  const dracut: Run = async (command, parameters, options) => {
    if (command === 'chroot' && parameters.includes('dracut')) {
      built.push(parameters.slice(parameters.indexOf('dracut')).join(' '))
      await writeFile(join(parameters[0] ?? '', parameters.at(-1) ?? ''), 'for all')
      return { code: 0, output: '' }
    }
    return await run(command, parameters, options)
  }
  await finishDisks({ disks: [{ path: disk, bytes: 1 }], run: dracut, isUefi: false })
  expect(built[0]).toBe(
    'dracut --force --no-hostonly --kver 6.1.0-10 /boot/initramfs-6.1.0-10.img.understudy-new',
  )
  expect(await readFile(join(folder, 'server/boot/initramfs-6.1.0-10.img'), 'utf8')).toBe('for all')
})

test.each([
  ['as big', SECTORS - 34, false],
  ['bigger', SECTORS - 5034, true],
])('on a disk that is %s the second partition table lies at its end', async (_what, lastlba, moves) => {
  table = { partitiontable: { label: 'gpt', sectorsize: 512, lastlba, partitions: [partition(1)] } }
  const changes = await finish()
  expect(asked.some((text) => text.includes('--relocate gpt-bak-std'))).toBe(moves)
  expect(changes.includes('was moved to its end')).toBe(moves)
})

test('a disk that is smaller than what was to be written is not touched', async () => {
  await expect(finishDisks({ disks: [{ path: disk, bytes: SECTORS * 512 + 1 }], run })).rejects.toMatchObject(
    {
      code: 'homecoming/disk-too-small',
    },
  )
  expect(asked).toHaveLength(1)
})

test('partitions that the kernel remembers from before are not taken for those that were written', async () => {
  answers = (text) => (text.startsWith('cat /sys/class/block/disk1/') ? '63\n2048\n' : undefined)
  await expect(finish()).rejects.toMatchObject({ code: 'homecoming/old-partitions' })
  answers = (text) => (text.startsWith('cat /sys/class/block/disk1/') ? '2048\n2048\n' : undefined)
  probes = { [`${disk}1`]: 'TYPE=ext4\nUUID=root-1\n' }
  trees = { [`${disk}1`]: join(folder, 'server') }
  await finish()
  expect(asked.some((text) => text.startsWith('losetup'))).toBe(false)
})

test('of several systems the one is finished whose fstab means itself', async () => {
  await putServer('other', 'UUID=somewhere-else / ext4 defaults 0 1\n')
  table = { partitiontable: { label: 'gpt', partitions: [partition(1), partition(2)] } }
  probes = { '/dev/loop1': 'TYPE=xfs\nUUID=other-1\n', '/dev/loop2': 'TYPE=ext4\nUUID=root-1\n' }
  trees = { '/dev/loop1': join(folder, 'other'), '/dev/loop2': join(folder, 'server') }
  await finish()
  expect(await readFile(join(folder, 'other/boot/initrd.img-6.1.0-10'), 'utf8')).toBe('as installed')
  expect(await readFile(join(folder, 'server/boot/initrd.img-6.1.0-10'), 'utf8')).not.toBe('as installed')
  loops = 0
  probes['/dev/loop2'] = 'TYPE=ext4\nUUID=root-2\n'
  await expect(finish()).rejects.toMatchObject({ code: 'homecoming/several-roots' })
  expectLetGo()
})

test('no system, or one that is encrypted, is said', async () => {
  probes = { '/dev/loop1': 'TYPE=crypto_LUKS\n' }
  await expect(finish()).rejects.toMatchObject({
    code: 'homecoming/no-root',
    message: expect.stringContaining('encrypted'),
  })
  expectLetGo()
})

test('a system on LVM is activated from these disks only, and deactivated', async () => {
  await writeFile(join(folder, 'server/etc/fstab'), '/dev/mapper/vg0-root / ext4 defaults 0 1\n')
  probes = { '/dev/loop1': 'TYPE=LVM2_member\n', '/dev/mapper/vg0-root': 'TYPE=ext4\n' }
  trees = { '/dev/mapper/vg0-root': join(folder, 'server') }
  answers = (text) => {
    if (text.startsWith('pvs --devices /dev/loop1 ')) return '  WARNING: something is odd\n  vg0\n'
    if (text.startsWith('lvs --devices /dev/loop1 '))
      return '  root|/dev/vg0/root|/dev/mapper/vg0-root\n  pool||\n'
    return undefined
  }
  expect(await finish()).toContain('made for all hardware')
  expect(asked).toContain('vgchange --devices /dev/loop1 -ay vg0')
  expect(asked.indexOf('vgchange --devices /dev/loop1 -an vg0')).toBeGreaterThan(
    asked.findLastIndex((text) => text.startsWith('umount')),
  )
  expectLetGo()
})

test('an array is assembled from its members on these disks, and stopped', async () => {
  table = { partitiontable: { label: 'gpt', partitions: [partition(1), partition(2)] } }
  const member = 'TYPE=linux_raid_member\nUUID=array-1\n'
  probes = { '/dev/loop1': member, '/dev/loop2': member, '/dev/md/understudy-0': 'TYPE=ext4\nUUID=root-1\n' }
  trees = { '/dev/md/understudy-0': join(folder, 'server') }
  await finish()
  expect(asked).toContain('mdadm --assemble --run /dev/md/understudy-0 /dev/loop1 /dev/loop2')
  expect(asked).toContain('mdadm --stop /dev/md/understudy-0')
})

test('what the server mounts to start is mounted, and what is missing refuses before anything is changed', async () => {
  const root = 'UUID=root-1 / ext4 defaults 0 1\n'
  await writeFile(join(folder, 'server/etc/fstab'), `${root}LABEL=boot /boot/ ext4 defaults 0 2\n`)
  await rm(join(folder, 'server/boot'), { recursive: true })
  await mkdir(join(folder, 'server/boot'))
  await put('boot/vmlinuz-6.1.0-10')
  table = { partitiontable: { label: 'gpt', partitions: [partition(1), partition(2)] } }
  probes['/dev/loop2'] = 'TYPE=ext4\nLABEL=boot\n'
  trees['/dev/loop2'] = join(folder, 'boot')
  await finish()
  expect(await readFile(join(folder, 'boot/initrd.img-6.1.0-10'), 'utf8')).toContain('MODULES=most')
  for (const spec of ['/dev/sda2', 'UUID=gone']) {
    loops = 0
    asked = []
    await writeFile(join(folder, 'server/etc/fstab'), `${root}${spec} /boot ext4 defaults 0 2\n`)
    await expect(finish()).rejects.toMatchObject({
      code: 'homecoming/not-mounted',
      message: expect.stringContaining(spec),
    })
    expect(asked.some((text) => text.startsWith('chroot'))).toBe(false)
    expectLetGo()
  }
})

test('lines of fstab that only a person can put right are said', async () => {
  await writeFile(
    join(folder, 'server/etc/fstab'),
    [
      '# comment',
      '/dev/sda1 / ext4 defaults 0 1',
      '/dev/sdb1 none swap sw 0 0',
      'UUID=gone /data xfs defaults 0 0',
      'UUID=stayed /kept xfs defaults 0 0',
      'UUID=gone-too /maybe xfs nofail 0 0',
      'tmpfs /tmp tmpfs defaults 0 0',
      'nas:/x /nas nfs defaults 0 0',
    ].join('\n'),
  )
  answers = (text) => (text === 'findfs UUID=stayed' ? '/dev/sdc1' : undefined)
  const changes = await finish()
  const toDo = changes.split('\n').filter((line) => line.includes('/etc/fstab'))
  expect(toDo).toHaveLength(3)
  expect(toDo[0]).toContain('/dev/sda1')
  expect(toDo[1]).toContain('its swap space by /dev/sdb1')
  expect(toDo[2]).toContain('/data from UUID=gone')
})

test('GRUB goes to the disk that has it, and to no other', async () => {
  await put('server/usr/sbin/grub-install')
  await put('server/usr/lib/grub/i386-pc/kernel.img')
  expect(await finish()).toContain('in the first sector of none of its disks')
  expect(asked.some((text) => text.includes('grub-install'))).toBe(false)
  loops = 0
  await writeFile(disk, Buffer.concat([Buffer.alloc(384), Buffer.from('GRUB '), Buffer.alloc(200)]))
  expect(await finish()).toContain(`The boot loader GRUB was installed on ${disk}`)
  expect(asked.some((text) => text.endsWith(` grub-install --target=i386-pc ${disk}`))).toBe(true)
})

test('extlinux is left alone, and the wrong firmware is said', async () => {
  await put('server/boot/extlinux/extlinux.conf')
  expect(await finish(false)).toContain('extlinux is as it was')
  loops = 0
  expect(await finish(true)).toContain('the server starts by BIOS')
})

async function putSystemPartition(): Promise<void> {
  table = {
    partitiontable: {
      label: 'gpt',
      partitions: [partition(1), partition(2, { type: 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B' })],
    },
  }
  await writeFile(
    join(folder, 'server/etc/fstab'),
    'UUID=root-1 / ext4 defaults 0 1\nUUID=ABCD-1234 /boot/efi vfat umask=0077 0 1\n',
  )
  await mkdir(join(folder, 'server/boot/efi'))
  for (const name of ['shimx64.efi', 'grubx64.efi', 'mmx64.efi', 'grub.cfg'])
    await put(`esp/EFI/debian/${name}`, name)
  probes['/dev/loop2'] = 'TYPE=vfat\nUUID=abcd-1234\n'
  trees['/dev/loop2'] = join(folder, 'esp')
}

test('by UEFI a new computer gets an entry, once, and the loader is where UEFI looks without one', async () => {
  await putSystemPartition()
  let entries = 'Boot0001* somebody else\tHD(2,GPT,bbbb-2,0x1000,0x800)/File(\\EFI\\debian\\shimx64.efi)\n'
  answers = (text) => {
    if (text.startsWith('efibootmgr --create'))
      entries += 'Boot0002* debian\tHD(2,GPT,aaaa-2,0x1000,0x800)/File(\\EFI\\DEBIAN\\SHIMX64.EFI)\n'
    return text.startsWith('efibootmgr') ? entries : undefined
  }
  const changes = await finish(true)
  expect(asked).toContain(
    `efibootmgr --create --disk ${disk} --part 2 --label debian --loader \\EFI\\debian\\shimx64.efi`,
  )
  expect(changes).toContain('has an entry now')
  expect(await readFile(join(folder, 'esp/EFI/BOOT/BOOTX64.EFI'), 'utf8')).toBe('shimx64.efi')
  expect((await readdir(join(folder, 'esp/EFI/BOOT'))).sort()).toEqual([
    'BOOTX64.EFI',
    'grubx64.efi',
    'mmx64.efi',
  ])
  loops = 0
  asked = []
  await finish(true)
  expect(asked.filter((text) => text.startsWith('efibootmgr'))).toEqual(['efibootmgr -v'])
})

test('started by BIOS, a server that starts by UEFI is said to be one, and what is in its place is not replaced', async () => {
  await putSystemPartition()
  await put('esp/EFI/BOOT/BOOTX64.EFI', 'of somebody')
  const changes = await finish(false)
  expect(changes).toContain('the server starts by UEFI')
  expect(await readFile(join(folder, 'esp/EFI/BOOT/BOOTX64.EFI'), 'utf8')).toBe('of somebody')
  expect(asked.some((text) => text.startsWith('efibootmgr'))).toBe(false)
})

test('the addresses of the replica do not come home', async () => {
  const ours = [
    'etc/systemd/network/05-understudy-525400000001.network',
    'etc/network/interfaces.d/understudy-eth0',
    'etc/NetworkManager/system-connections/understudy-525400000001.nmconnection',
    'etc/netplan/90-understudy-525400000001.yaml',
  ]
  const theirs = ['etc/systemd/network/10-lan.network', 'etc/netplan/50-cloud-init.yaml', 'etc/resolv.conf']
  for (const path of [...ours, ...theirs]) await put(`server/${path}`)
  const changes = await finish()
  for (const path of ours) {
    expect(changes).toContain(`/${path}`)
    await expect(lstat(join(folder, 'server', path))).rejects.toThrow()
  }
  for (const path of theirs) await lstat(join(folder, 'server', path))
  expect(changes).toContain('/etc/resolv.conf may have')
  loops = 0
  expect(await finish()).not.toContain('resolv.conf')
})

test('every folder into which the first-boot step writes is looked into', () => {
  const written = [...firstBootScript.matchAll(/\| put "\$root\/(etc\/[^"$]*)\/[^/"]*"/g)].map(
    ([, path]) => path,
  )
  expect(new Set(written)).toEqual(new Set(REPLICA_NETWORK_FILES.map(([path]) => path)))
})

test('what could not be taken back is said with what to do, also beside a failure', async () => {
  answers = (text) => (text.startsWith('umount -R') && text.endsWith('/sys') ? null : undefined)
  await expect(finish()).rejects.toMatchObject({
    code: 'homecoming/not-let-go',
    message: expect.stringMatching(/umount -R .*\/sys/),
  })
  loops = 0
  answers = (text) => (text.startsWith('losetup -d') || text.includes('mkinitramfs') ? null : undefined)
  await expect(finish()).rejects.toMatchObject({
    code: 'homecoming/not-built',
    message: expect.stringContaining('losetup -d /dev/loop1'),
  })
})

test('called off in the middle, it lets go of everything', async () => {
  const stopping = new AbortController()
  answers = (text) => {
    if (text.includes('mkinitramfs')) stopping.abort()
    return undefined
  }
  await expect(
    finishDisks({ disks: [{ path: disk, bytes: 1 }], run, isUefi: false, signal: stopping.signal }),
  ).rejects.toMatchObject({ name: 'AbortError' })
  expectLetGo()
})

test('the computer is restarted after its disks have everything, by force where it does not listen', async () => {
  answers = (text) => (text.startsWith('systemctl') ? '' : undefined)
  await restartServer(run)
  expect(asked).toEqual(['sync', 'systemctl --no-block reboot'])
  asked = []
  answers = (text) => (text === 'reboot -f' ? '' : undefined)
  await restartServer(run)
  expect(asked.at(-1)).toBe('reboot -f')
  answers = () => undefined
  await expect(restartServer(run)).rejects.toBeInstanceOf(Outage)
})
