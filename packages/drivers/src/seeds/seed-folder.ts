// Where a seed lies:
//
//    <folder>/understudy-seed-<id>/seed.json            who it is, and its wrapped key
//                                  frames-000001.bin    frames, one after the other; at most a GiB a file, so that any file system takes it
//                                  manifest.bin         one frame, by rename: the seed is complete
//
// Others may have written to a disk that is carried: no link is followed there, and nothing is opened that is no plain file.
import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { Refusal } from '@understudy/base/errors'
import { damaged, noFolder, noSeed, notOurs } from './failures.ts'

const PREFIX = 'understudy-seed-'
export const HEADER_FILE = 'seed.json'
export const MANIFEST_FILE = 'manifest.bin'
const PART = /^frames-(\d{6})\.bin$/
/** For everybody to read, for the server that imports runs as somebody else; what is in them is encrypted. */
const FOLDER_MODE = 0o755
const FILE_MODE = 0o644

export const partName = (number: number): string => `frames-${String(number).padStart(6, '0')}.bin`

export const homeOf = (folder: string, id: string): string => path.join(folder, `${PREFIX}${id}`)

/** Refuses one that is not there: what is written under a path where nothing is mounted would fill the wrong disk. */
export async function checkFolder(folder: string): Promise<void> {
  if (!path.isAbsolute(folder) || folder.includes('\0'))
    throw new Refusal({
      code: 'seed/relative-folder',
      message: `"${folder}" is no absolute path`,
      remedy: 'Give the folder from the root on, as it is mounted on this server.',
    })
  const found = await stat(folder).catch(orMissing)
  if (!found?.isDirectory()) throw noFolder(folder)
}

/** Makes the seed's own folder, or finds it. Refuses one that somebody else has put there, or could change under our hands. */
export async function makeHome(home: string): Promise<void> {
  await mkdir(home, { mode: FOLDER_MODE }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  await isHomeThere(home)
  // Also where it was there: whoever made it may have died before this.
  await syncFolder(path.dirname(home))
}

/** Refuses one that is a link, or of somebody else. That of root passes: so is every file where a disk knows no owners. */
export async function isHomeThere(home: string): Promise<boolean> {
  const found = await lstat(home).catch(orMissing)
  if (found !== null && (!found.isDirectory() || !isTrusted(found))) throw notOurs(home)
  return found !== null
}

const isTrusted = ({ uid }: Stats): boolean => uid === 0 || uid === process.getuid?.()

/** The seed's own folder, inside `folder` or that one itself. */
export async function findHome(folder: string, id: string): Promise<string> {
  await checkFolder(folder)
  const inside = homeOf(folder, id)
  if (await exists(path.join(inside, HEADER_FILE))) return inside
  if (await exists(path.join(folder, HEADER_FILE))) return folder
  const others = (await readdir(folder)).filter((name) => name.startsWith(PREFIX))
  throw noSeed(folder, others)
}

/** Their numbers, ascending. */
export async function listParts(home: string): Promise<readonly number[]> {
  return (await readdir(home))
    .flatMap((name) => PART.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
}

/** A file that is there. Refuses what is no plain one: a link leads elsewhere, a pipe never answers. */
export async function openFile(file: string, access: 'read' | 'write'): Promise<FileHandle> {
  const flag = access === 'read' ? constants.O_RDONLY : constants.O_RDWR
  const handle = await open(file, flag | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      throw ['ELOOP', 'EISDIR', 'ENXIO'].includes(error.code ?? '') ? noPlainFile(file, error) : error
    },
  )
  try {
    if (!(await handle.stat()).isFile()) throw noPlainFile(file)
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** A file that is not there: whatever lies under its name is not touched. */
export const newFile = (file: string): Promise<FileHandle> => open(file, 'wx', FILE_MODE)

const noPlainFile = (file: string, cause?: unknown) =>
  damaged(`${path.basename(file)} is no plain file`, cause)

/** Null: it is not there. */
export async function readIfThere(file: string, mostBytes: number): Promise<Buffer | null> {
  const handle = await openFile(file, 'read').catch(orMissing)
  if (handle === null) return null
  try {
    const { size } = await handle.stat()
    if (size > mostBytes) throw damaged(`${path.basename(file)} is larger than such a file can be`)
    return await handle.readFile()
  } finally {
    await handle.close()
  }
}

const exists = async (file: string): Promise<boolean> => (await stat(file).catch(orMissing)) !== null

function orMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
  throw error
}

/** All of it or nothing, also after a loss of power. */
export async function writeWhole(file: string, content: Buffer): Promise<void> {
  const next = `${file}.new`
  await rm(next, { force: true })
  const handle = await newFile(next)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(next, file)
  await syncFolder(path.dirname(file))
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } catch (error) {
    // Some file systems of disks that are carried cannot: their files are synced all the same.
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error
  } finally {
    await handle.close()
  }
}
