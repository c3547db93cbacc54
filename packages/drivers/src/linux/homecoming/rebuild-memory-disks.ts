// The initial memory disks of a server that comes home, made anew with the drivers of all hardware: nobody knows what the computer is made of. Each is
// built beside the old one and takes its place when it is whole. The server's own settings are not touched, so that its next update decides as before.
import { chmod, cp, mkdir, mkdtemp, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { Refusal } from '@understudy/base/errors'
import { findMemoryDiskTool, type MemoryDiskTool } from '../preparation/memory-disk-tools.ts'
import { runInServer } from './in-server.ts'
import type { MountedServer } from './mount-server.ts'
import type { Tools } from './run-well.ts'

const BUILD_SECONDS = 1200
const SETTINGS = 'etc/initramfs-tools'
/** Read last of all, so it decides. */
const ALL_HARDWARE = 'conf.d/zz-understudy'

/** The newest kernel has to get one; of an older one it is told when it could not be made. */
export async function rebuildMemoryDisks(server: MountedServer, tools: Tools): Promise<readonly string[]> {
  const kernels = await kernelsOf(server.root)
  if (kernels.length === 0)
    return ['To do by a person: no kernel was found in /boot, so no initial memory disk was made']
  const changes: string[] = []
  for (const [index, kernel] of kernels.entries()) {
    const tool = await findMemoryDiskTool(server.root, kernel)
    if (tool === null) {
      changes.push(
        `To do by a person: how the initial memory disk of kernel ${kernel} is made is not known, so it is as it was; see that it has the drivers of this computer`,
      )
      continue
    }
    try {
      await rebuild(server, kernel, tool, tools)
      changes.push(`The initial memory disk of kernel ${kernel} was made for all hardware`)
    } catch (error) {
      tools.signal?.throwIfAborted()
      if (index === 0) throw notBuilt(kernel, error)
      changes.push(
        `The initial memory disk of kernel ${kernel} could not be made and is as it was: ${asText(error)}`,
      )
    }
  }
  return changes
}

const asText = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const notBuilt = (kernel: string, cause: unknown): Refusal =>
  new Refusal({
    code: 'homecoming/not-built',
    message: `The initial memory disk of kernel ${kernel}, the newest one, could not be made for all hardware: ${asText(cause)}`,
    remedy:
      'The disks are written whole, and the old one is in its place. Where the hardware is the same as before, restart the server from its disks. Otherwise see what is said here (often /boot is full), and repeat the finishing.',
    cause,
  })

/** Newest first. */
async function kernelsOf(root: string): Promise<readonly string[]> {
  const files = await readdir(join(root, 'boot')).catch(() => [])
  const found: string[] = []
  for (const name of files) {
    const kernel = /^vmlinu[xz]-(.+)$/.exec(name)?.[1]
    // Without its modules nothing can be built: rescue kernels of Red Hat are such.
    if (kernel !== undefined && (await isThere(join(root, 'lib/modules', kernel)))) found.push(kernel)
  }
  return found.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
}

async function rebuild(
  server: MountedServer,
  kernel: string,
  tool: MemoryDiskTool,
  tools: Tools,
): Promise<void> {
  const place = tool.memoryDiskOf(kernel)
  const fresh = `${place}.understudy-new`
  try {
    if (tool.name === 'dracut')
      await runInServer(
        server,
        ['dracut', '--force', '--no-hostonly', '--kver', kernel, fresh],
        tools,
        BUILD_SECONDS,
      )
    else await buildByInitramfsTools(server, kernel, fresh, tools)
    await takePlace(join(server.root, fresh), join(server.root, place))
  } finally {
    await rm(join(server.root, fresh), { force: true })
  }
}

/** From a copy of its settings, in which only the choice of drivers differs. */
async function buildByInitramfsTools(
  server: MountedServer,
  kernel: string,
  fresh: string,
  tools: Tools,
): Promise<void> {
  const settings = await mkdtemp(join(server.root, 'run/understudy-settings-'))
  try {
    await cp(join(server.root, SETTINGS), settings, { recursive: true, verbatimSymlinks: true })
    await mkdir(join(settings, dirname(ALL_HARDWARE)), { recursive: true })
    await writeFile(join(settings, ALL_HARDWARE), 'MODULES=most\n')
    await runInServer(
      server,
      ['mkinitramfs', '-d', join('/run', basename(settings)), '-o', fresh, kernel],
      tools,
      BUILD_SECONDS,
    )
  } finally {
    await rm(settings, { recursive: true, force: true })
  }
}

async function takePlace(fresh: string, place: string): Promise<void> {
  const { size } = await stat(fresh)
  if (size === 0) throw new Error('What was built is empty')
  const mode = await stat(place).then(
    (facts) => facts.mode & 0o777,
    () => 0o600,
  )
  await chmod(fresh, mode)
  await flush(fresh)
  await rename(fresh, place)
  await flush(dirname(place))
}

async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r')
  await handle.sync().finally(() => handle.close())
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
