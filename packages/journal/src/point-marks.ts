// What is said about points after they were sealed: annotations and holds. One small file each, apart from the log, because
// others than the writer may say it: a test failover holds its point while the mover in another process goes on sealing.
import { randomUUID } from 'node:crypto'
import type { FileSystem } from '@understudy/block/file-system'
import type { PointAnnotations, PointId } from '@understudy/domain/recovery-points/recovery-point'
import { isMissing, isTaken } from './failures.ts'
import { removeIfThere } from './state-log.ts'

const holdName = (id: PointId, holder: string): string => `${id}@${encodeURIComponent(holder)}`

export async function loadHolds(fs: FileSystem, folder: string): Promise<Map<PointId, readonly string[]>> {
  const holds = new Map<PointId, readonly string[]>()
  for (const name of [...(await fs.list(folder))].sort()) {
    const split = name.indexOf('@')
    if (split < 0) continue
    const id = name.slice(0, split) as PointId
    holds.set(id, [...(holds.get(id) ?? []), decodeURIComponent(name.slice(split + 1))])
  }
  return holds
}

/** Durable when it resolves. Repeatable: false when it was there already. */
export async function addHold(fs: FileSystem, folder: string, id: PointId, holder: string): Promise<boolean> {
  let isNew = true
  try {
    await (await fs.open(`${folder}/${holdName(id, holder)}`, 'create')).close()
  } catch (error) {
    if (!isTaken(error)) throw error
    isNew = false
  }
  await fs.syncFolder(folder)
  return isNew
}

/** Repeatable. */
export async function removeHold(fs: FileSystem, folder: string, id: PointId, holder: string): Promise<void> {
  await removeIfThere(fs, `${folder}/${holdName(id, holder)}`)
  await fs.syncFolder(folder)
}

export async function loadAnnotations(
  fs: FileSystem,
  folder: string,
): Promise<Map<PointId, PointAnnotations>> {
  const annotations = new Map<PointId, PointAnnotations>()
  for (const name of await fs.list(folder)) {
    if (!/^\d+\.json$/.test(name)) continue
    const found = await readAnnotations(fs, `${folder}/${name}`)
    if (found !== null) annotations.set(name.slice(0, -'.json'.length) as PointId, found)
  }
  return annotations
}

async function readAnnotations(fs: FileSystem, path: string): Promise<PointAnnotations | null> {
  try {
    const handle = await fs.open(path, 'read')
    try {
      const content = Buffer.alloc(await handle.bytes())
      await handle.read(content, 0)
      return JSON.parse(content.toString('utf8')) as PointAnnotations
    } finally {
      await handle.close()
    }
  } catch (error) {
    // Its point has just expired.
    if (isMissing(error)) return null
    throw error
  }
}

/** The whole of a point's annotations, by rename: a reader sees the old or the new. */
export async function saveAnnotations(
  fs: FileSystem,
  folder: string,
  id: PointId,
  annotations: PointAnnotations,
): Promise<void> {
  // A name of its own: two processes may annotate the same point at once.
  const temporary = `${folder}/${id}.${randomUUID()}.new`
  const handle = await fs.open(temporary, 'create')
  try {
    await handle.write([Buffer.from(JSON.stringify(annotations))], 0)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await fs.rename(temporary, `${folder}/${id}.json`)
  await fs.syncFolder(folder)
}

/** Of points that have expired. What a crash leaves of it is harmless: ids are never used again. */
export async function removeMarks(
  fs: FileSystem,
  folders: { readonly holds: string; readonly annotations: string },
  ids: ReadonlySet<PointId>,
): Promise<void> {
  for (const name of await fs.list(folders.annotations))
    if (ids.has(name.split('.')[0] as PointId)) await removeIfThere(fs, `${folders.annotations}/${name}`)
  for (const name of await fs.list(folders.holds))
    if (ids.has(name.split('@')[0] as PointId)) await removeIfThere(fs, `${folders.holds}/${name}`)
}
