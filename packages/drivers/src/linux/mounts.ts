// Which file systems lie on the disks that are copied, and what is done to each of them so that none of them writes.
import { readFile, stat } from 'node:fs/promises'
import { disksUnder } from './block-devices.ts'

export type Mount = {
  readonly mountPoint: string
  /** `major:minor` of the file system; of no disk for Btrfs and the like. */
  readonly device: string
  readonly type: string
  readonly source: string
  readonly writable: boolean
}

export type HoldPlan = {
  /** In this order. */
  readonly freeze: readonly string[]
  /** Have no such thing: what was written is brought to the disk before, and it is checked that nothing follows. */
  readonly syncOnly: readonly string[]
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
  const mounts: Mount[] = []
  for (const line of text.split('\n')) {
    const fields = line.split(' ')
    const dash = fields.indexOf('-')
    if (dash < 0) continue
    const [, , device = '', , mountPoint = '', options = ''] = fields
    const [type = '', source = '', superOptions = ''] = fields.slice(dash + 1)
    mounts.push({
      mountPoint: fromOctal(mountPoint),
      device,
      type,
      source: fromOctal(source),
      // A file system may be mounted for reading here and for writing elsewhere: its own options decide.
      writable: options.split(',').includes('rw') || superOptions.split(',').includes('rw'),
    })
  }
  return mounts
}

/** Blank, tab, newline and backslash are written in octal. */
const fromOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** Pure. `onDisks`: those that lie on the disks that are copied. */
export function planHold(onDisks: readonly Mount[]): HoldPlan {
  const once = new Map<string, Mount>()
  // Of several mounts of one file system one is enough, and the later ones may lie over the earlier ones.
  for (const mount of onDisks) if (mount.writable && !once.has(mount.device)) once.set(mount.device, mount)
  // What is mounted inside another one first: it may have to write to it, as a file with a file system in it does.
  const deepestFirst = [...once.values()].sort((a, b) => depthOf(b.mountPoint) - depthOf(a.mountPoint))
  const points = (some: readonly Mount[]): string[] => some.map(({ mountPoint }) => mountPoint)
  return {
    freeze: points(deepestFirst.filter(({ type }) => canFreeze(type))),
    syncOnly: points(deepestFirst.filter(({ type }) => !canFreeze(type))),
  }
}

const depthOf = (path: string): number => path.split('/').filter((part) => part !== '').length

/** Those mounted now that lie on any of the disks, named `major:minor`. */
export async function readMountsOn(disks: ReadonlySet<string>): Promise<readonly Mount[]> {
  const found: Mount[] = []
  for (const mount of parseMounts(await readFile('/proc/self/mountinfo', 'utf8'))) {
    const device = await deviceOf(mount)
    if (device === null) continue
    for (const disk of await disksUnder(device))
      if (disks.has(disk)) {
        found.push(mount)
        break
      }
  }
  return found
}

/** Btrfs and others number themselves; the disk is behind their source then. */
async function deviceOf({ device, source }: Mount): Promise<string | null> {
  if (!device.startsWith('0:')) return device
  if (!source.startsWith('/dev/')) return null
  const { rdev } = await stat(source).catch(() => ({ rdev: 0 }))
  return rdev === 0 ? null : `${majorOf(rdev)}:${minorOf(rdev)}`
}

/** As glibc puts them together: sysmacros.h. */
const majorOf = (rdev: number): number =>
  (Math.floor(rdev / 2 ** 8) % 2 ** 12) + Math.floor(rdev / 2 ** 44) * 2 ** 12
const minorOf = (rdev: number): number => (rdev % 2 ** 8) + (Math.floor(rdev / 2 ** 20) % 2 ** 24) * 2 ** 8
