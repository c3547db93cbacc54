// Where a seed may be begun, and how full a disk may get from it.
import { realpath, stat, statfs } from 'node:fs/promises'
import path from 'node:path'
import { GiB } from '@understudy/base/bytes'
import { diskFull, serverDisk, takenFolder } from './failures.ts'

export type SeedRules = {
  /** Folders of the server itself. Where a seed's folder lies on a disk of theirs, most likely nothing is mounted there. */
  readonly serverFolders: readonly string[]
  /** Folders that are for something else, with all that is in them. */
  readonly takenFolders: () => Promise<readonly string[]>
  /** How large one file of a seed becomes. */
  readonly partBytes: number
  /** What stays free of a disk that the server lives on. */
  readonly reserveBytes: number
}

export const usualRules = { partBytes: GiB, reserveBytes: 8 * GiB }

/** Refuses a folder that is for something else, for nothing else there would be safe from a seed. */
export async function refuseTaken(folder: string, { takenFolders }: SeedRules): Promise<void> {
  const real = await realpath(folder)
  if (real === '/') throw takenFolder(folder)
  for (const taken of await takenFolders()) {
    const way = path.relative(await realpath(taken).catch(() => path.resolve(taken)), real)
    if (way !== '..' && !way.startsWith(`..${path.sep}`)) throw takenFolder(folder)
  }
}

/** Refuses a disk of the server unless that was accepted. */
export async function refuseServerDisk(folder: string, rules: SeedRules, isAccepted: boolean): Promise<void> {
  if (!isAccepted && (await isOnServerDisk(folder, rules))) throw serverDisk(folder)
}

async function isOnServerDisk(folder: string, { serverFolders }: SeedRules): Promise<boolean> {
  const { dev } = await stat(folder)
  const own = await Promise.all(serverFolders.map(async (each) => (await stat(each)).dev))
  return own.includes(dev)
}

/** Before a file of it is begun: refuses one that would leave less than the reserve on a disk of the server. */
export async function refuseFullServerDisk(home: string, rules: SeedRules): Promise<void> {
  if (!(await isOnServerDisk(home, rules))) return
  const { bavail, bsize } = await statfs(home)
  if (bavail * bsize < rules.reserveBytes + rules.partBytes) throw diskFull(home)
}
