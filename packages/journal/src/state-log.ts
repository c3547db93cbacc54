// The log that says which points exist. One change a line: eight hex digits of crc32, a blank, JSON. A file begins with the
// whole state up to "ready"; what follows are changes, each on the medium before the next one begins. The file with the
// highest name counts: `<epoch>-<count>`. A writer of an older epoch may go on appending to a file nobody reads any more.
import { crc32 } from 'node:zlib'
import type { FileHandle, FileSystem } from '@understudy/block/file-system'
import { damaged, isMissing, isTaken } from './failures.ts'
import { applyChange, type Change, changesOf, emptyState, type ReplicaState } from './replica-state.ts'

type Line =
  | Change
  | { readonly kind: 'journal'; readonly format: 1; readonly epoch: number }
  | { readonly kind: 'ready' }

const digits = 12
const logName = (epoch: number, count: number): string =>
  `${String(epoch).padStart(digits, '0')}-${String(count).padStart(digits, '0')}`
const isLogName = (name: string): boolean => /^\d{12}-\d{12}$/.test(name)

export type LoadedState = {
  readonly state: ReplicaState
  readonly name: string | null
  readonly bytes: number
}

/** What the newest log file says; an empty state when there is none yet. */
export async function loadState(fs: FileSystem, folder: string): Promise<LoadedState> {
  for (let attempt = 0; ; attempt += 1) {
    const name = newestLog(await fs.list(folder))
    if (name === null) return { state: emptyState(), name, bytes: 0 }
    try {
      const content = await readWhole(fs, `${folder}/${name}`)
      return { state: parseLog(content, name), name, bytes: content.length }
    } catch (error) {
      // The writer has packed the log between our two looks. It does so rarely; more than a few times is something else.
      if (!isMissing(error) || attempt === 8) throw error
    }
  }
}

function newestLog(names: readonly string[]): string | null {
  return names.filter(isLogName).sort().at(-1) ?? null
}

async function readWhole(fs: FileSystem, path: string): Promise<Buffer> {
  const handle = await fs.open(path, 'read')
  try {
    const content = Buffer.allocUnsafeSlow(await handle.bytes())
    return content.subarray(0, await handle.read(content, 0))
  } finally {
    await handle.close()
  }
}

export function parseLog(content: Buffer, name: string): ReplicaState {
  const state = emptyState()
  let ready = false
  let torn = false
  for (const line of linesOf(content)) {
    const parsed = parseLine(line)
    if (parsed === null) {
      torn = true
      continue
    }
    // Only the last append can be torn by a crash, and nothing is ever appended behind a torn one.
    if (torn) throw logDamaged(name, 'a line in the middle does not match its checksum')
    if (parsed.kind === 'ready') ready = true
    else if (parsed.kind !== 'journal') applyChange(state, parsed)
  }
  if (!ready) throw logDamaged(name, 'its beginning is not complete')
  return state
}

const logDamaged = (name: string, why: string): Error =>
  damaged({ disk: null, offset: 0, bytes: 0, why: `log ${name}: ${why}` })

function* linesOf(content: Buffer): Generator<Buffer> {
  for (let start = 0; start < content.length; ) {
    const newline = content.indexOf(10, start)
    const end = newline < 0 ? content.length : newline
    // Without its newline a line is not complete, even if its checksum should match.
    yield newline < 0 ? Buffer.alloc(0) : content.subarray(start, end)
    start = end + 1
  }
}

function parseLine(line: Buffer): Line | null {
  if (line.length < 10) return null
  const json = line.subarray(9)
  if (crc32(json) !== Number.parseInt(line.toString('latin1', 0, 8), 16)) return null
  return JSON.parse(json.toString('utf8')) as Line
}

function formatLine(line: Line): Buffer {
  const json = Buffer.from(JSON.stringify(line))
  return Buffer.concat([
    Buffer.from(`${crc32(json).toString(16).padStart(8, '0')} `),
    json,
    Buffer.from('\n'),
  ])
}

/** Appends to the log of one epoch. Calls must not overlap. */
export class LogWriter {
  readonly #fs: FileSystem
  readonly #folder: string
  readonly #epoch: number
  #handle: FileHandle | null = null
  #name = ''
  #bytes = 0
  #packedBytes = 0

  constructor(fs: FileSystem, folder: string, epoch: number) {
    this.#fs = fs
    this.#folder = folder
    this.#epoch = epoch
  }

  get bytes(): number {
    return this.#bytes
  }

  /** After a failed append the end of the file is unknown: it must be packed before the next one. */
  get isUsable(): boolean {
    return this.#handle !== null
  }

  isDue(growthBytes: number): boolean {
    return this.#bytes - this.#packedBytes >= Math.max(growthBytes, this.#packedBytes)
  }

  /** Durable when it resolves. When it rejects it may be there or not until `pack` has settled it. */
  async append(change: Change): Promise<void> {
    const handle = this.#handle
    if (handle === null) throw new Error('the log is packed before it is appended to')
    const line = formatLine(change)
    try {
      await handle.write([line], this.#bytes)
      await handle.sync()
      this.#bytes += line.length
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** Begins a new file with the whole state; from the moment its name is durable it is the truth. */
  async pack(state: ReplicaState): Promise<void> {
    const lines: Line[] = [
      { kind: 'journal', format: 1, epoch: this.#epoch },
      ...changesOf(state),
      { kind: 'ready' },
    ]
    const content = Buffer.concat(lines.map(formatLine))
    const before = this.#handle
    const { handle, name } = await this.#publish(content)
    this.#handle = handle
    this.#name = name
    this.#bytes = content.length
    this.#packedBytes = content.length
    await before?.close()
    await this.#removeOlder()
  }

  async close(): Promise<void> {
    const handle = this.#handle
    this.#handle = null
    await handle?.close()
  }

  async #publish(content: Buffer): Promise<{ handle: FileHandle; name: string }> {
    const temporary = `${this.#folder}/new-${this.#epoch}`
    await removeIfThere(this.#fs, temporary)
    const handle = await this.#fs.open(temporary, 'create')
    try {
      await handle.write([content], 0)
      await handle.sync()
      const name = await this.#linkNext(temporary)
      await this.#fs.syncFolder(this.#folder)
      await this.#fs.unlink(temporary)
      return { handle, name }
    } catch (error) {
      await handle.close()
      await removeIfThere(this.#fs, temporary).catch(() => {})
      throw error
    }
  }

  async #linkNext(temporary: string): Promise<string> {
    for (;;) {
      const newest = newestLog(await this.#fs.list(this.#folder))
      const name = logName(this.#epoch, newest === null ? 1 : Number(newest.slice(digits + 1)) + 1)
      try {
        await this.#fs.link(temporary, `${this.#folder}/${name}`)
        return name
      } catch (error) {
        // Somebody was quicker. The next count is free, or theirs again; they cannot go on for ever.
        if (!isTaken(error)) throw error
      }
    }
  }

  /** Also the half-written files of owners before us. */
  async #removeOlder(): Promise<void> {
    const isOld = (name: string): boolean =>
      isLogName(name) ? name < this.#name : name.startsWith('new-') && Number(name.slice(4)) < this.#epoch
    for (const name of await this.#fs.list(this.#folder))
      if (isOld(name)) await removeIfThere(this.#fs, `${this.#folder}/${name}`)
  }
}

export async function removeIfThere(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.unlink(path)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}
