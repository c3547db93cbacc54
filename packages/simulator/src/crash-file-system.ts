// A file system in memory that loses what a power failure may lose. After `crash`:
// - content written since a file's last `sync` is kept, lost or torn, sector by sector, by chance;
// - names created, linked, renamed or unlinked since the folder's last `syncFolder` are there or not, each by chance.
// It can stop dead before or right after any operation, and run full. Operations are counted, so that a test can stop at each.
import type { FileHandle, FileSystem } from '@understudy/block/file-system'
import type { SeededRandom } from './seeded-random.ts'

const SECTOR_BYTES = 512

/** Thrown by every operation from the crash on: the process is gone and does not notice anything any more. */
export class Crashed extends Error {
  override readonly name = 'Crashed'
}

type Pending =
  | { readonly kind: 'write'; readonly position: number; readonly data: Buffer }
  | { readonly kind: 'truncate'; readonly bytes: number }

/** A file without its names. */
type Inode = { content: Buffer; durable: Buffer; pending: Pending[] }
type Folder = {
  names: Map<string, Inode | 'folder'>
  durable: Map<string, Inode | 'folder'>
  /** Old and new name of every rename since the last sync: both happened or neither. */
  renames: (readonly [string, string])[]
}

export type CrashPlan = {
  /** The operation that never returns, counted from 1 since the last `restart`. */
  readonly atOperation: number
  /** `before`: it has no effect. `after`: it has, but nobody hears of it. */
  readonly when: 'before' | 'after'
}

export type CrashFileSystem = FileSystem & {
  /** Since the last `restart`. */
  readonly operations: number
  readonly hasCrashed: boolean
  /** What the operations were, in order, for the message of a failing test. */
  readonly trace: readonly string[]
  planCrash(plan: CrashPlan | null): void
  /** Operations that need room fail with ENOSPC from here on, until it is null again. */
  limitBytes(bytes: number | null): void
  usedBytes(): number
  /** The next operation whose description begins so takes effect and yet fails with EIO, as a failing disk's sync does. */
  failNext(operation: string): void
  /** From here on operations take their turns by chance, so that concurrent work meets in every order. */
  shuffle(random: SeededRandom | null): void
  /** Loses what is not durable and comes up again. Also without a planned crash: the power just failed. */
  restart(random: SeededRandom): void
  /** Changes bytes of a file on the medium, as a failing disk does. */
  damage(path: string, position: number): void
  files(folder: string): readonly string[]
}

export function crashFileSystem(): CrashFileSystem {
  return new SimulatedDisk()
}

class SimulatedDisk implements CrashFileSystem {
  readonly #folders = new Map<string, Folder>([['', newFolder()]])
  #plan: CrashPlan | null = null
  #limit: number | null = null
  #life = 0
  #failure: string | null = null
  #shuffle: SeededRandom | null = null
  operations = 0
  hasCrashed = false
  trace: string[] = []

  planCrash(plan: CrashPlan | null): void {
    this.#plan = plan
  }

  limitBytes(bytes: number | null): void {
    this.#limit = bytes
  }

  failNext(operation: string): void {
    this.#failure = operation
  }

  shuffle(random: SeededRandom | null): void {
    this.#shuffle = random
  }

  usedBytes(): number {
    let bytes = 0
    for (const inode of this.#inodes()) bytes += inode.content.length
    return bytes
  }

  restart(random: SeededRandom): void {
    for (const inode of this.#inodes()) settleContent(inode, random)
    for (const folder of this.#folders.values()) settleNames(folder, random)
    for (const path of [...this.#folders.keys()]) if (!this.#isReachable(path)) this.#folders.delete(path)
    this.#life += 1
    this.#plan = null
    this.hasCrashed = false
    this.operations = 0
    this.trace = []
  }

  damage(path: string, position: number): void {
    const inode = this.#file(path)
    for (const content of new Set([inode.content, inode.durable]))
      content[position] = ((content[position] ?? 0) ^ 0x40) & 0xff
  }

  files(folder: string): readonly string[] {
    return [...this.#folder(folder).names.keys()].sort()
  }

  open(path: string, mode: 'read' | 'create'): Promise<FileHandle> {
    return this.#operate(`open ${mode} ${path}`, () => {
      const { folder, name } = this.#locate(path)
      if (mode === 'read') return this.#handle(path, this.#file(path))
      if (folder.names.has(name)) throw systemError('EEXIST', path)
      this.#needRoom(1)
      const inode: Inode = { content: Buffer.alloc(0), durable: Buffer.alloc(0), pending: [] }
      folder.names.set(name, inode)
      return this.#handle(path, inode)
    })
  }

  makeFolder(path: string): Promise<void> {
    return this.#operate(`makeFolder ${path}`, () => {
      const parts = path.split('/')
      for (let count = 1; count <= parts.length; count += 1) {
        const part = parts.slice(0, count).join('/')
        if (part === '' || this.#folders.has(part)) continue
        const { folder, name } = this.#locate(part)
        folder.names.set(name, 'folder')
        this.#folders.set(part, newFolder())
      }
    })
  }

  list(path: string): Promise<readonly string[]> {
    return this.#operate(`list ${path}`, () => [...this.#folder(path).names.keys()])
  }

  stat(path: string): Promise<{ readonly bytes: number; readonly isFolder: boolean } | null> {
    return this.#operate(`stat ${path}`, () => {
      if (this.#folders.has(path)) return { bytes: 0, isFolder: true }
      const { parent, name } = split(path)
      const found = this.#folders.get(parent)?.names.get(name)
      return found === undefined || found === 'folder'
        ? null
        : { bytes: found.content.length, isFolder: false }
    })
  }

  link(path: string, newPath: string): Promise<void> {
    return this.#operate(`link ${path} ${newPath}`, () => {
      const inode = this.#file(path)
      const target = this.#locate(newPath)
      if (target.folder.names.has(target.name)) throw systemError('EEXIST', newPath)
      target.folder.names.set(target.name, inode)
    })
  }

