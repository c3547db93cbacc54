// Prepares this server for other hardware, by somebody's choice: drivers for its initial memory disks, and the step that sets the network of a
// replica. What was changed is kept first, so that all of it can be undone, also after a crash. Whoever fails leaves the server as it was.
import { createHash } from 'node:crypto'
import {
  copyFile,
  lstat,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { MiB } from '@understudy/base/bytes'
import { Outage, Refusal } from '@understudy/base/errors'
import { KNOWN_DRIVERS } from '@understudy/domain/boot-check/linux-script'
import type { Preparation } from '@understudy/domain/boot-check/preparation'
import { runCommand } from '../run-command.ts'
import {
  FIRST_BOOT_LINK_PATH,
  FIRST_BOOT_SCRIPT_PATH,
  FIRST_BOOT_UNIT_PATH,
  firstBootScript,
  firstBootUnit,
} from './first-boot.ts'
import { findMemoryDiskTool, type MemoryDiskTool } from './memory-disk-tools.ts'

export type PreparationPlace = {
  /** Where what was changed is kept. */
  readonly folder: string
  /** The place of `/`; another one only in tests. */
  readonly root: string
  /** Builds a memory disk, and says which drivers one holds: see `linuxBuilder`. */
  readonly builder: MemoryDiskBuilder
}

export type MemoryDiskBuilder = {
  build(command: readonly string[], signal?: AbortSignal): Promise<void>
  /** All of them, by name. */
  driversIn(memoryDisk: string, signal?: AbortSignal): Promise<readonly string[]>
}

export type Wanted = {
  /** That some hardware at the target needs, as far as the kernels have them as modules. */
  readonly drivers: readonly string[]
  /** The kernels whose memory disks lack some of them, and which. */
  readonly lacking: readonly { readonly kernel: string; readonly drivers: readonly string[] }[]
  readonly runningKernel: string
  readonly at: number
}

/** All that was changed. Written before the first change, and after each. */
type Kept = {
  readonly at: number
  readonly tool: string
  readonly drivers: readonly string[]
  /** Files that were not there before. */
  readonly files: string[]
  readonly memoryDisks: {
    readonly kernel: string
    readonly path: string
    readonly kept: string
    sha256: string | null
  }[]
  /** False while it is under way. */
  done: boolean
}

const SPARE_BYTES = 16 * MiB
const recordOf = (folder: string): string => join(folder, 'preparation.json')

/** What was prepared here; null: nothing. */
export async function findPreparation(place: Pick<PreparationPlace, 'folder'>): Promise<Preparation | null> {
  const kept = await load(place)
  return kept?.done ? toPreparation(kept) : null
}

/** Repeatable. Refuses (`prepare/…`), with the server as it was before. `look`: what it lacks as it is without what was prepared before. */
export async function prepareServer(
  place: PreparationPlace,
  look: () => Promise<Wanted>,
  signal?: AbortSignal,
): Promise<Preparation> {
  const before = await load(place)
  // A crash in the middle, or other drivers than last time: from the beginning.
  if (before !== null) await undo(place, before, signal)
  const wanted = await look()
  const tool = wanted.drivers.length === 0 ? null : await findTool(place, wanted)
  const kept: Kept = {
    at: wanted.at,
    tool: tool?.name ?? 'none',
    drivers: [...wanted.drivers],
    files: [],
    memoryDisks: [],
    done: false,
  }
  await mkdir(place.folder, { recursive: true, mode: 0o700 })
  try {
    if (tool !== null) {
      const hook = tool.drivers(wanted.drivers)
      await addFile(place, kept, hook.path, (path) => writeFile(path, hook.content, { mode: hook.mode }))
      for (const lacking of wanted.lacking) await replaceMemoryDisk(place, kept, { tool, ...lacking, signal })
    }
    if (await isThere(join(place.root, '/etc/systemd/system'))) await addFirstBoot(place, kept)
    kept.done = true
    await save(place, kept)
    return toPreparation(kept)
  } catch (error) {
    await undo(place, kept)
    throw error
  }
}

/** What a process that has died left in the middle. Repeatable. */
export async function undoUnfinishedPreparation(place: PreparationPlace): Promise<void> {
  const kept = await load(place)
  if (kept !== null && !kept.done) await undo(place, kept)
}

/** Repeatable. What is not as we left it any more is left as it is, or built anew without what was ours. */
export async function undoPreparation(place: PreparationPlace): Promise<void> {
  const kept = await load(place)
  if (kept !== null) await undo(place, kept)
}

async function findTool(
  { root }: PreparationPlace,
  { runningKernel }: Wanted,
): Promise<MemoryDiskTool | null> {
  const tool = await findMemoryDiskTool(root, runningKernel)
  if (tool !== null) return tool
  throw new Refusal({
    code: 'prepare/unknown-system',
    message:
      'This server has neither initramfs-tools nor dracut, so its initial memory disks are built in a way that is not known',
    remedy: 'Put the drivers that the boot preparation names into its initial memory disks yourself.',
  })
}

type Replacing = {
  readonly tool: MemoryDiskTool
  readonly kernel: string
  readonly drivers: readonly string[]
  readonly signal: AbortSignal | undefined
}

async function replaceMemoryDisk(
  place: PreparationPlace,
  kept: Kept,
  { tool, kernel, drivers, signal }: Replacing,
): Promise<void> {
  const path = join(place.root, tool.memoryDiskOf(kernel))
  const { size } = await stat(path)
  await refuseWithoutRoom(dirname(path), 3 * size)
  await refuseWithoutRoom(place.folder, size)
  const fresh = `${path}.understudy-new`
  const copy = join(place.folder, basename(path))
  await copyFile(path, copy)
  await flush(copy)
  const one: Kept['memoryDisks'][number] = { kernel, path, kept: copy, sha256: null }
  kept.memoryDisks.push(one)
  await save(place, kept)
  try {
    await place.builder.build(tool.build(kernel, fresh), signal)
    const held = await place.builder.driversIn(copy, signal)
    const holds = new Set(await place.builder.driversIn(fresh, signal))
    const lacking = drivers.filter((driver) => !holds.has(driver))
    if (lacking.length > 0)
      throw new Refusal({
        code: 'prepare/not-built',
        message: `The new initial memory disk of kernel ${kernel} lacks ${lacking.join(', ')}`,
        remedy: 'Nothing was changed. See whether these modules are installed for this kernel.',
      })
    // Whatever the server itself starts with today has to be there tomorrow.
    const lost = held.filter((driver) => !holds.has(driver))
    if (lost.length > 0)
      throw new Refusal({
        code: 'prepare/other-content',
        message: `Built anew, the initial memory disk of kernel ${kernel} lacks what it has today: ${someOf(lost)}`,
        remedy:
          'Nothing was changed. Build it yourself, see that the server starts with it, and prepare it again.',
      })
    await takePlaceOf(path, fresh, async () => {
      if ((await digest(path)) !== (await digest(copy)))
        throw new Refusal({
          code: 'prepare/changed-meanwhile',
          message: `The initial memory disk of kernel ${kernel} was built anew by somebody else meanwhile`,
          remedy: 'Nothing was changed. Prepare the server again when its update is over.',
        })
      one.sha256 = await digest(fresh)
      await save(place, kept)
    })
  } finally {
    await rm(fresh, { force: true })
  }
}

const MOST_NAMED = 10
const someOf = (names: readonly string[]): string =>
  names.length <= MOST_NAMED
    ? names.join(', ')
    : `${names.slice(0, MOST_NAMED).join(', ')} and ${names.length - MOST_NAMED} more`

/** `fresh` is whole on its disk before it has the name. `last`: the moment before, which may refuse. */
async function takePlaceOf(path: string, fresh: string, last: () => Promise<void>): Promise<void> {
  const { mode } = await stat(path)
  const handle = await open(fresh, 'r+')
  await handle.chmod(mode & 0o777)
  await handle.sync().finally(() => handle.close())
  await last()
  await rename(fresh, path)
  await flush(dirname(path))
}

async function addFirstBoot(place: PreparationPlace, kept: Kept): Promise<void> {
  await addFile(place, kept, FIRST_BOOT_SCRIPT_PATH, (path) =>
    writeFile(path, firstBootScript, { mode: 0o755 }),
  )
  await addFile(place, kept, FIRST_BOOT_UNIT_PATH, (path) => writeFile(path, firstBootUnit, { mode: 0o644 }))
  await addFile(place, kept, FIRST_BOOT_LINK_PATH, (path) => symlink(FIRST_BOOT_UNIT_PATH, path))
}

async function addFile(
  place: PreparationPlace,
  kept: Kept,
  path: string,
  write: (path: string) => Promise<void>,
): Promise<void> {
  const there = join(place.root, path)
  if (await lstat(there).catch(() => null))
    throw new Refusal({
      code: 'prepare/in-the-way',
      message: `${path} is there already, and is not of this preparation`,
      remedy: 'Look what it is, and remove it if nobody needs it.',
    })
  kept.files.push(path)
  await save(place, kept)
  await mkdir(dirname(there), { recursive: true })
  await write(there)
}

async function undo(place: PreparationPlace, kept: Kept, signal?: AbortSignal): Promise<void> {
  for (const path of kept.files.toReversed()) await rm(join(place.root, path), { force: true })
  for (const disk of kept.memoryDisks) {
    await rm(`${disk.path}.understudy-new`, { force: true })
    const now = await digest(disk.path).catch(() => null)
    // Null: the kernel is gone, or it was never replaced. An update may have built it with our drivers, which do no harm.
    if (disk.sha256 === null || now === null || now === (await digest(disk.kept).catch(() => null))) continue
    if (now === disk.sha256) await putBack(disk)
    else await rebuild(place, disk, signal)
  }
  await rm(recordOf(place.folder), { force: true })
  for (const { kept: copy } of kept.memoryDisks) await rm(copy, { force: true })
}

async function putBack({ path, kept, sha256 }: Kept['memoryDisks'][number]): Promise<void> {
  const fresh = `${path}.understudy-new`
  try {
    await refuseWithoutRoom(dirname(path), (await stat(kept)).size)
    await copyFile(kept, fresh)
    await takePlaceOf(path, fresh, async () => {
      if ((await digest(path)) !== sha256) throw changedAgain(path)
    })
  } finally {
    await rm(fresh, { force: true })
  }
}

/** An update has built it since, with our drivers in it: nobody knows but the tool what it would be without them. */
async function rebuild(
  place: PreparationPlace,
  { kernel, path }: Kept['memoryDisks'][number],
  signal?: AbortSignal,
): Promise<void> {
  const tool = await findMemoryDiskTool(place.root, kernel)
  if (tool === null) return
  const fresh = `${path}.understudy-new`
  try {
    const before = await digest(path)
    await refuseWithoutRoom(dirname(path), 3 * (await stat(path)).size)
    await place.builder.build(tool.build(kernel, fresh), signal)
    const ours = new Set(KNOWN_DRIVERS as readonly string[])
    const holds = new Set(await place.builder.driversIn(fresh, signal))
    const lost = (await place.builder.driversIn(path, signal)).filter(
      (driver) => !holds.has(driver) && !ours.has(driver),
    )
    // It starts as it is, with a few drivers too many: better than one of which nobody knows whether it does.
    if (lost.length > 0) return
    await takePlaceOf(path, fresh, async () => {
      if ((await digest(path)) !== before) throw changedAgain(path)
    })
  } finally {
    await rm(fresh, { force: true })
  }
}

const changedAgain = (path: string): Outage =>
  new Outage({
    code: 'prepare/changed-meanwhile',
    message: `${path} was built anew by somebody else meanwhile`,
    remedy: 'It is tried again when its update is over.',
  })

async function refuseWithoutRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  const needed = bytes + SPARE_BYTES
  if (bavail * bsize >= needed) return
  throw new Refusal({
    code: 'prepare/no-room',
    message: `${folder} has ${Math.floor((bavail * bsize) / MiB)} MiB free; a new initial memory disk needs ${Math.ceil(needed / MiB)} MiB for a while`,
    remedy: 'Make room there, for example by removing old kernels.',
  })
}

