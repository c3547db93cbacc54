// Files of this computer that are put in place whole.
import { randomUUID } from 'node:crypto'
import { link, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Whole or not at all, on the disk when it resolves. For nobody else to read. */
export async function replaceFile(path: string, data: string | Buffer): Promise<void> {
  const fresh = `${path}.new`
  await writeWhole(fresh, data)
  await rename(fresh, path)
  await syncFolder(dirname(path))
}

/** Makes a file unless there is one, and resolves to what it holds: of several that make it at once, in whatever process, the first wins. */
export async function keepFirst(path: string, data: string): Promise<string> {
  const own = `${path}.${randomUUID()}`
  try {
    await writeWhole(own, data)
    await link(own, path)
    await syncFolder(dirname(path))
    return data
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return await readFile(path, 'utf8')
  } finally {
    await rm(own, { force: true })
  }
}

async function writeWhole(path: string, data: string | Buffer): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    await file.writeFile(data)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The names in it are on the disk when it resolves. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