  rename(path: string, newPath: string): Promise<void> {
    return this.#operate(`rename ${path} ${newPath}`, () => {
      const source = this.#locate(path)
      const target = this.#locate(newPath)
      const moved = source.folder.names.get(source.name)
      if (moved === undefined) throw systemError('ENOENT', path)
      source.folder.names.delete(source.name)
      target.folder.names.set(target.name, moved)
      if (source.folder === target.folder) source.folder.renames.push([source.name, target.name])
      if (moved === 'folder') this.#moveFolder(path, newPath)
    })
  }

  unlink(path: string): Promise<void> {
    return this.#operate(`unlink ${path}`, () => {
      this.#file(path)
      const { folder, name } = this.#locate(path)
      folder.names.delete(name)
    })
  }

  removeFolder(path: string): Promise<void> {
    return this.#operate(`removeFolder ${path}`, () => {
      if (this.#folder(path).names.size > 0) throw systemError('ENOTEMPTY', path)
      const { folder, name } = this.#locate(path)
      folder.names.delete(name)
    })
  }

  syncFolder(path: string): Promise<void> {
    return this.#operate(`syncFolder ${path}`, () => {
      const folder = this.#folder(path)
      folder.durable = new Map(folder.names)
      folder.renames = []
    })
  }

  freeBytes(path: string): Promise<number> {
    return this.#operate(`freeBytes ${path}`, () =>
      this.#limit === null ? 2 ** 40 : Math.max(0, this.#limit - this.usedBytes()),
    )
  }

  #handle(path: string, inode: Inode): FileHandle {
    const life = this.#life
    const operate = <Result>(what: string, work: () => Result): Promise<Result> =>
      this.#operate(`${what} ${path}`, () => {
        // A handle of the process that died.
        if (life !== this.#life) throw new Crashed(what)
        return work()
      })
    return {
      read: (into, position) =>
        operate('read', () => inode.content.copy(into, 0, position, position + into.length)),
      write: (parts, position) =>
        operate('write', () => {
          const data = Buffer.concat(parts)
          const fits = this.#fittingBytes(inode, position, data.length)
          inode.pending.push({ kind: 'write', position, data: data.subarray(0, fits) })
          inode.content = written(inode.content, position, data.subarray(0, fits))
          if (fits < data.length) throw systemError('ENOSPC', path)
        }),
      truncate: (bytes) =>
        operate('truncate', () => {
          inode.pending.push({ kind: 'truncate', bytes })
          inode.content = resized(inode.content, bytes)
        }),
      sync: () =>
        operate('sync', () => {
          inode.durable = Buffer.from(inode.content)
          inode.pending = []
        }),
      bytes: () => operate('bytes', () => inode.content.length),
      // A closed file is not a synced file.
      close: async () => {},
    }
  }

  async #operate<Result>(what: string, work: () => Result): Promise<Result> {
    const life = this.#life
    // Let other work interleave, as a real disk does.
    for (let turns = turnsToWait(this.#shuffle); turns >= 0; turns -= 1) await Promise.resolve()
    if (this.hasCrashed || life !== this.#life) throw new Crashed(what)
    this.operations += 1
    this.trace.push(what)
    const isLast = this.#plan?.atOperation === this.operations
    if (isLast) this.hasCrashed = true
    if (isLast && this.#plan?.when === 'before') throw new Crashed(what)
    const result = work()
    if (isLast) throw new Crashed(what)
    if (this.#failure !== null && what.startsWith(this.#failure)) {
      this.#failure = null
      throw systemError('EIO', what)
    }
    return result
  }

  /** A write to a full disk is cut short, not refused. */
  #fittingBytes(inode: Inode, position: number, bytes: number): number {
    if (this.#limit === null) return bytes
    const room = this.#limit - this.usedBytes() + inode.content.length - position
    return Math.max(0, Math.min(bytes, room))
  }

  #needRoom(bytes: number): void {
    if (this.#limit !== null && bytes > 0 && this.usedBytes() + bytes > this.#limit)
      throw systemError('ENOSPC', 'no space left on device')
  }

  #folder(path: string): Folder {
    const folder = this.#folders.get(path === '/' ? '' : path)
    if (folder === undefined) throw systemError('ENOENT', path)
    return folder
  }

  #locate(path: string): { folder: Folder; name: string } {
    const { parent, name } = split(path)
    return { folder: this.#folder(parent), name }
  }

  #file(path: string): Inode {
    const { folder, name } = this.#locate(path)
    const found = folder.names.get(name)
    if (found === undefined) throw systemError('ENOENT', path)
    if (found === 'folder') throw systemError('EISDIR', path)
    return found
  }

  #moveFolder(path: string, newPath: string): void {
    for (const [old, folder] of [...this.#folders]) {
      if (old !== path && !old.startsWith(`${path}/`)) continue
      // Both stay until the crash has decided which name counts.
      this.#folders.set(newPath + old.slice(path.length), folder)
    }
  }

  #isReachable(path: string): boolean {
    if (path === '') return true
    const { parent, name } = split(path)
    return this.#isReachable(parent) && this.#folders.get(parent)?.names.get(name) === 'folder'
  }

  #inodes(): Set<Inode> {
    const inodes = new Set<Inode>()
    for (const { names, durable } of this.#folders.values())
      for (const map of [names, durable])
        for (const inode of map.values()) if (inode !== 'folder') inodes.add(inode)
    return inodes
  }
}

