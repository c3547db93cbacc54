// A recovery point open for reading.
import { invariant } from '@understudy/base/invariant'
import type { BlockReader, Extent, MappedExtent } from '@understudy/block/device'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import type { OpenedPoint } from '@understudy/engine/ports/replica-store'
import { at, type ExtentMap, endAt, firstAfter } from './extent-map.ts'
import { onDisk } from './failures.ts'
import { type LoadedPoint, loadPoint } from './load-point.ts'
import { hasMoved, readRange } from './read-records.ts'
import type { ReplicaCore } from './replica-core.ts'

/** `onClose` runs once, after the files are let go. */
export async function openPoint(
  core: ReplicaCore,
  id: PointId,
  onClose: () => Promise<void>,
): Promise<OpenedPoint> {
  const source = new PointSource(core, id, await loadPoint(core, id))
  const { stored } = source.loaded
  let closing: Promise<void> | null = null
  const close = async (): Promise<void> => {
    await source.close()
    await onClose()
  }
  return {
    point: core.recoveryPoint(stored),
    disks: stored.disks.map(({ key, bytes }, index) => ({ key, bytes, reader: diskReader(source, index) })),
    close() {
      closing ??= close()
      return closing
    },
  }
}

/** The maps of an open point, loaded again when a writer in another process has moved its records meanwhile. */
class PointSource {
  readonly core: ReplicaCore
  readonly #id: PointId
  loaded: LoadedPoint
  #reloading: Promise<void> | null = null
  #closed = false

  constructor(core: ReplicaCore, id: PointId, loaded: LoadedPoint) {
    this.core = core
    this.#id = id
    this.loaded = loaded
  }

  async read(index: number, range: Extent): Promise<Buffer> {
    invariant(!this.#closed, 'a closed point is not read')
    try {
      return await this.#readOnce(index, range)
    } catch (error) {
      if (!hasMoved(error)) throw error
      this.#reloading ??= this.#reload()
      await this.#reloading
      return await this.#readOnce(index, range)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.loaded.release()
  }

  #readOnce(index: number, range: Extent): Promise<Buffer> {
    const { stored, maps } = this.loaded
    return readRange(this.core, { key: stored.disks[index]?.key ?? '', ...mapAt(maps, index) }, range)
  }

  async #reload(): Promise<void> {
    try {
      await this.core.refresh()
      const before = this.loaded
      this.loaded = await loadPoint(this.core, this.#id)
      await before.release()
    } finally {
      this.#reloading = null
    }
  }
}

const mapAt = (
  maps: LoadedPoint['maps'],
  index: number,
): { readonly number: number; readonly map: ExtentMap } => {
  const found = maps[index]
  invariant(found, 'every disk of a point has a map')
  return found
}

function diskReader(source: PointSource, index: number): BlockReader {
  const bytes = source.loaded.stored.disks[index]?.bytes ?? 0
  return {
    bytes,
    async read(offset, count, signal) {
      signal?.throwIfAborted()
      invariant(offset >= 0 && count >= 0 && offset + count <= bytes, 'a read lies inside the disk')
      return await onDisk(() => source.read(index, { offset, bytes: count }))
    },
    async *map(range) {
      yield* mapRange(mapAt(source.loaded.maps, index).map, range)
    },
    // The point owns the files.
    close: async () => {},
  }
}

/** The range without gaps; neighbours of one kind are one piece. */
export function* mapRange(map: ExtentMap, range: Extent): Generator<MappedExtent> {
  let open: MappedExtent | null = null
  for (const piece of pieces(map, range, range.offset + range.bytes)) {
    const joined: MappedExtent | null = open === null ? piece : joinedWith(open, piece)
    if (joined === null && open !== null) yield open
    open = joined ?? piece
  }
  if (open !== null) yield open
}

/** Null when they are of two kinds. */
const joinedWith = (a: MappedExtent, b: MappedExtent): MappedExtent | null =>
  a.kind === b.kind ? { offset: a.offset, bytes: a.bytes + b.bytes, kind: a.kind } : null

function* pieces(map: ExtentMap, range: Extent, end: number): Generator<MappedExtent> {
  let cursor = range.offset
  for (let index = firstAfter(map, cursor); index < map.count && at(map.offset, index) < end; index += 1) {
    const start = Math.max(cursor, at(map.offset, index))
    if (start > cursor) yield { offset: cursor, bytes: start - cursor, kind: 'zero' }
    cursor = Math.min(end, endAt(map, index))
    yield { offset: start, bytes: cursor - start, kind: at(map.segment, index) === 0 ? 'zero' : 'data' }
  }
  if (cursor < end) yield { offset: cursor, bytes: end - cursor, kind: 'zero' }
}
