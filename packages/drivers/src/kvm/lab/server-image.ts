// For tests: a whole Debian server with systemd as somebody has installed it on real hardware. Its initial memory disk has the drivers of that
// hardware and no others, and its network is written for the name that its adapter has there.
import { createHash } from 'node:crypto'
import {
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import { toPartitionTable } from './partition-table.ts'
import { runTool } from './run-tool.ts'

const sources = join(dirname(fileURLToPath(import.meta.url)), 'server')
/** Raise it when the recipe changes in a way that the server's own files do not show. */
const recipeVersion = 3
export const serverDiskBytes = 768 * MiB
export const serverRootOffset = MiB
/** The test gives its adapter the slot that this name comes from. */
export const serverAdapterName = 'enp0s5'
export const serverProbePort = 8080
const rootUuid = '5e4e7000-0000-4000-8000-00000000d15c'

const packages = [
  ...['systemd-sysv', 'udev', 'linux-image-amd64', 'initramfs-tools', 'busybox', 'zstd', 'cpio'],
  ...['util-linux', 'iproute2', 'kmod', 'e2fsprogs'],
]
/** What no virtual machine has, and what nobody reads in a test: it would not fit on the disk while it is installed. */
const leftOut = [
  ...['doc', 'man', 'locale', 'info', 'i18n'].map((name) => `/usr/share/${name}`),
  ...['sound', 'drivers/gpu', 'drivers/media', 'drivers/net/wireless', 'drivers/infiniband'].map(toModules),
  ...['drivers/staging', 'drivers/iio', 'drivers/usb', 'drivers/isdn', 'drivers/hwmon'].map(toModules),
  ...['drivers/input', 'drivers/bluetooth', 'net/bluetooth', 'net/mac80211', 'fs/ocfs2', 'fs/ceph'].map(
    toModules,
  ),
]
/** What `MODULES=dep` would have found on the server's hardware, had it been installed there. */
const ownDrivers = ['ahci', 'sd_mod', 'ext4', 'e1000e']
/** All modules that are kept, with what they need: a copy of the others takes minutes where the processors are emulated. */
const keptModules = [...ownDrivers, 'virtio_pci', 'virtio_blk', 'virtio_net', 'virtio_scsi', 'crc32c_generic']

/** A raw disk in the cache, for `makeServerDisk` to copy. Needs root, loop devices, and the package sources of the distribution the first time. */
export async function buildServerDisk(options: { readonly cacheFolder: string }): Promise<string> {
  const folder = join(options.cacheFolder, `lab-server-${fingerprintOfRecipe()}`)
  const disk = join(folder, 'disk.raw')
  if (await isThere(disk)) return disk
  await mkdir(options.cacheFolder, { recursive: true })
  const work = await mkdtemp(join(options.cacheFolder, 'building-'))
  try {
    // Installed beside the disk: what packages unpack before it is cut to what is needed would not fit on it.
    const root = join(work, 'root')
    const exclusions = leftOut.map((path) => `--dpkgopt=path-exclude=${path}/*`)
    await runTool('mmdebstrap', [
      ...['--quiet', '--variant=minbase', '--mode=root', '--dpkgopt=force-unsafe-io'],
      ...[`--include=${packages.join(',')}`, ...exclusions, 'bookworm', root],
    ])
    await furnish(root)
    const file = join(work, 'disk.raw')
    await partition(file)
    await withServerRoot(file, async (mounted) => {
      await runTool('cp', ['-a', `${root}/.`, mounted])
      await runTool('extlinux', ['--install', join(mounted, 'boot/extlinux')])
    })
    await rm(root, { recursive: true })
    await rename(work, folder).catch(async (cause: unknown) => {
      if (!(await isThere(disk))) throw cause
    })
    return disk
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** A server of its own: with a writer of records, and the agent as a service that enrols itself with this command first. */
export async function makeServerDisk(
  base: string,
  file: string,
  server: {
    readonly node: string
    readonly agent: string
    readonly enrol: string
    /** Of the agent, one assignment a line. */
    readonly environment: string
  },
): Promise<void> {
  await runTool('cp', ['--sparse=always', base, file])
  await withServerRoot(file, async (root) => {
    await copyFile(server.node, join(root, 'usr/local/bin/node'))
    await copyFile(server.agent, join(root, 'usr/local/lib/understudy-agent.mjs'))
    const program = '#!/bin/sh\nexec /usr/local/bin/node /usr/local/lib/understudy-agent.mjs "$@"\n'
    await writeFile(join(root, 'usr/local/bin/understudy-agent'), program, { mode: 0o755 })
    await writeFile(join(root, 'etc/understudy-enrol'), `${server.enrol}\n`)
    await writeFile(join(root, 'etc/understudy-test'), server.environment)
    await copyFile(join(sources, 'records.mjs'), join(root, 'usr/local/lib/records.mjs'))
    const units = join(root, 'etc/systemd/system')
    for (const name of ['records.service', 'understudy-agent.service']) {
      await copyFile(join(sources, name), join(units, name))
      await symlink(`/etc/systemd/system/${name}`, join(units, 'multi-user.target.wants', name))
    }
  })
}

/** Mounts the root of a server that is off. */
export async function withServerRoot(file: string, work: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(dirname(file), '.root-'))
  const where = `loop,offset=${serverRootOffset},sizelimit=${serverDiskBytes - serverRootOffset}`
  await runTool('mount', ['-o', where, file, root])
  try {
    await work(root)
  } finally {
    await runTool('umount', [root])
    await rm(root, { recursive: true })
  }
}

async function partition(file: string): Promise<void> {
  const handle = await open(file, 'w')
  const bytes = serverDiskBytes - serverRootOffset
  const code = (await readFile('/usr/lib/EXTLINUX/mbr.bin')).subarray(0, 440)
  await handle.truncate(serverDiskBytes)
  await handle.write(
    toPartitionTable([{ type: 0x83, offset: serverRootOffset, bytes, active: true }], code),
    0,
    512,
    0,
  )
  await handle.close()
  // extlinux 6 reads neither 64-bit block numbers nor checksums.
  const features = ['-O', '^64bit,^metadata_csum', '-E', `offset=${serverRootOffset},lazy_itable_init=0`]
  const size = `${bytes / 1024}k`
  await runTool('mke2fs', ['-q', '-F', '-t', 'ext4', '-b', '4096', '-U', rootUuid, ...features, file, size])
}

async function furnish(root: string): Promise<void> {
  const put = async (path: string, content: string, mode = 0o644): Promise<void> => {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), content, { mode })
  }
  const inside = (...command: string[]) => runTool('chroot', [root, ...command])
  await put('etc/hostname', 'old-iron\n')
  await put('etc/fstab', `UUID=${rootUuid} / ext4 errors=remount-ro 0 1\n`)
  await put(
    'etc/systemd/network/10-lan.network',
    `[Match]\nName=${serverAdapterName}\n\n[Network]\nDHCP=ipv4\n`,
  )
  await put('etc/machine-id', 'uninitialized\n')
  await inside('systemctl', 'enable', 'systemd-networkd')
  await inside(
    'systemctl',
    'mask',
    'apt-daily.timer',
    'apt-daily-upgrade.timer',
    'e2scrub_all.timer',
    'systemd-networkd-wait-online.service',
  )
  const kernel = present(
    (await readdir(join(root, 'boot'))).find((name) => name.startsWith('vmlinuz-')),
    'it has a kernel',
  ).slice('vmlinuz-'.length)
  await keepModules(root, kernel)
  const settings = join(root, 'etc/initramfs-tools/initramfs.conf')
  await writeFile(settings, (await readFile(settings, 'utf8')).replace('MODULES=most', 'MODULES=list'))
  await put('etc/initramfs-tools/modules', `${ownDrivers.join('\n')}\n`)
  await inside('update-initramfs', '-u')
  await put(
    'boot/extlinux/extlinux.conf',
    `DEFAULT linux\nPROMPT 0\nLABEL linux\n  KERNEL /boot/vmlinuz-${kernel}\n  INITRD /boot/initrd.img-${kernel}\n  APPEND root=UUID=${rootUuid} ro console=ttyS0 panic=5\n`,
  )
  for (const path of ['var/cache/apt', 'var/lib/apt/lists'])
    await rm(join(root, path), { recursive: true, force: true })
}

async function keepModules(root: string, kernel: string): Promise<void> {
  const needed = await runTool('chroot', [root, 'modprobe', '-S', kernel, '-D', '-a', ...keptModules])
  const kept = new Set(
    [...needed.matchAll(/^insmod (\S+)/gm)].map(([, path = '']) => join(root, 'usr', path)),
  )
  const folder = join(root, 'usr/lib/modules', kernel)
  for (const path of await readdir(folder, { recursive: true })) {
    const file = join(folder, path)
    if (path.endsWith('.ko') && !kept.has(file)) await rm(file)
  }
  await runTool('chroot', [root, 'depmod', kernel])
}

function toModules(folder: string): string {
  return `/lib/modules/*/kernel/${folder}`
}

function fingerprintOfRecipe(): string {
  const recipe = [recipeVersion, serverDiskBytes, ...packages, ...leftOut, ...keptModules].join(' ')
  return createHash('sha256').update(recipe).digest('hex').slice(0, 16)
}

const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  )
