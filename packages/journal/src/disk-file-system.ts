// The real file system behind the small interface of the journal.
import {
  link,
  mkdir,
  type FileHandle as NodeHandle,
  open,
  readdir,
  rename,
  rmdir,
  stat,
  statfs,
  unlink,
} from 'node:fs/promises'
import type { FileHandle, FileSystem } from '@understudy/block/file-system'

export function diskFileSystem(): FileSystem {
  return {
    open: async (path, mode) => fileHandle(await open(path, mode === 'create' ? 'wx+' : 'r')),
    async makeFolder(path) {
      await mkdir(path, { recursive: true })
    },
    list: (path) => readdir(path),
    async stat(path) {
      try {
        const found = await stat(path)
        return { bytes: found.size, isFolder: found.isDirectory() }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
        throw error
      }
    },
    link,
    rename,
    unlink,
    removeFolder: rmdir,
    async syncFolder(path) {
      const folder = await open(path, 'r')
      try {
        await folder.sync()
      } finally {
        await folder.close()
      }
    },
    async freeBytes(path) {
      const facts = await statfs(path)
      return facts.bavail * facts.bsize
    },
  }
}

function fileHandle(handle: NodeHandle): FileHandle {
  return {
    async read(into, position) {
      let filled = 0
      while (filled < into.length) {
        const { bytesRead } = await handle.read(into, filled, into.length - filled, position + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return filled
    },
    write: (parts, position) => writeAll(handle, parts, position),
    truncate: (bytes) => handle.truncate(bytes),
    sync: () => handle.datasync(),
    bytes: async () => (await handle.stat()).size,
    close: () => handle.close(),
  }
}

/** The kernel takes at most IOV_MAX parts in one call. */
const PARTS_PER_CALL = 1024

async function writeAll(handle: NodeHandle, parts: readonly Buffer[], position: number): Promise<void> {
  let at = position
  for (let first = 0; first < parts.length; first += PARTS_PER_CALL) {
    let rest = parts.slice(first, first + PARTS_PER_CALL)
    // A write may be short, near a full disk for one; the next attempt then says why.
    while (rest.length > 0) {
      const { bytesWritten } = await handle.writev(rest, at)
      at += bytesWritten
      rest = dropBytes(rest, bytesWritten)
    }
  }
}

function dropBytes(parts: readonly Buffer[], bytes: number): Buffer[] {
  let drop = bytes
  const rest: Buffer[] = []
  for (const part of parts) {
    if (drop < part.length) rest.push(drop === 0 ? part : part.subarray(drop))
    drop = Math.max(0, drop - part.length)
  }
  return rest
}
