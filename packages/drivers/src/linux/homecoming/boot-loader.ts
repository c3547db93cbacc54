// What the firmware of the computer starts: GRUB on a disk by BIOS, or a file in the system partition by UEFI, with an entry in the firmware that a new
// computer does not have.
import { copyFile, mkdir, open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { runInServer } from './in-server.ts'
import type { MountedServer } from './mount-server.ts'
import { runWell, type Tools } from './run-well.ts'
import type { Volume } from './volumes.ts'

const INSTALL_SECONDS = 300
/** Where UEFI looks when it has no entry: UEFI 2.10, 3.5.1.1. */
const REMOVABLE = 'EFI/BOOT/BOOTX64.EFI'
/** The first one is signed, and starts the second. */
const LOADERS = ['shimx64.efi', 'grubx64.efi', 'systemd-bootx64.efi']

export type BootLoaderPlace = {
  readonly server: MountedServer
  readonly disks: readonly string[]
  readonly volumes: readonly Volume[]
  /** How this computer was started just now. */
  readonly isUefi: boolean
}

export async function finishBootLoader(place: BootLoaderPlace, tools: Tools): Promise<readonly string[]> {
  const { server, isUefi } = place
  const systemPartition = ['/boot/efi', '/efi', '/boot'].find(
    (folder) => server.mounted.get(folder)?.type === 'vfat',
  )
  if (systemPartition !== undefined) return await finishUefi(place, systemPartition, tools)
  const changes = await finishBios(place, tools)
  return isUefi
    ? [
        ...changes,
        'To do by a person: the rescue system was started by UEFI, and the server starts by BIOS; choose that ("legacy", "CSM") in the firmware of this computer',
      ]
    : changes
}

async function finishBios({ server, disks }: BootLoaderPlace, tools: Tools): Promise<readonly string[]> {
  const { root } = server
  const install = await first(['grub-install', 'grub2-install'], (name) =>
    isThere(join(root, 'usr/sbin', name)),
  )
  const hasParts = await isThere(join(root, 'usr/lib/grub/i386-pc'))
  if (install !== null && hasParts) {
    const holding: string[] = []
    for (const disk of disks) if (await holdsGrub(disk)) holding.push(disk)
    for (const disk of holding)
      await runInServer(server, [install, '--target=i386-pc', disk], tools, INSTALL_SECONDS)
    return holding.length > 0
      ? [`The boot loader GRUB was installed on ${holding.join(', ')}`]
      : [
          'To do by a person: GRUB is installed in the server, and in the first sector of none of its disks, so it was left alone; see that the server starts',
        ]
  }
  const isExtlinux = (await isThere(join(root, 'boot/extlinux'))) || (await isThere(join(root, 'extlinux')))
  return isExtlinux
    ? ['The boot loader extlinux is as it was: it came with the disk']
    : [
        'To do by a person: no boot loader that is known was found, so it is as it was; see that the server starts',
      ]
}

/** As GRUB writes itself into the first sector of a disk. */
async function holdsGrub(disk: string): Promise<boolean> {
  const handle = await open(disk, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(512), 0, 512, 0)
    return buffer.subarray(0, bytesRead).includes('GRUB', 0, 'latin1')
  } finally {
    await handle.close()
  }
}

async function finishUefi(
  { server, isUefi }: BootLoaderPlace,
  folder: string,
  tools: Tools,
): Promise<readonly string[]> {
  const system = join(server.root, folder)
  const changes: string[] = []
  const own = await findLoader(system)
  if (!(await isThere(join(system, REMOVABLE)))) {
    if (own === null)
      return [
        'To do by a person: the system partition for UEFI has no boot loader in it, so the server will not start by UEFI',
      ]
    await placeRemovable(system, own)
    changes.push('The boot loader was put where UEFI looks without an entry (\\EFI\\BOOT)')
  }
  if (!isUefi)
    return [
      ...changes,
      'To do by a person: the rescue system was started by BIOS, and the server starts by UEFI; choose that in the firmware of this computer. Its entry could not be made from here; \\EFI\\BOOT of its disk is started without one',
    ]
  return [...changes, ...(await makeEntry(server.mounted.get(folder), own, tools))]
}

type Loader = { readonly vendor: string; readonly file: string }

/** Of the distribution; null: only what is in EFI/BOOT. */
async function findLoader(system: string): Promise<Loader | null> {
  const vendors = await readdir(join(system, 'EFI')).catch(() => [])
  for (const wanted of LOADERS)
    for (const vendor of vendors.sort()) {
      if (vendor.toUpperCase() === 'BOOT') continue
      const files = await readdir(join(system, 'EFI', vendor)).catch(() => [])
      const file = files.find((name) => name.toLowerCase() === wanted)
      if (file !== undefined) return { vendor, file }
    }
  return null
}

/** With what stands beside it: a loader that is signed starts the next one from its own folder. */
async function placeRemovable(system: string, { vendor, file }: Loader): Promise<void> {
  const from = join(system, 'EFI', vendor)
  const into = join(system, 'EFI/BOOT')
  await mkdir(into, { recursive: true })
  for (const name of await readdir(from))
    if (/^(?:grubx64|mmx64)\.efi$/i.test(name) && name !== file)
      await copyFile(join(from, name), join(into, name))
  // Last: from here on it is started.
  await copyFile(join(from, file), join(system, REMOVABLE))
}

async function makeEntry(
  volume: Volume | undefined,
  own: Loader | null,
  tools: Tools,
): Promise<readonly string[]> {
  const { disk, partition } = volume ?? {}
  if (own === null || !disk || !partition?.partUuid) return []
  const loader = `\\EFI\\${own.vendor}\\${own.file}`
  const entries = (await runWell(tools, ['efibootmgr', '-v'])).toLowerCase()
  const isKnown = entries
    .split('\n')
    .some((line) => line.includes(partition.partUuid ?? '') && line.includes(loader.toLowerCase()))
  if (isKnown) return []
  const where = ['--disk', disk, '--part', String(partition.number)]
  await runWell(tools, ['efibootmgr', '--create', ...where, '--label', own.vendor, '--loader', loader])
  return [`The firmware of this computer has an entry now that starts ${loader} of ${disk}`]
}

const first = async (
  names: readonly string[],
  fits: (name: string) => Promise<boolean>,
): Promise<string | null> => {
  for (const name of names) if (await fits(name)) return name
  return null
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
