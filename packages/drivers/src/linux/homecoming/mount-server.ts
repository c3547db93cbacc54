// Mounts a server as it mounts itself, as far as its start needs, so that its own programs can be run in it.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Refusal } from '@understudy/base/errors'
import type { RootFileSystem } from './find-root.ts'
import { type FstabLine, findVolume, isOptional, nameOf } from './fstab.ts'
import { runWell, type Tools, tryRun } from './run-well.ts'
import type { UndoList } from './undo-list.ts'
import { type Volume, withoutSignal } from './volumes.ts'

export type MountedServer = {
  readonly root: string
  readonly rootVolume: Volume
  /** By the folder in the server. */
  readonly mounted: ReadonlyMap<string, Volume>
  /** What a person has to look at. */
  readonly notes: readonly string[]
}

/** Kernels, memory disks and boot loaders, and what the programs need that make them. */
const NEEDED = /^\/(?:boot|efi|usr|var|tmp)(?:\/|$)/

export async function mountServer(
  { volume, options, fstab }: RootFileSystem,
  volumes: readonly Volume[],
  root: string,
  tools: Tools,
  undo: UndoList,
): Promise<MountedServer> {
  const mount = async (source: string, folder: string, more: readonly string[]): Promise<void> => {
    await runWell(tools, ['mount', ...more, source, folder])
    undo.add(`what is mounted at ${folder} (umount -R ${folder})`, () =>
      runWell(withoutSignal(tools), ['umount', '-R', folder]),
    )
  }
  await mount(volume.path, root, options === '' ? [] : ['-o', options])
  const mounted = new Map<string, Volume>([['/', volume]])
  const lines = fstab.filter(({ folder, type }) => NEEDED.test(folder) && type !== 'tmpfs')
  for (const line of lines.toSorted((a, b) => a.folder.length - b.folder.length)) {
    const found = findVolume(line.spec, volumes)
    if (found === null && isOptional(line)) continue
    if (found === null) throw notFound(line)
    const parts = line.options.filter((option) => option.startsWith('subvol'))
    await mount(found.path, join(root, line.folder), parts.length === 0 ? [] : ['-o', parts.join(',')])
    mounted.set(line.folder, found)
  }
  for (const folder of ['dev', 'proc', 'sys', 'run']) {
    const inside = join(root, folder)
    await mkdir(inside, { recursive: true })
    // A slave at once: otherwise taking it back here would take it away from the rescue system.
    await mount(`/${folder}`, inside, ['--rbind', '--make-rslave'])
  }
  return { root, rootVolume: volume, mounted, notes: await notesOn(fstab, volumes, tools) }
}

const notFound = ({ spec, folder }: FstabLine): Refusal =>
  new Refusal({
    code: 'homecoming/not-mounted',
    message:
      nameOf(spec).kind === 'kernel-name'
        ? `The server mounts ${folder} by the name ${spec}, which may be another disk on this computer`
        : `The server mounts ${folder} from ${spec}, which is on none of the written disks`,
    remedy: `In the rescue system, mount the root file system of the server and name ${folder} in its etc/fstab by the UUID that blkid tells, or restore the disk that is missing; then repeat the finishing. Nothing was changed on the disks.`,
  })

/** What would keep the server from starting, and only a person can know. */
async function notesOn(
  fstab: readonly FstabLine[],
  volumes: readonly Volume[],
  tools: Tools,
): Promise<readonly string[]> {
  const notes: string[] = []
  for (const line of fstab) {
    const { spec, folder, type } = line
    const name = nameOf(spec)
    const what = type === 'swap' ? 'its swap space' : folder
    if (name.kind === 'kernel-name')
      notes.push(
        `To do by a person: /etc/fstab names ${what} by ${spec}, which is right only if the disk has the same name on this computer; name it by its UUID (blkid tells it)`,
      )
    else if (name.kind !== 'none' && !isOptional(line) && findVolume(spec, volumes) === null) {
      // Disks that were not copied may have stayed in the server.
      if (name.kind === 'tag' && (await tryRun(tools, ['findfs', spec])) !== null) continue
      notes.push(
        `To do by a person: /etc/fstab wants ${what} from ${spec}, which is not on this computer; the server waits for it when it starts. Bring the disk, or add the option nofail`,
      )
    }
  }
  return notes
}
