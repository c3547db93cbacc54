// Arrays of disks that the kernel makes (md). They write to their members by themselves: what was written is marked as such in their superblocks,
// and marked as clean again some time after the last write. See "md/array_state" in the kernel's Documentation/admin-guide/md.rst.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { depthOnDisks } from './block-devices.ts'

/** Where to look; another place for tests. */
export type ArraysPlace = {
  readonly sys: string
  liesOn(device: string, disks: ReadonlySet<string>): Promise<boolean>
}

const here: ArraysPlace = {
  sys: '/sys',
  liesOn: async (device, disks) => (await depthOnDisks(device, disks)) !== null,
}

/** Until these are over a superblock is still to be written. */
const NOT_CLEAN_YET = ['active', 'active-idle', 'write-pending']
/** `check` only reads. */
const WRITING = ['resync', 'recover', 'repair', 'reshape']
/** However long an array takes for it by its own setting: the server is held still meanwhile. */
const LONGEST_SECONDS = 3
const LOOK_MILLISECONDS = 20

/**
 * While nothing is written above them: until their superblocks are. Gives up after a time, for whatever is written later is found. An array without a
 * delay is never marked as clean by itself, and writes nothing.
 */
export async function untilArraysAreClean(
  disks: ReadonlySet<string>,
  place: ArraysPlace = here,
): Promise<void> {
  for (const name of await arraysOn(disks, place)) {
    const delay = Number(await read(place, name, 'md/safe_mode_delay'))
    if (!(delay > 0)) continue
    const endAt = performance.now() + Math.min(LONGEST_SECONDS, 1 + 2 * delay) * 1000
    while (NOT_CLEAN_YET.includes(await read(place, name, 'md/array_state')) && performance.now() < endAt)
      await sleep(LOOK_MILLISECONDS)
  }
}

/** Its name, and what is done to it. Null: none is. */
export async function findRebuilding(
  disks: ReadonlySet<string>,
  place: ArraysPlace = here,
): Promise<string | null> {
  for (const name of await arraysOn(disks, place)) {
    const action = await read(place, name, 'md/sync_action')
    if (WRITING.includes(action)) return `${name} (${action})`
  }
  return null
}

async function arraysOn(disks: ReadonlySet<string>, place: ArraysPlace): Promise<readonly string[]> {
  const found: string[] = []
  for (const name of await readdir(join(place.sys, 'block')).catch(() => []))
    if (name.startsWith('md') && (await place.liesOn(await read(place, name, 'dev'), disks))) found.push(name)
  return found
}

/** Empty where it has none. */
const read = async ({ sys }: ArraysPlace, name: string, file: string): Promise<string> =>
  (await readFile(join(sys, 'block', name, file), 'latin1').catch(() => '')).trim()
