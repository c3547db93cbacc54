// Replicas in our own format in a folder of a file system. See ../DESIGN.md for the order of writes and what a crash leaves.
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import { dirname } from 'node:path'
import { Refusal } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import type { FileSystem } from '@understudy/block/file-system'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import { checkReplicaId, notFound } from '@understudy/engine/ports/replica-failures'
import type { ReplicaSpec, ReplicaStore } from '@understudy/engine/ports/replica-store'
import { diskFileSystem } from './disk-file-system.ts'
import { damaged, isMissing, noKey, onDisk, wrongKey } from './failures.ts'
import { defaultLimits, type JournalLimits } from './limits.ts'
import { openedReplica } from './opened-replica.ts'
import { ReplicaCore } from './replica-core.ts'
import { removeIfThere } from './state-log.ts'

export type JournalOptions = {
  /** Made when it is missing. One folder per replica below. */
  readonly folder: string
  /** 32 bytes per replica; must stay the same as long as the replica lives. Needed for replicas that are encrypted. */
  readonly key?: (replicaId: ReplicaId) => Buffer
  readonly clock: Clock
  readonly fs?: FileSystem
  readonly limits?: Partial<JournalLimits>
}

const SUBFOLDERS = ['epochs', 'log', 'segments', 'holds', 'annotations'] as const

type SpecFile = {
  readonly format: 1
  readonly machineName: string
  readonly compress: boolean
  readonly encrypt: boolean
  /** Proves a key without telling it. */
  readonly keyCheck: string | null
}

/** A core and how many handles and open points use it. */
type Shared = { readonly core: Promise<ReplicaCore>; users: number }

export function openJournalStore(options: JournalOptions): ReplicaStore {
  const fs = options.fs ?? diskFileSystem()
  const limits = { ...defaultLimits, ...options.limits }
  const shared = new Map<ReplicaId, Shared>()
  const folderOf = (id: ReplicaId): string => `${options.folder}/${checkReplicaId(id)}`

  const openCore = async (id: ReplicaId): Promise<ReplicaCore> => {
    const spec = await loadSpec(fs, folderOf(id), id)
    const masterKey = spec.encrypt ? checkKey(id, spec, options.key?.(id)) : null
    const { machineName, compress, encrypt } = spec
    const facts = { id, machineName, compress, encrypt }
    return new ReplicaCore({ fs, folder: folderOf(id), facts, masterKey, clock: options.clock, limits })
  }
  const share = (id: ReplicaId): Shared => {
    const known = shared.get(id)
    if (known !== undefined) return known
    const fresh = { core: openCore(id), users: 0 }
    shared.set(id, fresh)
    return fresh
  }
  const removeUser = async (id: ReplicaId, one: Shared): Promise<void> => {
    one.users -= 1
    if (one.users > 0) return
    if (shared.get(id) === one) shared.delete(id)
    const core = await one.core.catch(() => null)
    await core?.close()
  }

  return {
    encrypts: true,

    async createReplica(spec) {
      await onDisk(async () => {
        await removeLeftovers(fs, options.folder)
        await createReplica(fs, {
          folder: folderOf(spec.id),
          spec,
          key: options.key?.(spec.id),
        })
      })
    },

    async openReplica(id, epoch) {
      const one = share(id)
      one.users += 1
      try {
        const core = await onDisk(() => one.core)
        const writer = epoch === null ? null : await core.openForWriting(epoch)
        if (writer === null) await core.refresh()
        return openedReplica({
          core,
          writer,
          addUser: () => {
            one.users += 1
          },
          removeUser: () => removeUser(id, one),
        })
      } catch (error) {
        await removeUser(id, one)
        throw error
      }
    },

    exists: (id) => onDisk(async () => (await fs.stat(`${folderOf(id)}/replica.json`)) !== null),

    async deleteReplica(id) {
      const one = shared.get(id)
      shared.delete(id)
      const core = await one?.core.catch(() => null)
      core?.markDeleted()
      await onDisk(async () => {
        // Gone at once by rename; what a crash leaves of the rest is swept next time.
        if ((await fs.stat(folderOf(id))) !== null) {
          await fs.rename(folderOf(id), `${options.folder}/.gone-${id}-${randomUUID()}`)
          await fs.syncFolder(options.folder)
        }
        await removeLeftovers(fs, options.folder)
      })
    },

    list: () => onDisk(() => listReplicas(fs, options.folder)),

    freeBytes: () => onDisk(async () => fs.freeBytes(await existingFolder(fs, options.folder))),
  }
}

type Creation = {
  readonly folder: string
  readonly spec: ReplicaSpec
  readonly key: Buffer | undefined
}

