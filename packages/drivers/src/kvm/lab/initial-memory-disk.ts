// The initial memory disk of the lab's guests: busybox, the drivers that the disk and the network need, and one script.
//
// A "newc" archive is one entry after the other, each padded to four bytes:
//   "070701" 13 fields of 8 hexadecimal digits | name NUL | content          (Linux: Documentation/driver-api/early-userspace/buffer-format)
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync, zstdDecompressSync } from 'node:zlib'

export type ArchiveEntry =
  | { readonly path: string; readonly kind: 'folder' }
  | { readonly path: string; readonly kind: 'file'; readonly content: Buffer; readonly executable: boolean }

const folderMode = 0o040755
const fileMode = 0o100644
const programMode = 0o100755

/** What a guest on QEMU may need; those that a kernel has built in have no file and are left out. */
const wantedDrivers = ['virtio_pci', 'virtio_blk', 'virtio_net', 'virtio_console', 'ext4', 'evdev', 'button']

/** Gzipped archive of busybox, init script and drivers. Pure but for reading the files. */
export async function makeInitialMemoryDisk(parts: {
  busyboxFile: string
  initFile: string
  modulesFolder: string
}): Promise<Buffer> {
  const drivers = await loadDrivers(parts.modulesFolder)
  const folders = ['bin', 'dev', 'proc', 'sys', 'root', 'modules'].map((path) => ({
    path,
    kind: 'folder' as const,
  }))
  const entries: ArchiveEntry[] = [
    ...folders,
    { path: 'bin/busybox', kind: 'file', executable: true, content: await readFile(parts.busyboxFile) },
    { path: 'init', kind: 'file', executable: true, content: await readFile(parts.initFile) },
    {
      path: 'modules/order',
      kind: 'file',
      executable: false,
      content: Buffer.from(`${drivers.map((driver) => driver.file).join('\n')}\n`),
    },
    ...drivers.map((driver) => ({
      path: `modules/${driver.file}`,
      kind: 'file' as const,
      executable: false,
      content: driver.content,
    })),
  ]
  return gzipSync(toArchive(entries), { level: 6 })
}

export function toArchive(entries: readonly ArchiveEntry[]): Buffer {
  const pieces = entries.map((entry, index) => toArchiveEntry(entry, index + 1))
  return Buffer.concat([
    ...pieces,
    toArchiveEntry({ path: 'TRAILER!!!', kind: 'file', content: Buffer.alloc(0), executable: false }, 0),
  ])
}

function toArchiveEntry(entry: ArchiveEntry, number: number): Buffer {
  const content = entry.kind === 'file' ? entry.content : Buffer.alloc(0)
  const mode = entry.kind === 'folder' ? folderMode : entry.executable ? programMode : fileMode
  const links = entry.kind === 'folder' ? 2 : 1
  const name = Buffer.from(`${entry.path}\0`)
  //              inode   mode  uid gid links modified size          device x 2 of the file and x 2 of a node   name, check
  const fields = [number, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, name.length, 0]
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`)
  return Buffer.concat([toFourBytes(Buffer.concat([header, name])), toFourBytes(content)])
}

const toFourBytes = (piece: Buffer): Buffer =>
  Buffer.concat([piece, Buffer.alloc((4 - (piece.length % 4)) % 4)])

type Driver = { readonly file: string; readonly content: Buffer }

/** In the order in which they must be loaded: each after those that it depends on. */
async function loadDrivers(modulesFolder: string): Promise<readonly Driver[]> {
  const files = await findModuleFiles(modulesFolder)
  const loaded = new Map<string, Driver>()
  const add = async (name: string): Promise<void> => {
    const file = files.get(name)
    if (file === undefined || loaded.has(name)) return
    const content = await readModule(file)
    for (const dependency of dependenciesOf(content)) await add(dependency)
    loaded.set(name, { file: `${name}.ko`, content })
  }
  for (const name of wantedDrivers) await add(name)
  return [...loaded.values()]
}

/** `modprobe` reads modules.dep, which only an installation makes; the same names stand in each module's .modinfo. */
function dependenciesOf(module: Buffer): readonly string[] {
  const start = module.indexOf('\0depends=')
  if (start < 0) return []
  const text = module.toString('latin1', start + '\0depends='.length, module.indexOf(0, start + 1))
  return text
    .split(',')
    .filter((name) => name !== '')
    .map(plainName)
}

async function findModuleFiles(modulesFolder: string): Promise<ReadonlyMap<string, string>> {
  const found = await readdir(modulesFolder, { recursive: true })
  const modules = found.filter((file) => /\.ko(\.(zst|xz))?$/.test(file))
  return new Map(
    modules.map((file) => [plainName(basename(file).replace(/\.ko.*$/, '')), join(modulesFolder, file)]),
  )
}

const plainName = (name: string): string => name.replaceAll('-', '_')

async function readModule(file: string): Promise<Buffer> {
  if (file.endsWith('.zst')) return zstdDecompressSync(await readFile(file))
  if (!file.endsWith('.xz')) return readFile(file)
  const unpacked = await promisify(execFile)('xz', ['-dc', file], {
    encoding: 'buffer',
    maxBuffer: 64 * 1024 * 1024,
  })
  return unpacked.stdout
}
