// The root file system of a server among the volumes of its disks.
import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Refusal } from '@understudy/base/errors'
import { type FstabLine, findVolume, parseFstab } from './fstab.ts'
import { runWell, type Tools, tryRun } from './run-well.ts'
import { type Volume, withoutSignal } from './volumes.ts'

export type RootFileSystem = {
  readonly volume: Volume
  /** Of the mount; for Btrfs which part of it is the root. */
  readonly options: string
  readonly fstab: readonly FstabLine[]
}

const FILE_SYSTEMS = ['ext2', 'ext3', 'ext4', 'xfs', 'btrfs']
/** As Fedora and SUSE, Ubuntu, and Debian name the part of a Btrfs that is the root. */
const SUBVOLUMES = ['root', '@', '@rootfs']

/** Refuses (`homecoming/no-root`, `homecoming/several-roots`). `folder`: empty, to look from. */
export async function findRoot(
  volumes: readonly Volume[],
  folder: string,
  tools: Tools,
): Promise<RootFileSystem> {
  const candidates: RootFileSystem[] = []
  for (const volume of volumes) {
    if (volume.type === null || !FILE_SYSTEMS.includes(volume.type)) continue
    const subvolumes = volume.type === 'btrfs' ? SUBVOLUMES.map((name) => `subvol=${name}`) : []
    for (const options of ['', ...subvolumes]) {
      const fstab = await lookAt(volume, options, folder, tools)
      if (fstab === null) continue
      candidates.push({ volume, options, fstab })
      break
    }
  }
  return chooseRoot(candidates, volumes)
}

/** Pure. */
export function chooseRoot(
  candidates: readonly RootFileSystem[],
  volumes: readonly Volume[],
): RootFileSystem {
  const [only, another] = candidates
  if (only === undefined)
    throw new Refusal({
      code: 'homecoming/no-root',
      message: `None of the written disks has a Linux system on it that could be read${sealed(volumes)}`,
      remedy:
        'The disks are written whole. Restart the server from them; where it does not start, repair its boot loader by hand from the rescue system.',
    })
  if (another === undefined) return only
  const fitting = candidates.filter(({ volume, fstab }) => {
    const line = fstab.find(({ folder }) => folder === '/')
    return line !== undefined && findVolume(line.spec, volumes) === volume
  })
  const [fits, fitsToo] = fitting
  if (fits !== undefined && fitsToo === undefined) return fits
  throw new Refusal({
    code: 'homecoming/several-roots',
    message: `The written disks have several Linux systems on them, and nothing tells which one the server starts: ${candidates.map(({ volume }) => volume.path).join(', ')}`,
    remedy:
      'The disks are written whole. Restart the server from them; where it does not start, repair its boot loader by hand from the rescue system.',
  })
}

const sealed = (volumes: readonly Volume[]): string =>
  volumes.some(({ type }) => type === 'crypto_LUKS') ? '; what is on them is encrypted' : ''

/** Null: no system is on it, or it cannot be mounted. */
async function lookAt(
  { path }: Volume,
  options: string,
  folder: string,
  tools: Tools,
): Promise<readonly FstabLine[] | null> {
  const all = ['ro', ...(options === '' ? [] : [options])].join(',')
  if ((await tryRun(tools, ['mount', '-o', all, path, folder])) === null) return null
  try {
    const isSystem =
      (await isPlaced(join(folder, 'etc/os-release'))) || (await isPlaced(join(folder, 'usr/lib/os-release')))
    if (!isSystem) return null
    const text = await readFile(join(folder, 'etc/fstab'), 'utf8').catch(() => null)
    return text === null ? null : parseFstab(text)
  } finally {
    await runWell(withoutSignal(tools), ['umount', folder])
  }
}

/** It may be a link that leads somewhere only inside. */
const isPlaced = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  )
