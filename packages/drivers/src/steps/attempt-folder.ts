// What is kept of an attempt: whoever is asked for it again finds here what was begun. See DESIGN.md for the order of writes.
import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Instant } from '@understudy/base/instant'
import { syncFolder } from '../wires/replace-file.ts'

/** How long after its deadline an attempt can still be asked for. From then on it counts as late, never as new. */
const KEPT_MILLISECONDS = 7 * 24 * 60 * 60 * 1000

/** Makes the folder of an attempt, durably, unless it is there. Only for us: what programs print may hold secrets. */
export async function openAttempt(root: string, attemptId: string, deadline: Instant): Promise<string> {
  if (!/^[a-z0-9-]{1,36}$/.test(attemptId)) throw new RangeError(`"${attemptId}" is no id of an attempt`)
  const folder = join(root, attemptId)
  await makeFolder(folder)
  if (await writeOnce(join(folder, 'attempt.json'), { deadline })) await syncFolder(root)
  return folder
}

export async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
}

/** Null: there is no such file. Every file of ours is put in place whole. */
export async function readJson<Value>(path: string): Promise<Value | null> {
  const text = await readOrNull(path)
  return text === null ? null : (JSON.parse(text.toString('utf8')) as Value)
}

export async function readOrNull(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path)
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

/** Durably. False, and nothing is changed, when the file is there: of any number of processes one gets true. */
export async function writeOnce(path: string, value: unknown): Promise<boolean> {
  const temporary = await writeBeside(path, value)
  try {
    await link(temporary, path)
    await syncFolder(join(path, '..'))
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw error
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Durably, in place of what was there. */
export async function replaceJson(path: string, value: unknown): Promise<void> {
  await rename(await writeBeside(path, value), path)
  await syncFolder(join(path, '..'))
}

async function writeBeside(path: string, value: unknown): Promise<string> {
  const temporary = `${path}.${randomUUID()}`
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(JSON.stringify(value))
    await file.sync()
  } finally {
    await file.close()
  }
  return temporary
}

/** Removes what nobody will ask for again. An attempt begins only before its deadline, so a removed one cannot begin anew. */
export async function pruneAttempts(root: string, now: Instant): Promise<void> {
  for (const entry of await readdir(root, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue
    const folder = join(root, entry.name)
    const kept = await readJson<{ readonly deadline: Instant }>(join(folder, 'attempt.json'))
    // Without the file nothing was begun in it.
    const from = kept?.deadline ?? (await modifiedAt(folder))
    if (from !== null && from + KEPT_MILLISECONDS < now) await rm(folder, { recursive: true, force: true })
  }
}

async function modifiedAt(path: string): Promise<Instant | null> {
  try {
    return (await stat(path)).mtimeMs
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

export const isMissing = (error: unknown): boolean => hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')
export const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code
