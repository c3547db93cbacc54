// Builds small real Linux machines: a BIOS boot partition, an ext4 root, a chain area, and for a database a second disk.
// What all of them share is fetched and built once and kept in the cache; a machine's own disks take a second.
import { createHash } from 'node:crypto'
import {
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MiB, roundDown, roundUp } from '@understudy/base/bytes'
import { invariant } from '@understudy/base/invariant'
import { chainAreaBytes, chainPartitionType, chainSlots, toChainHeader } from './chain-layout.ts'
import { fetchGuestPackages, findLoader, findSharedLibraries, type GuestPackages } from './guest-packages.ts'
import { makeInitialMemoryDisk } from './initial-memory-disk.ts'
import { type Partition, toPartitionTable } from './partition-table.ts'
import { runTool } from './run-tool.ts'

/** What every lab machine is made of. Folders and files in the cache; nobody writes to them. */
export type GuestBase = {
  readonly bootImage: string
  readonly bootCode: string
  readonly rootTree: string
  readonly packages: readonly string[]
}

export type GuestDisk = {
  readonly file: string
  readonly format: 'raw' | 'qcow2'
  /** A multiple of 1 MiB; at least `smallestSystemDiskBytes` for the first disk. */
  readonly bytes: number
}

const sources = join(dirname(fileURLToPath(import.meta.url)), 'guest')
/** Raise it when the recipe changes in a way that the guest's own files do not show. */
const recipeVersion = 2
const bootPartitionBytes = 24 * MiB
const linuxType = 0x83
const fatType = 0x0c
export const smallestSystemDiskBytes = 80 * MiB

/**
 * Fetches and builds the shared parts under `cacheFolder`, or finds them there. Needs the package sources of the
 * distribution the first time (35 MB, well under a minute), nothing afterwards. Repeatable after a kill at any moment.
 */
