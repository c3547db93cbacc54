// What builds the initial memory disks of a distribution, and how it is told of more drivers by one file of ours.
import { stat } from 'node:fs/promises'
import { join } from 'node:path'

export type MemoryDiskTool = {
  readonly name: 'initramfs-tools' | 'dracut'
  /** Says, from now on and for kernels to come, that these drivers are wanted. */
  readonly drivers: (drivers: readonly string[]) => {
    readonly path: string
    readonly content: string
    readonly mode: number
  }
  readonly memoryDiskOf: (kernel: string) => string
  /** Builds one without touching the one that is there. */
  readonly build: (kernel: string, into: string) => readonly [command: string, ...parameters: string[]]
}

/** Debian, Ubuntu and their kin. */
const initramfsTools: MemoryDiskTool = {
  name: 'initramfs-tools',
  drivers: (drivers) => ({
    path: '/etc/initramfs-tools/hooks/understudy',
    content: [
      '#!/bin/sh',
      '# By the Understudy agent: drivers that this server needs where its replica starts. Removed with its protection.',
      '[ "$1" = prereqs ] && exit 0',
      '. /usr/share/initramfs-tools/hook-functions',
      `manual_add_modules ${drivers.join(' ')}`,
      '',
    ].join('\n'),
    mode: 0o755,
  }),
  memoryDiskOf: (kernel) => `/boot/initrd.img-${kernel}`,
  build: (kernel, into) => ['mkinitramfs', '-o', into, kernel],
}

/** Red Hat, SUSE and their kin. Written after dracut(8) and dracut.conf(5), not run. */
const dracut = (memoryDiskOf: MemoryDiskTool['memoryDiskOf']): MemoryDiskTool => ({
  name: 'dracut',
  drivers: (drivers) => ({
    path: '/etc/dracut.conf.d/90-understudy.conf',
    content: [
      '# By the Understudy agent: drivers that this server needs where its replica starts. Removed with its protection.',
      `add_drivers+=" ${drivers.join(' ')} "`,
      '',
    ].join('\n'),
    mode: 0o644,
  }),
  memoryDiskOf,
  build: (kernel, into) => ['dracut', '--force', '--kver', kernel, into],
})

/** Null: neither is there, or its files are not where they are expected. `root`: the place of `/`. */
export async function findMemoryDiskTool(root: string, kernel: string): Promise<MemoryDiskTool | null> {
  const isThere = (path: string): Promise<boolean> =>
    stat(join(root, path)).then(
      () => true,
      () => false,
    )
  if ((await isThere('/etc/initramfs-tools/hooks')) && (await isThere('/usr/sbin/mkinitramfs')))
    return initramfsTools
  if (!(await isThere('/etc/dracut.conf.d'))) return null
  for (const place of [`/boot/initramfs-${kernel}.img`, `/boot/initrd-${kernel}`])
    if (await isThere(place)) return dracut((other) => place.replace(kernel, other))
  return null
}
