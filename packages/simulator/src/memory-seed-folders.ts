// Disks that are carried, in memory: whatever opens a seed again finds what was written, as after a crash.
import { createHash } from 'node:crypto'
import { Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { Extent } from '@understudy/block/device'
import { intersect, subtract, union } from '@understudy/block/extents'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { SeedIdentity } from '@understudy/domain/seeds/seed'
import type {
  SeedContent,
  SeedFolders,
  SeedManifest,
  SeedMark,
  SeedWriter,
} from '@understudy/engine/ports/seed-folders'

export type MemorySeed = {
  readonly identity: SeedIdentity
  readonly passphrase: string
  readonly fingerprint: string
  mark: SeedMark | null
  manifest: SeedManifest | null
  readonly safe: Map<DiskKey, readonly Extent[]>
  readonly contents: (SeedContent | 'mark')[]
  /** Of data, in all. */
  writtenBytes: number
}

export type MemorySeedFolders = SeedFolders & {
  /** By folder and id. */
  readonly seeds: ReadonlyMap<string, MemorySeed>
  /** Called before every write: throwing is a disk that fails, not coming back a process that dies. */
  onWrite: () => Promise<void>
  /** Carries the disk to another folder. */
  carry(from: string, to: string): void
}

export function memorySeedFolders(): MemorySeedFolders {
  const seeds = new Map<string, MemorySeed>()
  let made = 0
  const open = (passphrase: string, seed: MemorySeed): MemorySeed => {
    if (seed.passphrase !== passphrase) throw refusal('wrong-passphrase', 'The passphrase is another one')
    return seed
  }
  const folders: MemorySeedFolders = {
    seeds,
    onWrite: async () => {},
    carry(from, to) {
      for (const [place, seed] of [...seeds])
        if (place.startsWith(`${from} `)) seeds.set(place.replace(from, to), seed)
    },
    async openWriter({ folder, passphrase }, identity, { fingerprint }) {
      const place = `${folder} ${identity.id}`
      const known = seeds.get(place)
      if (fingerprint !== null && fingerprint !== known?.fingerprint)
        throw refusal('not-found', `The seed that was begun is not in ${folder}`)
      const seed = known ? open(passphrase, known) : newSeed(identity, passphrase, `first file ${made++}`)
      seeds.set(place, seed)
      return toWriter(seed, () => folders.onWrite())
    },
    async openReader({ folder, passphrase }, id) {
      const found = seeds.get(`${folder} ${id}`)
      if (!found) throw refusal('not-found', `There is no such seed in ${folder}`)
      const { manifest, contents } = open(passphrase, found)
      if (manifest === null) throw refusal('incomplete', 'The export did not come to its end')
      let proof = createHash('sha256')
      return {
        manifest,
        async *contents(signal) {
          proof = createHash('sha256')
          for (const content of contents) {
            signal.throwIfAborted()
            proof.update(content === 'mark' ? content : (content.data ?? String(content.bytes)))
            yield content
          }
        },
        proof: () => proof.copy().digest('hex'),
        close: async () => {},
      }
    },
  }
  return folders
}

const newSeed = (identity: SeedIdentity, passphrase: string, fingerprint: string): MemorySeed => ({
  identity,
  passphrase,
  fingerprint,
  mark: null,
  manifest: null,
  safe: new Map(),
  contents: [],
  writtenBytes: 0,
})

function toWriter(seed: MemorySeed, onWrite: () => Promise<void>): SeedWriter {
  const add = async (content: SeedContent): Promise<void> => {
    await onWrite()
    seed.contents.push(content)
    seed.writtenBytes += content.data?.length ?? 0
    const extent = { offset: content.offset, bytes: content.bytes }
    seed.safe.set(content.disk, union(seed.safe.get(content.disk) ?? [], [extent]))
  }
  return {
    fingerprint: seed.fingerprint,
    cutBytes: 0,
    get mark() {
      return seed.mark
    },
    get finished() {
      return seed.manifest
    },
    safe: (disk) => seed.safe.get(disk) ?? [],
    async moveTo(mark, stale) {
      seed.mark = mark
      seed.contents.push('mark')
      if (stale === 'all') return seed.safe.clear()
      for (const { key, bytes } of mark.disks) {
        const kept = subtract(seed.safe.get(key) ?? [], stale.get(key) ?? [])
        seed.safe.set(key, intersect(kept, [{ offset: 0, bytes }]))
      }
    },
    write: (disk, offset, data) => add({ disk, offset, bytes: data.length, data: Buffer.from(data) }),
    zero: (disk, offset, bytes) => add({ disk, offset, bytes, data: null }),
    async finish(point) {
      const { disks } = present(seed.mark, 'a seed that is complete has a mark')
      seed.manifest = { ...seed.identity, point, disks, storedBytes: seed.writtenBytes }
      return seed.manifest
    },
    close: async () => {},
  }
}

const refusal = (code: string, message: string): Refusal =>
  new Refusal({ code: `seed/${code}`, message, remedy: 'Give the right folder and passphrase.' })
