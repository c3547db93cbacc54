// Which file systems lie on the disks that are copied, and what is done to each of them so that none of them writes.
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { depthOnDisks, deviceText } from './block-devices.ts'

export type Mount = {
  readonly id: string
  /** The mount that it is mounted in. */
  readonly parent: string
  /** What of the file system is mounted: all of it is `/`. */
  readonly root: string
  readonly mountPoint: string
  /** `major:minor` of the file system; of no disk for Btrfs and the like. */
  readonly device: string
  readonly type: string
  readonly source: string
  readonly writable: boolean
  /** Its name leads to it. Something else may have been mounted over it. */
  readonly reachable: boolean
}

/** With through how many files that are devices it lies on a disk. */
export type MountOnDisk = Mount & { readonly depth: number }

export type HoldPlan = {
  /** In this order. */
  readonly freeze: readonly { readonly mountPoint: string; readonly mountId: string }[]
  /** Have no such thing: what was written is brought to the disk before, and it is checked that nothing follows. */
  readonly syncOnly: readonly string[]
  /** Written to, and mounted only where something else lies over it: nobody can get at them to freeze them. */
  readonly unreachable: readonly string[]
}

/** Without freeze_fs in the kernel: FIFREEZE says that it is not supported. */
const CANNOT_FREEZE = [
  'vfat',
  'msdos',
  'exfat',
  'ntfs3',
  'fuseblk',
  'udf',
  'hfs',
  'hfsplus',
  'minix',
  'sysv',
  'ufs',
]

export const canFreeze = (type: string): boolean => !CANNOT_FREEZE.includes(type)

/** The text of /proc/self/mountinfo: see proc_pid_mountinfo(5). Pure. */
export function parseMounts(text: string): readonly Mount[] {
  const mounts: Omit<Mount, 'reachable'>[] = []
  for (const line of text.split('\n')) {
    const fields = line.split(' ')
    const dash = fields.indexOf('-')
    if (dash < 0) continue
    const [id = '', parent = '', device = '', root = '', mountPoint = '', options = ''] = fields
    const [type = '', source = '', superOptions = ''] = fields.slice(dash + 1)
    mounts.push({
      id,
      parent,
      root: fromOctal(root),
      mountPoint: fromOctal(mountPoint),
      device,
      type,
      source: fromOctal(source),
      // A file system may be mounted for reading here and for writing elsewhere: its own options decide.
      writable: options.split(',').includes('rw') || superOptions.split(',').includes('rw'),
    })
  }
  const byId = new Map(mounts.map((mount) => [mount.id, mount]))
  const inside = Map.groupBy(mounts, ({ parent }) => parent)
  const isCovered = (mount: Omit<Mount, 'reachable'>): boolean => {
    // Over its own root.
    if (inside.get(mount.id)?.some(({ mountPoint }) => mountPoint === mount.mountPoint)) return true
    // Over a folder on the way to it, in whichever mount that folder is.
    let child = mount
    for (let steps = 0; steps < mounts.length; steps += 1) {
      const place = child
      const beside = inside.get(place.parent) ?? []
      if (beside.some((other) => other !== place && leadsTo(other.mountPoint, place.mountPoint))) return true
      const parent = byId.get(place.parent)
      if (parent === undefined || parent === place) return false
      child = parent
    }
    return false
  }
  return mounts.map((mount) => ({ ...mount, reachable: !isCovered(mount) }))
}

const leadsTo = (folder: string, path: string): boolean =>
  path.startsWith(folder.endsWith('/') ? folder : `${folder}/`)

/** Blank, tab, newline and backslash are written in octal. */
const fromOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** Pure. `onDisks`: those that lie on the disks that are copied. */
export function planHold(onDisks: readonly MountOnDisk[]): HoldPlan {
  const chosen: MountOnDisk[] = []
  const unreachable: string[] = []
  // Of several mounts of one file system one is enough; one of a single file cannot be frozen, so the whole goes first.
  for (const mounts of Map.groupBy(onDisks, ({ device }) => device).values()) {
    const reachable = mounts.filter((mount) => mount.reachable)
    const mount = reachable.find(({ root }) => root === '/') ?? reachable[0]
    const [first] = mounts
    if (!mounts.some(({ writable }) => writable) || first === undefined) continue
    if (mount === undefined) unreachable.push(first.mountPoint)
    else chosen.push(mount)
  }
  // What writes to another one first: a file with a file system in it, wherever that is mounted, and what is mounted inside.
  chosen.sort((a, b) => b.depth - a.depth || lengthOf(b.mountPoint) - lengthOf(a.mountPoint))
  return {
    freeze: chosen
      .filter(({ type }) => canFreeze(type))
      .map(({ mountPoint, id }) => ({ mountPoint, mountId: id })),
    syncOnly: chosen.filter(({ type }) => !canFreeze(type)).map(({ mountPoint }) => mountPoint),
    unreachable,
  }
}

const lengthOf = (path: string): number => path.split('/').filter((part) => part !== '').length

/** Those mounted now that lie on any of the disks, named `major:minor`. */
export async function readMountsOn(disks: ReadonlySet<string>): Promise<readonly MountOnDisk[]> {
  const found: MountOnDisk[] = []
  for (const mount of parseMounts(await readFile('/proc/self/mountinfo', 'utf8'))) {
    const depths: number[] = []
    for (const device of await devicesOf(mount)) {
      const depth = await depthOnDisks(device, disks)
      if (depth !== null) depths.push(depth)
    }
    if (depths.length > 0) found.push({ ...mount, depth: Math.max(...depths) })
  }
  return found
}

/** Null: there is none, as nowhere. */
export const readRootType = async (): Promise<string | null> =>
  parseMounts(await readFile('/proc/self/mountinfo', 'utf8')).find(
    ({ mountPoint, reachable }) => mountPoint === '/' && reachable,
  )?.type ?? null

/** Btrfs and others number themselves; the disk is behind their source then. */
async function devicesOf({ device, source, type }: Mount): Promise<readonly string[]> {
  if (!device.startsWith('0:')) return [device]
  if (!source.startsWith('/dev/')) return []
  const facts = await stat(source).catch(() => null)
  if (!facts?.isBlockDevice()) return []
  const own = deviceText(facts.rdev)
  return type === 'btrfs' ? await devicesOfBtrfs(own) : [own]
}

/** It names one of its devices, and may lie on several. */
async function devicesOfBtrfs(one: string): Promise<readonly string[]> {
  const all = '/sys/fs/btrfs'
  for (const id of await readdir(all).catch(() => [])) {
    const folder = join(all, id, 'devices')
    const names = await readdir(folder).catch(() => [])
    const devices = await Promise.all(
      names.map(async (name) =>
        (await readFile(join(folder, basename(name), 'dev'), 'latin1').catch(() => '')).trim(),
      ),
    )
    if (devices.includes(one)) return devices
  }
  return [one]
}