async function load({ folder }: Pick<PreparationPlace, 'folder'>): Promise<Kept | null> {
  const text = await readFile(recordOf(folder), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  // Written whole by us, in a folder that nobody else may enter.
  return text === null ? null : (JSON.parse(text) as Kept)
}

async function save({ folder }: PreparationPlace, kept: Kept): Promise<void> {
  const fresh = `${recordOf(folder)}.new`
  await writeFile(fresh, JSON.stringify(kept, null, 1), { flush: true })
  await rename(fresh, recordOf(folder))
  await flush(folder)
}

const toPreparation = ({ at, tool, drivers, files, memoryDisks }: Kept): Preparation => ({
  at,
  tool,
  drivers,
  changes: [...files, ...memoryDisks.map(({ path }) => path)],
})

async function digest(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
}

async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r')
  await handle.sync().finally(() => handle.close())
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

const BUILD_SECONDS = 1200
const LIST_SECONDS = 120

/** By the tools of the distribution, which yield to all other work. `listing`: a shell program that prints the drivers in `$1`. */
export const linuxBuilder = (listing: string): MemoryDiskBuilder => ({
  async build(command, signal) {
    const { code, output } = await runCommand('nice', ['-n', '19', ...command], {
      seconds: BUILD_SECONDS,
      signal,
    })
    if (code === 0) return
    throw new Refusal({
      code: 'prepare/not-built',
      message: `${command[0]} ${code === null ? `did not end within ${BUILD_SECONDS} s` : `ended with ${code}`}: ${output.trim().slice(-500)}`,
      remedy: 'Nothing was changed. See what it says when it is called by hand.',
    })
  },
  async driversIn(memoryDisk, signal) {
    const { output } = await runCommand('/bin/sh', ['-c', listing, 'sh', memoryDisk], {
      seconds: LIST_SECONDS,
      signal,
    })
    return output.split(/\s+/).filter((word) => word !== '')
  },
})