export async function buildGuestBase(options: {
  cacheFolder: string
  onProgress?: (note: string) => void
  signal?: AbortSignal
}): Promise<GuestBase> {
  const folder = join(options.cacheFolder, `lab-guest-${await fingerprintOfRecipe()}`)
  const manifest = join(folder, 'base.json')
  if (await isThere(manifest)) return toGuestBase(folder, await readFile(manifest, 'utf8'))

  await mkdir(options.cacheFolder, { recursive: true })
  const work = await mkdtemp(join(options.cacheFolder, 'building-'))
  try {
    options.onProgress?.('Fetching the packages of the guest')
    const packages = await fetchGuestPackages(join(work, 'fetched'), options.signal)
    options.onProgress?.('Building the guest')
    const initialMemoryDisk = await makeInitialMemoryDisk({
      busyboxFile: await findBusybox(packages.tree),
      initFile: join(sources, 'init.sh'),
      modulesFolder: packages.modulesFolder,
    })
    await buildRootTree(packages, { root: join(work, 'root'), initialMemoryDisk, signal: options.signal })
    await buildBootImage(packages, { work, initialMemoryDisk, signal: options.signal })
    await copyFile(join(packages.tree, 'usr/lib/SYSLINUX/mbr.bin'), join(work, 'mbr.bin'))
    await rm(join(work, 'fetched'), { recursive: true })
    await writeFile(join(work, 'base.json'), JSON.stringify({ packages: packages.packages }))
    // The rename is the act: a folder of this name is complete.
    await rename(work, folder).catch(async (cause: unknown) => {
      if (!(await isThere(manifest))) throw cause
    })
    return toGuestBase(folder, await readFile(manifest, 'utf8'))
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/**
 * Makes the disks of one machine; the first is the system, a second one carries the database. Existing files are
 * overwritten.
 */
export async function makeGuestDisks(
  base: GuestBase,
  machine: { readonly name: string; readonly disks: readonly GuestDisk[] },
  signal?: AbortSignal,
): Promise<void> {
  const [system, database] = machine.disks
  invariant(system !== undefined && machine.disks.length <= 2, 'a lab machine has one or two disks')
  const tracks = machine.disks.length
  await makeDisk(system, signal, (file, work) =>
    fillSystemDisk(file, work, {
      base,
      name: machine.name,
      disk: system,
      tracks,
      ...(signal ? { signal } : {}),
    }),
  )
  if (database)
    await makeDisk(database, signal, (file, work) => fillDatabaseDisk(file, work, database, signal))
}

async function fingerprintOfRecipe(): Promise<string> {
  const hash = createHash('sha256').update(`recipe ${recipeVersion}`)
  for (const file of (await readdir(sources)).sort())
    hash.update(`\0${file}\0`).update(await readFile(join(sources, file)))
  return hash.digest('hex').slice(0, 16)
}

function toGuestBase(folder: string, manifest: string): GuestBase {
  const { packages } = JSON.parse(manifest) as { packages: string[] }
  return {
    bootImage: join(folder, 'boot.fat'),
    bootCode: join(folder, 'mbr.bin'),
    rootTree: join(folder, 'root'),
    packages,
  }
}

type Building = { readonly initialMemoryDisk: Buffer; readonly signal: AbortSignal | undefined }

async function buildRootTree(
  packages: GuestPackages,
  { root, initialMemoryDisk, signal }: Building & { readonly root: string },
): Promise<void> {
  const folders = [
    'bin',
    'sbin',
    'dev',
    'proc',
    'sys',
    'run',
    'tmp',
    'database',
    'root',
    'lib64',
    'usr/bin',
    'usr/sbin',
  ]
  for (const folder of [...folders, 'lib/x86_64-linux-gnu', 'var/log', 'etc/lab', 'etc/acpi/PWRF'])
    await mkdir(join(root, folder), { recursive: true })

  await installBusybox(packages.tree, root)
  for (const program of ['usr/sbin/qemu-ga', 'usr/bin/sqlite3']) {
    const file = join(packages.tree, program)
    await copyFile(file, join(root, program))
    for (const library of await findSharedLibraries(packages.tree, file, signal))
      await copyFile(library, join(root, 'lib/x86_64-linux-gnu', basename(library)))
  }
  await copyFile(await findLoader(packages.tree), join(root, 'lib64/ld-linux-x86-64.so.2'))

  await copyFile(join(sources, 'inittab'), join(root, 'etc/inittab'))
  for (const name of ['start', 'address', 'chain', 'database', 'page', 'power-off']) {
    await writeFile(join(root, 'etc/lab', name), await readFile(join(sources, `${name}.sh`)), { mode: 0o755 })
  }
  for (const page of ['page-head.html', 'waiting.html'])
    await copyFile(join(sources, page), join(root, 'etc/lab', page))
  // busybox acpid runs this one for the power button; the guest agent runs /sbin/shutdown.
  await symlink('/etc/lab/power-off', join(root, 'etc/acpi/PWRF/00000080'))
  await symlink('/etc/lab/power-off', join(root, 'sbin/shutdown'))
  await symlink('/run/mtab', join(root, 'etc/mtab'))
  await installKernelFacts(packages, root, initialMemoryDisk)
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  await writeFile(join(root, 'etc/group'), 'root:x:0:\n')
}

/** What the guest can be asked about its boot. Its boot partition is not mounted while it runs, so it has a copy of what it starts with. */
async function installKernelFacts(
  { modulesFolder }: GuestPackages,
  root: string,
  initialMemoryDisk: Buffer,
): Promise<void> {
  const version = basename(modulesFolder)
  const modules = join(root, 'lib/modules', version)
  for (const folder of [join(root, 'boot'), modules]) await mkdir(folder, { recursive: true })
  await copyFile(join(modulesFolder, 'modules.builtin'), join(modules, 'modules.builtin'))
  await writeFile(join(root, 'boot', `initrd.img-${version}`), initialMemoryDisk)
  for (const name of ['os-release', 'fstab']) await copyFile(join(sources, name), join(root, 'etc', name))
}

async function installBusybox(tree: string, root: string): Promise<void> {
  const busybox = await findBusybox(tree)
  await copyFile(busybox, join(root, 'bin/busybox'))
  const applets = (await runTool(busybox, ['--list']))
    .split('\n')
    .filter((name) => name !== '' && name !== 'busybox')
  for (const applet of applets) await symlink('busybox', join(root, 'bin', applet))
  await symlink('../bin/busybox', join(root, 'sbin/init'))
}

const findBusybox = (tree: string): Promise<string> => findFile(tree, ['bin/busybox', 'usr/bin/busybox'])

/** FAT file system with kernel, initial memory disk and syslinux: made by programs that need neither root nor a mount. */
async function buildBootImage(
  packages: GuestPackages,
  { work, initialMemoryDisk, signal }: Building & { readonly work: string },
): Promise<void> {
  await copyFile(packages.kernelFile, join(work, 'vmlinuz'))
  await writeFile(join(work, 'initrd'), initialMemoryDisk)
  await copyFile(join(sources, 'syslinux.cfg'), join(work, 'syslinux.cfg'))
  const image = join(work, 'boot.fat')
  await makeSparseFile(image, bootPartitionBytes)

  const tools = join(packages.tree, 'usr/bin')
  const environment = { PATH: `${tools}:${process.env.PATH ?? ''}`, MTOOLS_SKIP_CHECK: '1' }
  const options = { folder: work, environment, ...(signal ? { signal } : {}) }
  const sectors = String(bootPartitionBytes / 512)
  // -H: the boot sector must know how many sectors lie before its partition.
  await runTool(
    join(tools, 'mformat'),
    ['-i', image, '-T', sectors, '-h', '16', '-s', '32', '-H', String(MiB / 512), '::'],
    options,
  )
  await runTool(join(tools, 'mcopy'), ['-i', image, 'vmlinuz', 'initrd', 'syslinux.cfg', '::'], options)
  await runTool(join(tools, 'syslinux'), ['--install', image], options)
  for (const file of ['vmlinuz', 'initrd', 'syslinux.cfg']) await rm(join(work, file))
}

type SystemDisk = { base: GuestBase; name: string; disk: GuestDisk; tracks: number; signal?: AbortSignal }

async function fillSystemDisk(file: string, work: string, system: SystemDisk): Promise<void> {
  invariant(system.disk.bytes >= smallestSystemDiskBytes, 'the system disk is too small')
  const chainOffset = MiB + bootPartitionBytes
  const rootOffset = chainOffset + chainAreaBytes
  const partitions: Partition[] = [
    { type: fatType, offset: MiB, bytes: bootPartitionBytes, active: true },
    { type: chainPartitionType, offset: chainOffset, bytes: chainAreaBytes, active: false },
    { type: linuxType, offset: rootOffset, bytes: system.disk.bytes - rootOffset, active: false },
  ]
  const tree = join(work, 'root')
  await cp(system.base.rootTree, tree, { recursive: true, verbatimSymlinks: true })
  await writeFile(join(tree, 'etc/hostname'), `${system.name}\n`)
  await makeFileSystem(
    join(work, 'root.ext4'),
    { bytes: system.disk.bytes - rootOffset, label: 'lab-root', tree },
    system.signal,
  )

  await writeAt(
    file,
    0,
    toPartitionTable(partitions, (await readFile(system.base.bootCode)).subarray(0, 440)),
  )
  await copyInto(file, MiB, system.base.bootImage)
  await writeAt(file, chainOffset, toChainHeader({ track: 0, tracks: system.tracks, slots: chainSlots }))
  await copyInto(file, rootOffset, join(work, 'root.ext4'))
}

async function fillDatabaseDisk(
  file: string,
  work: string,
  disk: GuestDisk,
  signal?: AbortSignal,
): Promise<void> {
  const fileSystemOffset = MiB + chainAreaBytes
  const bytes = disk.bytes - fileSystemOffset
  const partitions: Partition[] = [
    { type: chainPartitionType, offset: MiB, bytes: chainAreaBytes, active: false },
    { type: linuxType, offset: fileSystemOffset, bytes, active: false },
  ]
  await makeFileSystem(join(work, 'database.ext4'), { bytes, label: 'lab-database', tree: null }, signal)
  await writeAt(file, 0, toPartitionTable(partitions))
  await writeAt(file, MiB, toChainHeader({ track: 1, tracks: 2, slots: chainSlots }))
  await copyInto(file, fileSystemOffset, join(work, 'database.ext4'))
}

/** Builds a raw disk aside and puts it in place, converted when wanted, in one step. */
async function makeDisk(
  disk: GuestDisk,
  signal: AbortSignal | undefined,
  fill: (file: string, work: string) => Promise<void>,
): Promise<void> {
  invariant(disk.bytes % MiB === 0, 'disks are made in whole MiB')
  await mkdir(dirname(disk.file), { recursive: true })
  const work = await mkdtemp(join(dirname(disk.file), '.making-'))
  try {
    const raw = join(work, 'disk.raw')
    await makeSparseFile(raw, disk.bytes)
    await fill(raw, work)
    if (disk.format === 'raw') return await rename(raw, disk.file)
    const qcow2 = join(work, 'disk.qcow2')
    await runTool('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, qcow2], signal ? { signal } : {})
    await rename(qcow2, disk.file)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function makeFileSystem(
  file: string,
  wanted: { bytes: number; label: string; tree: string | null },
  signal?: AbortSignal,
): Promise<void> {
  await makeSparseFile(file, roundDown(wanted.bytes, 4096))
  // Lazy initialisation would make a background thread of the guest write for minutes.
  const extended = 'lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0'
  const content = wanted.tree === null ? [] : ['-d', wanted.tree]
  const parameters = [
    '-q',
    '-F',
    '-t',
    'ext4',
    '-m',
    '0',
    '-J',
    'size=4',
    '-L',
    wanted.label,
    '-E',
    extended,
    ...content,
    file,
  ]
  await runTool('mke2fs', parameters, {
    environment: { PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` },
    ...(signal ? { signal } : {}),
  })
}

async function makeSparseFile(file: string, bytes: number): Promise<void> {
  const handle = await open(file, 'w')
  await handle.truncate(bytes).finally(() => handle.close())
}

async function writeAt(file: string, offset: number, content: Buffer): Promise<void> {
  const handle = await open(file, 'r+')
  await handle.write(content, 0, content.length, offset).finally(() => handle.close())
}

/** Leaves holes where the source is zero, so that the disk stays small. */
async function copyInto(file: string, offset: number, sourceFile: string): Promise<void> {
  const pieceBytes = MiB
  const [target, source] = [await open(file, 'r+'), await open(sourceFile, 'r')]
  try {
    const { size } = await source.stat()
    const piece = Buffer.alloc(pieceBytes)
    const zeros = Buffer.alloc(pieceBytes)
    for (let at = 0; at < roundUp(size, pieceBytes); at += pieceBytes) {
      const { bytesRead } = await source.read(piece, 0, pieceBytes, at)
      if (bytesRead === 0) break
      if (piece.compare(zeros, 0, bytesRead, 0, bytesRead) !== 0)
        await target.write(piece, 0, bytesRead, offset + at)
    }
  } finally {
    await source.close()
    await target.close()
  }
}

async function findFile(tree: string, candidates: readonly string[]): Promise<string> {
  for (const candidate of candidates) if (await isThere(join(tree, candidate))) return join(tree, candidate)
  throw new Error(`none of ${candidates.join(', ')} is among the fetched packages`)
}

const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  )