/** The spec file comes last and by rename: without it there is no replica, and creation may be repeated. */
async function createReplica(fs: FileSystem, { folder, spec, key }: Creation): Promise<void> {
  if ((await fs.stat(`${folder}/replica.json`)) !== null) return
  if (spec.encrypt && key === undefined) throw noKey(spec.machineName)
  await makeDurableFolder(fs, folder)
  for (const name of SUBFOLDERS) await fs.makeFolder(`${folder}/${name}`)
  // A spec file must never be there without the folders that it promises.
  await fs.syncFolder(folder)
  const file: SpecFile = {
    format: 1,
    machineName: spec.machineName,
    compress: spec.compress,
    encrypt: spec.encrypt,
    keyCheck: spec.encrypt && key !== undefined ? keyCheck(spec.id, key) : null,
  }
  await removeIfThere(fs, `${folder}/replica.json.new`)
  const handle = await fs.open(`${folder}/replica.json.new`, 'create')
  try {
    await handle.write([Buffer.from(JSON.stringify(file, null, 2))], 0)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await fs.rename(`${folder}/replica.json.new`, `${folder}/replica.json`)
  await fs.syncFolder(folder)
}

async function makeDurableFolder(fs: FileSystem, folder: string): Promise<void> {
  if ((await fs.stat(folder)) === null) {
    const parent = dirname(folder)
    if (parent !== folder && parent !== '.') await makeDurableFolder(fs, parent)
    await fs.makeFolder(folder)
  }
  await fs.syncFolder(dirname(folder))
}

async function loadSpec(fs: FileSystem, folder: string, id: ReplicaId): Promise<SpecFile> {
  const path = `${folder}/replica.json`
  if ((await fs.stat(path)) === null) throw notFound(id)
  const handle = await fs.open(path, 'read')
  try {
    const content = Buffer.alloc(await handle.bytes())
    await handle.read(content, 0)
    return checkSpec(JSON.parse(content.toString('utf8')))
  } catch (error) {
    if (error instanceof SyntaxError)
      throw damaged({ disk: null, offset: 0, bytes: 0, why: 'replica.json is no JSON' })
    throw error
  } finally {
    await handle.close()
  }
}

function checkSpec(value: unknown): SpecFile {
  if (typeof value === 'object' && value !== null && 'format' in value && value.format === 1)
    return value as SpecFile
  throw new Refusal({
    code: 'replica/unknown-format',
    message: 'The replica was written by a newer version',
    remedy: 'Use at least the version that wrote it.',
  })
}

function checkKey(id: ReplicaId, spec: SpecFile, key: Buffer | undefined): Buffer {
  if (key === undefined) throw noKey(spec.machineName)
  const fits = timingSafeEqual(Buffer.from(keyCheck(id, key)), Buffer.from(spec.keyCheck ?? ''.padEnd(64)))
  if (key.length !== 32 || !fits) throw wrongKey(spec.machineName)
  return key
}

const keyCheck = (id: ReplicaId, key: Buffer): string =>
  createHmac('sha256', key).update(`understudy journal ${id}`).digest('hex')

async function listReplicas(fs: FileSystem, folder: string): Promise<ReplicaId[]> {
  const ids: ReplicaId[] = []
  for (const name of await namesIn(fs, folder))
    if (!name.startsWith('.') && (await fs.stat(`${folder}/${name}/replica.json`)) !== null)
      ids.push(name as ReplicaId)
  return ids.sort()
}

async function removeLeftovers(fs: FileSystem, folder: string): Promise<void> {
  for (const name of await namesIn(fs, folder))
    if (name.startsWith('.gone-')) await removeTree(fs, `${folder}/${name}`)
}

async function removeTree(fs: FileSystem, path: string): Promise<void> {
  for (const name of await namesIn(fs, path)) {
    const found = await fs.stat(`${path}/${name}`)
    if (found?.isFolder) await removeTree(fs, `${path}/${name}`)
    else await removeIfThere(fs, `${path}/${name}`)
  }
  await fs.removeFolder(path).catch((error: unknown) => {
    // Another process sweeps as well.
    if (!isMissing(error)) throw error
  })
}

/** The folder is made with the first replica; until then it will lie on the file system of what is above it. */
async function existingFolder(fs: FileSystem, folder: string): Promise<string> {
  const parent = dirname(folder)
  return parent === folder || (await fs.stat(folder)) !== null ? folder : await existingFolder(fs, parent)
}

async function namesIn(fs: FileSystem, folder: string): Promise<readonly string[]> {
  try {
    return await fs.list(folder)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}
