// What the emulated Azure of the lab is, in a file: every resource as it stands, and which file holds the content of a disk. It is
// written before a request is answered, so what was acknowledged survives the end of the process.
//
//     <folder>/state.json     { version, resources }
//     <folder>/pages.json     where the page of each machine that runs can be asked for
//     <folder>/disk-*.raw     content of disks; one that no resource names is left from a work that was cut off
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { inTurn } from '@understudy/base/in-turn'
import { replaceFile } from '../../../wires/replace-file.ts'
import { startMachine } from './compute-rules.ts'
import { type DoubleSite, key, type Resource } from './double-parts.ts'
import { DISK_PREFIX, type FileContent, type QemuRunner } from './qemu-runner.ts'

const VERSION = 1
const MACHINE = 'Microsoft.Compute/virtualMachines'
type KeptResource = Omit<Resource, 'content'> & { readonly file?: string }

const START_ATTEMPTS = 10
const START_PAUSE_MS = 1000

type Waiting = {
  pause(milliseconds: number): Promise<unknown>
  /** A machine that ran does not come up again. */
  onTrouble(error: unknown): void
}

export type CloudState = {
  /** Resolves when what the cloud is now lies in the file. */
  save(): Promise<void>
  /** Lets go of the files. Nothing is asked of the disks afterwards. */
  close(): Promise<void>
}

const stateFile = (folder: string): string => join(folder, 'state.json')
const pagesFile = (folder: string): string => join(folder, 'pages.json')

/** Where the pages of the machines are that run in the cloud of this folder, by their names; whatever process keeps it. */
export const loadPages = (folder: string): Promise<Readonly<Record<string, string>>> =>
  readFile(pagesFile(folder), 'utf8').then(
    (text) => JSON.parse(text) as Record<string, string>,
    () => ({}),
  )

/**
 * Puts back what an earlier process has left in the folder, and starts the machines that ran: their host has been restarted, as it
 * were. Works of Azure's that were under way have failed.
 */
export async function openCloudState(
  folder: string,
  site: DoubleSite,
  runner: QemuRunner,
  waiting: Waiting,
): Promise<CloudState> {
  await mkdir(folder, { recursive: true })
  const kept = await loadResources(folder)
  // It is written before the first disk is made: without it nobody knows which of them are of use.
  if (kept === null && (await diskNames(folder)).length > 0)
    throw new Error(
      `${stateFile(folder)} is not there, and disks are. Put it back, or move the whole folder away to begin anew`,
    )
  if (kept !== null) {
    site.resources.clear()
    for (const one of kept) site.resources.set(key(one.id), await toResource(folder, one, runner))
  }
  await removeLeftovers(folder, contentsOf(site))
  await startAgain(site, waiting)
  const state = writer(folder, site, runner)
  await state.save()
  return state
}

async function loadResources(folder: string): Promise<readonly KeptResource[] | null> {
  const text = await readFile(stateFile(folder), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (text === null) return null
  const { version, resources } = JSON.parse(text) as {
    readonly version: number
    readonly resources: readonly KeptResource[]
  }
  if (version !== VERSION) throw new Error(`${stateFile(folder)} is of version ${version}, not ${VERSION}`)
  return resources
}

async function toResource(folder: string, kept: KeptResource, runner: QemuRunner): Promise<Resource> {
  const { file, ...resource } = kept
  const content = file === undefined ? {} : { content: await runner.open(join(folder, file)) }
  return { ...resource, ...content, properties: { ...resource.properties, ...afterBreak(kept) } }
}

/** Nobody goes on with a work that was cut off. What has no content of its own is whole as soon as it is written down. */
function afterBreak({ type, file, power, properties }: KeptResource): { readonly provisioningState: string } {
  const { provisioningState } = properties
  const isWhole =
    type === MACHINE ? power !== undefined : type.startsWith('Microsoft.Network/') || file !== undefined
  const wasMade = provisioningState === 'Creating' || provisioningState === 'Updating'
  if (provisioningState === 'Deleting' || (wasMade && !isWhole)) return { provisioningState: 'Failed' }
  return { provisioningState: wasMade ? 'Succeeded' : provisioningState }
}

async function startAgain(site: DoubleSite, { pause, onTrouble }: Waiting): Promise<void> {
  for (const machine of site.resources.values()) {
    if (machine.type !== MACHINE || machine.power !== 'running') continue
    machine.power = 'stopped'
    await startPatiently(site, machine, { pause, onTrouble })
  }
}

/** QEMU of a server that has just died may still hold the disks. One that does not come up is off, as its owner sees. */
async function startPatiently(
  site: DoubleSite,
  machine: Resource,
  { pause, onTrouble }: Waiting,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await startMachine(site, machine)
      return
    } catch (error) {
      if (attempt === START_ATTEMPTS) return onTrouble(error)
    }
    await pause(START_PAUSE_MS)
  }
}

const contentsOf = (site: DoubleSite): ReadonlySet<FileContent> =>
  new Set(
    [...site.resources.values()].flatMap(({ content }) =>
      content === undefined ? [] : [content as FileContent],
    ),
  )

async function removeLeftovers(folder: string, contents: ReadonlySet<FileContent>): Promise<void> {
  const used = new Set([...contents].map(({ path }) => basename(path)))
  for (const name of await diskNames(folder))
    if (!used.has(name)) await rm(join(folder, name), { force: true })
}

const diskNames = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder)).filter((name) => name.startsWith(DISK_PREFIX))

function writer(folder: string, site: DoubleSite, runner: QemuRunner): CloudState {
  let written = ''
  let pages = ''
  let contents = contentsOf(site)
  const turn = inTurn()

  async function write(): Promise<void> {
    // Both of one moment: a disk that goes while the file is written is still named in it, and is left for the next time.
    const text = JSON.stringify({ version: VERSION, resources: [...site.resources.values()].map(toKept) })
    const contentsNow = contentsOf(site)
    if (text !== written) await replaceFile(stateFile(folder), text)
    written = text
    const pagesNow = JSON.stringify(pagesOf(site, runner))
    if (pagesNow !== pages) await replaceFile(pagesFile(folder), pagesNow)
    pages = pagesNow
    for (const gone of contents) {
      if (!contentsNow.has(gone)) await gone.remove()
    }
    contents = contentsNow
  }
  return {
    save: () => turn(write),
    close: () =>
      turn(async () => {
        for (const content of contents) await content.close()
      }),
  }
}

function toKept({ content, ...resource }: Resource): KeptResource {
  return content === undefined ? resource : { ...resource, file: basename((content as FileContent).path) }
}

const pagesOf = (site: DoubleSite, runner: QemuRunner): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...site.resources.values()].flatMap(({ type, name }) => {
      const page = type === MACHINE ? runner.pageOf(name) : null
      return page === null ? [] : [[name, page]]
    }),
  )