/** Mostly a few, sometimes long enough for others to do a whole piece of work. */
function turnsToWait(random: SeededRandom | null): number {
  if (random === null) return 0
  return random.below(random.chance(0.1) ? 250 : 12)
}

const newFolder = (): Folder => ({ names: new Map(), durable: new Map(), renames: [] })

function split(path: string): { parent: string; name: string } {
  const slash = path.lastIndexOf('/')
  return { parent: slash < 0 ? '' : path.slice(0, slash), name: path.slice(slash + 1) }
}

function systemError(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

function resized(content: Buffer, bytes: number): Buffer {
  const fresh = Buffer.alloc(bytes)
  content.copy(fresh, 0, 0, Math.min(bytes, content.length))
  return fresh
}

function written(content: Buffer, position: number, data: Buffer): Buffer {
  const fresh = resized(content, Math.max(content.length, position + data.length))
  data.copy(fresh, position)
  return fresh
}

/** Each sector of each write since the last sync reached the medium or did not; the file's length grew or did not. */
function settleContent(inode: Inode, random: SeededRandom): void {
  let content: Buffer = Buffer.from(inode.durable)
  const fate = random.below(3)
  for (const pending of inode.pending) {
    if (fate === 0) break
    if (pending.kind === 'truncate') {
      if (fate === 1 || random.chance(0.5)) content = resized(content, pending.bytes)
    } else
      content = fate === 1 ? written(content, pending.position, pending.data) : torn(content, pending, random)
  }
  inode.content = content
  inode.durable = Buffer.from(content)
  inode.pending = []
}

function torn(
  content: Buffer,
  write: { readonly position: number; readonly data: Buffer },
  random: SeededRandom,
): Buffer {
  let result = content
  for (let at = 0; at < write.data.length; ) {
    const sectorEnd = SECTOR_BYTES - ((write.position + at) % SECTOR_BYTES)
    const end = Math.min(write.data.length, at + sectorEnd)
    if (random.chance(0.5)) result = written(result, write.position + at, write.data.subarray(at, end))
    at = end
  }
  return result
}

/** Each name that differs from the durable one is the old or the new: file systems promise no order between them. */
function settleNames(folder: Folder, random: SeededRandom): void {
  const all = new Set([...folder.names.keys(), ...folder.durable.keys()])
  const isKept = new Map([...all].map((name) => [name, random.chance(0.5)]))
  for (const [from, to] of folder.renames) isKept.set(to, isKept.get(from) ?? false)
  const names = new Map<string, Inode | 'folder'>()
  for (const name of all) {
    const kept = isKept.get(name) ? folder.names.get(name) : folder.durable.get(name)
    if (kept !== undefined) names.set(name, kept)
  }
  folder.names = names
  folder.durable = new Map(names)
  folder.renames = []
}
