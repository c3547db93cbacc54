// The medium that a computer is started from to take a server back: a small Debian with the agent, all of it in memory, started by BIOS and by UEFI, from a
// disc, a stick or the network. Its packages are fetched from the mirrors of whoever builds it; we give none of them away.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import {
  chmod,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { root as tree } from './environment.mjs'
import { runChild } from './run-child.mjs'

export const rescueImageFile = 'understudy-rescue-amd64.iso'
export const rescueCache = join(tree, 'node_modules/.cache/understudy/rescue')
const sources = join(tree, 'apps/agent/rescue')

/** Raise it when the recipe changes in a way that neither the lists nor the files of `apps/agent/rescue` show. */
const recipeVersion = 1
const suite = 'bookworm'
const packages = [
  ...[
    'systemd-sysv',
    'systemd-resolved',
    'udev',
    'kmod',
    'linux-image-amd64',
    'initramfs-tools',
    'busybox',
    'zstd',
  ],
  ...['util-linux', 'fdisk', 'gdisk', 'iproute2', 'iputils-ping', 'less', 'pciutils', 'smartmontools'],
  ...['e2fsprogs', 'xfsprogs', 'btrfs-progs', 'dosfstools', 'lvm2', 'mdadm', 'dmsetup', 'ca-certificates'],
  ...['efibootmgr', 'grub2-common', 'grub-pc-bin', 'grub-efi-amd64-bin'],
]
/** What no server needs to be written to. */
const leftOut = [
  ...['doc', 'man', 'locale', 'info', 'i18n'].map((name) => `/usr/share/${name}`),
  ...[
    'sound',
    'drivers/gpu',
    'drivers/media',
    'drivers/net/wireless',
    'drivers/bluetooth',
    'drivers/staging',
  ].map(toModules),
  ...['drivers/iio', 'drivers/isdn', 'net/bluetooth', 'net/mac80211'].map(toModules),
]
/** What would assemble, activate, look at or write to a disk by itself, and what nobody can use here. */
const masked = [
  ...['getty@.service', 'serial-getty@.service', 'lvm2-monitor.service', 'lvm2-lvmpolld.socket'],
  ...[
    'mdadm.service',
    'mdmonitor.service',
    'mdmonitor-oneshot.timer',
    'mdcheck_start.timer',
    'mdcheck_continue.timer',
  ],
  ...[
    'e2scrub_all.timer',
    'e2scrub_reap.service',
    'fstrim.timer',
    'apt-daily.timer',
    'apt-daily-upgrade.timer',
  ],
  ...['smartmontools.service', 'systemd-pstore.service', 'systemd-boot-system-token.service'],
  ...['systemd-networkd-wait-online.service', 'dpkg-db-backup.timer'],
]
const removed = [
  ...['64-md-raid-assembly.rules', '69-lvm.rules', '64-btrfs.rules'].map(
    (name) => `usr/lib/udev/rules.d/${name}`,
  ),
  ...['btrfs', 'dmsetup', 'fsck', 'lvm2', 'mdadm', 'resume', 'xfs'].map(
    (name) => `usr/share/initramfs-tools/hooks/${name}`,
  ),
  ...['etc/machine-id', 'var/lib/dbus/machine-id', 'etc/resolv.conf', 'etc/hostname', 'etc/hosts'],
  ...['var/cache/apt', 'var/lib/apt/lists', 'var/log', 'var/backups', 'root/.bash_history'],
]

export type RescueImage = {
  /** Where the image is put. */
  readonly file: string
  /** The agent's program, and what lies beside it: from a file here to a path in the image. */
  readonly program: Readonly<Record<string, string>>
  /** Of the server that is asked: `server`, `token`, `fingerprint`, `proxy`; what is left out is typed in. */
  readonly settings: Readonly<Record<string, string>>
  /** Of the packages; left out: those of the distribution. */
  readonly mirror?: string
  /** Fetches the packages anew. */
  readonly again?: boolean
}

