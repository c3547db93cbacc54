// Files of this computer that are put in place whole.
import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Whole or not at all, on the disk when it resolves. For nobody else to read. */
export async function replaceFile(path: string, data: string | Buffer): Promise<void> {
  const fresh = `${path}.new`
  const file = await open(fresh, 'w', 0o600)
  try {
    await file.writeFile(data)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(fresh, path)
  await syncFolder(dirname(path))
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
