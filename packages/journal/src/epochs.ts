// Who may write: the owner of the highest epoch. One empty file per claim; creating a file is exclusive on every file system.
//
// A writer changes the log, makes that durable, and only then looks here; a newcomer makes its claim durable here, and only then
// reads the log. So at least one of the two sees the other: no change is both acknowledged and overlooked.
import type { FileSystem } from '@understudy/block/file-system'
import { newerWriter } from '@understudy/engine/ports/replica-failures'
import { isTaken } from './failures.ts'
import { removeIfThere } from './state-log.ts'

const epochName = (epoch: number): string => String(epoch).padStart(12, '0')

/** 0 when nobody has written yet. */
export async function newestEpoch(fs: FileSystem, folder: string): Promise<number> {
  let newest = 0
  for (const name of await fs.list(folder)) if (/^\d{12}$/.test(name)) newest = Math.max(newest, Number(name))
  return newest
}

/** Durable when it resolves. Repeatable with the same epoch. Refuses when there is a newer one. */
export async function claimEpoch(
  fs: FileSystem,
  folder: string,
  claim: { readonly epoch: number; readonly machineName: string },
): Promise<void> {
  const refuseIfNewer = async (): Promise<void> => {
    if ((await newestEpoch(fs, folder)) > claim.epoch) throw newerWriter(claim.machineName)
  }
  await refuseIfNewer()
  await createIfMissing(fs, `${folder}/${epochName(claim.epoch)}`)
  await fs.syncFolder(folder)
  await refuseIfNewer()
  for (const name of await fs.list(folder))
    if (name < epochName(claim.epoch)) await removeIfThere(fs, `${folder}/${name}`)
}

async function createIfMissing(fs: FileSystem, path: string): Promise<void> {
  try {
    await (await fs.open(path, 'create')).close()
  } catch (error) {
    if (!isTaken(error)) throw error
  }
}