/** As root. */
export async function buildRescueImage({
  file,
  program,
  settings,
  mirror,
  again,
}: RescueImage): Promise<void> {
  await mkdir(rescueCache, { recursive: true })
  const base = await buildBase(mirror, again ?? false)
  const work = await mkdtemp(join(rescueCache, 'image-'))
  try {
    const memory = join(work, 'memory/rescue')
    await mkdir(memory, { recursive: true })
    const layer = join(work, 'agent')
    await cp(join(sources, 'usr'), join(layer, 'usr'), { recursive: true })
    for (const [from, path] of Object.entries(program)) {
      await mkdir(dirname(join(layer, path)), { recursive: true })
      await copyFile(from, join(layer, path))
      await chmod(join(layer, path), 0o755)
    }
    await mkdir(join(layer, 'etc/understudy'), { recursive: true })
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
    // It holds a token.
    await writeFile(join(layer, 'etc/understudy/rescue.conf'), lines.join(''), { mode: 0o600 })
    await squash(layer, join(memory, 'agent.squashfs'))
    await copyFile(join(base, 'base.squashfs'), join(memory, 'base.squashfs'))
    const medium = join(work, 'medium')
    await cp(join(sources, 'boot'), join(medium, 'boot'), { recursive: true })
    for (const name of ['vmlinuz', 'initrd.img']) await copyFile(join(base, name), join(medium, 'boot', name))
    // Files of a memory disk are laid over each other, so this one may be a file of its own.
    await runTool(
      `cd "$1" && find . | cpio --quiet -o -H newc -R 0:0 >"$2"`,
      join(work, 'memory'),
      join(medium, 'boot/rescue.cpio'),
    )
    const draft = join(dirname(file), `.${basename(file)}.new`)
    await runTool(
      'grub-mkrescue -o "$1" "$2" -- -volid UNDERSTUDY 2>"$3" || { cat "$3" >&2; exit 1; }',
      draft,
      medium,
      join(work, 'log'),
    )
    await rename(draft, file)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** Debian without the agent, kept for the next image: it takes minutes. */
async function buildBase(mirror: string | undefined, again: boolean): Promise<string> {
  const folder = join(rescueCache, `base-${await fingerprintOfRecipe()}`)
  if (existsSync(folder) && !again) {
    const { mtime } = await stat(folder)
    console.log(
      `With the packages as they were fetched on ${mtime.toISOString().slice(0, 10)}; --again fetches newer ones`,
    )
    return folder
  }
  const work = await mkdtemp(join(rescueCache, 'base-work-'))
  try {
    const root = join(work, 'root')
    const options = [
      ...[
        '--quiet',
        '--variant=minbase',
        '--mode=root',
        '--dpkgopt=force-unsafe-io',
        '--dpkgopt=force-confold',
      ],
      // Otherwise memory disks are built that nobody wants: it is done once, at the end.
      ...[
        '--essential-hook=mkdir -p "$1/etc/initramfs-tools" && echo update_initramfs=no >"$1/etc/initramfs-tools/update-initramfs.conf"',
      ],
      ...[`--include=${packages.join(',')}`, ...leftOut.map((path) => `--dpkgopt=path-exclude=${path}/*`)],
    ]
    console.log('Fetching the packages of the rescue system: this takes some minutes')
    await runTool(
      'exec env INITRD=No mmdebstrap "$@"',
      ...options,
      suite,
      root,
      ...(mirror === undefined ? [] : [mirror]),
    )
    await furnish(root)
    const kernel = (await readdir(join(root, 'boot'))).find((name) => name.startsWith('vmlinuz-'))
    if (kernel === undefined) throw new Error('The packages have no kernel')
    const version = kernel.slice('vmlinuz-'.length)
    await runTool('exec chroot "$1" mkinitramfs -o /boot/initrd.img "$2"', root, version)
    const done = join(work, 'done')
    await mkdir(done)
    await rename(join(root, 'boot', kernel), join(done, 'vmlinuz'))
    await rename(join(root, 'boot/initrd.img'), join(done, 'initrd.img'))
    await rm(join(root, 'boot'), { recursive: true })
    await squash(root, join(done, 'base.squashfs'))
    await rm(folder, { recursive: true, force: true })
    await rename(done, folder)
    return folder
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function furnish(root: string): Promise<void> {
  const put = async (path: string, content: string): Promise<void> => {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), content)
  }
  for (const path of removed) await rm(join(root, path), { recursive: true, force: true })
  await cp(join(sources, 'etc'), join(root, 'etc'), { recursive: true })
  await put('etc/hostname', 'rescue\n')
  await put('etc/hosts', '127.0.0.1 localhost\n::1 localhost\n')
  await put('etc/machine-id', 'uninitialized\n')
  await put('etc/fstab', '')
  await put('etc/mdadm/mdadm.conf', '# No array is assembled that nobody asked for.\nAUTO -all\n')
  await put('etc/initramfs-tools/initramfs.conf', 'MODULES=list\nBUSYBOX=y\nCOMPRESS=zstd\nFSTYPE=auto\n')
  await put('etc/initramfs-tools/modules', 'loop\nsquashfs\noverlay\n')
  await put('etc/initramfs-tools/conf.d/resume', 'RESUME=none\n')
  for (const path of ['var/cache/apt/archives/partial', 'var/lib/apt/lists/partial', 'var/log'])
    await mkdir(join(root, path), { recursive: true })
  const enabled = ['systemd-networkd', 'systemd-resolved', 'systemd-network-generator', 'understudy-receiver']
  const consoles = ['tty1', 'ttyS0'].map((terminal) => `understudy-console@${terminal}`)
  await runTool('exec chroot "$@"', root, 'systemctl', '--quiet', 'enable', ...enabled, ...consoles)
  await runTool('exec chroot "$@"', root, 'systemctl', '--quiet', 'mask', ...masked)
  await runTool(
    'ln -sf /run/systemd/resolve/resolv.conf "$1/etc/resolv.conf" && mkdir -p "$1/etc/systemd/system-generators" && ln -sf /dev/null "$1/etc/systemd/system-generators/systemd-gpt-auto-generator" && ln -sf /lib/systemd/system/multi-user.target "$1/etc/systemd/system/default.target"',
    root,
  )
}

const squash = (from: string, file: string): Promise<void> =>
  runTool(
    'exec mksquashfs "$1" "$2" -comp zstd -Xcompression-level 15 -noappend -quiet -no-progress -all-root',
    from,
    file,
  )

/** Throws when it does not end well; it has said why. */
async function runTool(script: string, ...parameters: readonly string[]): Promise<void> {
  const code = await runChild('sh', ['-c', script, 'sh', ...parameters], { limitSeconds: 1800 })
  if (code !== 0) throw new Error(`"${script.slice(0, 60)}" failed with exit code ${code}`)
}

function toModules(folder: string): string {
  return `/lib/modules/*/kernel/${folder}`
}

async function fingerprintOfRecipe(): Promise<string> {
  const hash = createHash('sha256').update(
    JSON.stringify([recipeVersion, suite, packages, leftOut, masked, removed]),
  )
  for (const path of (await readdir(join(sources, 'etc'), { recursive: true })).sort()) {
    const facts = await stat(join(sources, 'etc', path))
    if (facts.isFile()) hash.update(path).update(await readFile(join(sources, 'etc', path)))
  }
  return hash.digest('hex').slice(0, 16)
}
