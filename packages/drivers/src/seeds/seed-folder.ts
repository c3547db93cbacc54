// Where a seed lies:
//
//    <folder>/understudy-seed-<id>/seed.json            who it is, and its wrapped key
//                                  frames-000001.bin    frames, one after the other; at most a GiB a file, so that any file system takes it
//                                  manifest.bin         one frame, by rename: the seed is complete
import { open, readdir, readFile, rename, stat } from 'node:fs/promises'
import path from 'node:path'
import { Refusal } from '@understudy/base/errors'
import { noFolder, noSeed } from './failures.ts'

const PREFIX = 'understudy-seed-'
export const HEADER_FILE = 'seed.json'
export const MANIFEST_FILE = 'manifest.bin'
const PART = /^frames-(\d{6})\.bin$/

export const partName = (number: number): string => `frames-${String(number).padStart(6, '0')}.bin`

export const homeOf = (folder: string, id: string): string => path.join(folder, `${PREFIX}${id}`)

/** Refuses one that is not there: what is written under a path where nothing is mounted would fill the wrong disk. */
export async function checkFolder(folder: string): Promise<void> {
  if (!path.isAbsolute(folder))
    throw new Refusal({
      code: 'seed/relative-folder',
      message: `"${folder}" is no absolute path`,
      remedy: 'Give the folder from the root on, as it is mounted on this server.',
    })
  const found = await stat(folder).catch(orMissing)
  if (!found?.isDirectory()) throw noFolder(folder)
}

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

/** Null: it is not there. */
export const readIfThere = (file: string): Promise<Buffer | null> => readFile(file).catch(orMissing)

const exists = async (file: string): Promise<boolean> => (await stat(file).catch(orMissing)) !== null

function orMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
  throw error
}

/** All of it or nothing, also after a loss of power. */
export async function writeWhole(file: string, content: Buffer): Promise<void> {
  const next = `${file}.new`
  const handle = await open(next, 'w')
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
