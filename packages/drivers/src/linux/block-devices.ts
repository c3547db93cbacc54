// The disks of this server as the kernel and lsblk have them, and which of them a device lies on.
import { createHash } from 'node:crypto'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { commandFailed } from './failures.ts'
import { runCommand } from './run-command.ts'

export type BlockDevice = {
  readonly name: string
  readonly path: string
  /** `major:minor` */
  readonly device: string
  readonly bytes: number
  readonly type: string
  readonly readOnly: boolean
  readonly removable: boolean
  readonly serial: string | null
  readonly wwn: string | null
  readonly model: string | null
  readonly transport: string | null
  readonly fileSystem: string | null
  readonly partitionTable: string | null
  readonly mountPoints: readonly string[]
  readonly children: readonly BlockDevice[]
}

export type WholeDisk = BlockDevice & {
  readonly key: DiskKey
  /** Whether the key is the disk's own and stays with it wherever it is plugged in. */
  readonly keyIsStable: boolean
  /** Another one for every disk that appears, whatever its name, and for one that names itself another way. */
  readonly sequence: string
  /** Its requests pass where they are seen. Devices that take whole I/Os have none. */
  readonly hasRequests: boolean
}

/** What makes up a server's disks; the rest is made of memory, of files, or of these. */
const DISK_TYPES = ['disk']
const NOT_DISKS = /^(?:zram|ram|nbd|fd|sr|loop|mtdblock)\d/

/** `only`: these devices and nothing else, whatever they are. */
export async function readWholeDisks(
  only: readonly string[] | null,
  signal?: AbortSignal,
): Promise<readonly WholeDisk[]> {
  const listed = parseBlockDevices(await listBlockDevices(only ?? [], signal))
  const disks = only ? listed : listed.filter(isDisk)
  return await Promise.all(disks.map(toWholeDisk))
}

/** A disk that a server could lose and want back: not of memory, not of a file, not empty, not a disc in a drive. */
export const isDisk = ({ type, name, bytes, removable }: BlockDevice): boolean =>
  DISK_TYPES.includes(type) && !NOT_DISKS.test(name) && bytes > 0 && !removable

async function listBlockDevices(paths: readonly string[], signal?: AbortSignal): Promise<string> {
  const { code, output } = await runCommand('lsblk', ['-J', '-b', '-O', ...paths], { signal })
  if (code !== 0) throw commandFailed('lsblk', new Error(output.trim()))
  return output
}

/** The output of `lsblk -J -b -O`, of util-linux 2.27 and later. Pure. */
export function parseBlockDevices(json: string): readonly BlockDevice[] {
  const { blockdevices } = JSON.parse(json) as { readonly blockdevices: readonly Listed[] }
  return blockdevices.map(toBlockDevice)
}

type Listed = Readonly<Record<string, unknown>> & {
  readonly size?: unknown
  readonly mountpoints?: unknown
  /** Before 2.37. */
  readonly mountpoint?: unknown
  readonly children?: readonly Listed[]
}

function toBlockDevice(listed: Listed): BlockDevice {
  const text = (key: string): string | null => {
    const value = listed[key]
    return typeof value === 'string' && value.trim() !== '' ? value.trim() : null
  }
  const isSet = (key: string): boolean => listed[key] === true || listed[key] === '1'
  const points = listed.mountpoints ?? [listed.mountpoint]
  const name = text('name') ?? ''
  return {
    name,
    path: text('path') ?? `/dev/${name}`,
    device: text('maj:min') ?? '',
    // Before 2.33 numbers are texts.
    bytes: Number(listed.size),
    type: text('type') ?? '',
    readOnly: isSet('ro'),
    removable: isSet('rm'),
    serial: text('serial'),
    wwn: text('wwn'),
    model: text('model'),
    transport: text('tran'),
    fileSystem: text('fstype'),
    partitionTable: text('pttype'),
    mountPoints: Array.isArray(points)
      ? points.filter((point): point is string => typeof point === 'string')
      : [],
    children: (listed.children ?? []).map(toBlockDevice),
  }
}

async function toWholeDisk(listed: BlockDevice): Promise<WholeDisk> {
  const folder = await realpath(join('/sys/dev/block', listed.device))
  const own = listed.wwn ?? listed.serial
  return {
    ...listed,
    key: toDiskKey(own ?? listed.name),
    keyIsStable: own !== null,
    sequence: [await appearanceOf(folder), listed.wwn, listed.serial].join(' '),
    hasRequests: await exists(join(folder, 'mq')),
  }
}

/** Counts up with every disk (Linux 5.15); before, the folder that the kernel makes for each has a number of its own. */
async function appearanceOf(folder: string): Promise<string> {
  const sequence = await readLine(join(folder, 'diskseq'))
  if (sequence !== '') return sequence
  const { ino } = await stat(folder, { bigint: true })
  return `folder-${ino}`
}

/** What targets take as the name of a disk: see DISK_KEY of the kvm driver. */
const LONGEST_KEY = 22
const DIGEST_CHARACTERS = 10

/** Safe as a file name, and short: of what is longer the end is a digest. Pure. */
export function toDiskKey(text: string): DiskKey {
  const plain = text.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '')
  if (plain !== '' && plain.length <= LONGEST_KEY) return plain as DiskKey
  const digest = createHash('sha256').update(text).digest('hex').slice(0, DIGEST_CHARACTERS)
  return `${plain.slice(0, LONGEST_KEY - DIGEST_CHARACTERS - 1)}${plain === '' ? '' : '-'}${digest}` as DiskKey
}

/**
 * Whether a device lies on one of the disks, named `major:minor`: through partitions, volumes, arrays, and files that are devices. Null: it does
 * not; else through how many such files.
 */
export async function depthOnDisks(device: string, disks: ReadonlySet<string>): Promise<number | null> {
  if (disks.has(device)) return 0
  const folder = await realpath(join('/sys/dev/block', device)).catch(() => null)
  if (folder === null) return null
  if (await exists(join(folder, 'partition')))
    return await depthOnDisks(await readLine(join(dirname(folder), 'dev')), disks)
  const backing = await readLine(join(folder, 'loop', 'backing_file'))
  if (backing !== '') {
    const { dev, rdev, isDevice } = await stat(backing).then(
      (facts) => ({ dev: facts.dev, rdev: facts.rdev, isDevice: facts.isBlockDevice() }),
      () => ({ dev: 0, rdev: 0, isDevice: false }),
    )
    const below = await depthOnDisks(deviceText(isDevice ? rdev : dev), disks)
    return below === null ? null : below + 1
  }
  let deepest: number | null = null
  for (const slave of await readdir(join(folder, 'slaves')).catch(() => [])) {
    const depth = await depthOnDisks(await readLine(join(folder, 'slaves', basename(slave), 'dev')), disks)
    if (depth !== null) deepest = Math.max(deepest ?? 0, depth)
  }
  return deepest
}

/** As glibc puts them together: sysmacros.h. */
export const deviceText = (rdev: number): string =>
  `${(Math.floor(rdev / 2 ** 8) % 2 ** 12) + Math.floor(rdev / 2 ** 44) * 2 ** 12}:${
    (rdev % 2 ** 8) + (Math.floor(rdev / 2 ** 20) % 2 ** 24) * 2 ** 8
  }`

/** Empty where the kernel does not have it. */
const readLine = async (path: string): Promise<string> =>
  (await readFile(path, 'latin1').catch(() => '')).trim()

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
