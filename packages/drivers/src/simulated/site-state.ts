// The memory of a simulated site: one JSON file, replaced as a whole, and a folder for what was written to disks.
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Outage } from '@understudy/base/errors'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { MachineState } from './simulated-machine.ts'

export type SiteFiles = {
  /** Null when the site is opened for the first time. */
  load(): Promise<readonly MachineState[] | null>
  /** Writes soon; many calls become one write. A failure shows at the next `saveNow`. */
  saveSoon(): void
  /** Resolves when everything up to now is in the file. Throws Outage `simulated/state-not-saved`. */
  saveNow(): Promise<void>
  /** Writes what `saveSoon` has not written yet; nothing when there is nothing, so that a mere look leaves no trace. */
  flush(): Promise<void>
  diskFile(ref: MachineRef, key: DiskKey): string
  /** Everything that was written to the machine's disks. Repeatable. */
  removeDisks(ref: MachineRef): Promise<void>
}

const SAVE_EVERY_MILLISECONDS = 1_000
const VERSION = 1

/** `current` is asked for the machines whenever they are written. */
export function siteFiles(folder: string, current: () => readonly MachineState[]): SiteFiles {
  const file = join(folder, 'machines.json')
  let timer: NodeJS.Timeout | null = null
  let saving: Promise<void> = Promise.resolve()

  const save = (): Promise<void> => {
    // One after the other: two writers of one file would leave a mixture.
    const mine = saving.then(() => writeState(folder, file, current()))
    saving = mine.catch(() => {})
    return mine
  }
  const stopTimer = (): void => {
    if (timer !== null) clearTimeout(timer)
    timer = null
  }
  return {
    load: () => loadState(file),
    saveSoon() {
      if (timer !== null) return
      timer = setTimeout(() => {
        timer = null
        save().catch(() => {})
      }, SAVE_EVERY_MILLISECONDS)
      timer.unref()
    },
    async saveNow() {
      stopTimer()
      await save()
    },
    async flush() {
      const pending = timer !== null
      stopTimer()
      await (pending ? save() : saving)
    },
    diskFile: (ref, key) => join(folder, 'disks', ref, `${key}.written`),
    removeDisks: (ref) => rm(join(folder, 'disks', ref), { recursive: true, force: true }),
  }
}

async function writeState(folder: string, file: string, machines: readonly MachineState[]): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
    const fresh = `${file}.new`
    await writeFile(fresh, JSON.stringify({ version: VERSION, machines }))
    await rename(fresh, file)
  } catch (cause) {
    throw new Outage({
      code: 'simulated/state-not-saved',
      message: `The state of the simulated site could not be written to ${file}`,
      remedy: 'Make room on that file system and check its permissions.',
      cause,
    })
  }
}

async function loadState(file: string): Promise<readonly MachineState[] | null> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null
    throw unreadable(file, cause)
  }
  try {
    const { version, machines }: { version?: unknown; machines?: unknown } = JSON.parse(text)
    // Written by this file and nobody else: the version says which shape it has.
    if (version === VERSION && Array.isArray(machines)) return machines
  } catch (cause) {
    throw unreadable(file, cause)
  }
  throw unreadable(file, null)
}

const unreadable = (file: string, cause: unknown): Outage =>
  new Outage({
    code: 'simulated/state-unreadable',
    message: `The state of the simulated site in ${file} cannot be read`,
    remedy: 'Restore the file, or remove its folder to begin with new machines.',
    cause,
  })
