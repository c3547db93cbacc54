// A complete seed that is read, with every byte held against its proof.
import { createHash, type Hash } from 'node:crypto'
import { present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { SeedId } from '@understudy/domain/seeds/seed'
import type { SeedContent, SeedPlace, SeedReader } from '@understudy/engine/ports/seed-folders'
import { damaged, incomplete, toFailure } from './failures.ts'
import { openFrame, tagOf } from './frame.ts'
import { type ManifestRecord, openManifest, refuseOthers } from './manifest.ts'
import { readFrames } from './read-frames.ts'
import { findHome, listParts, partName } from './seed-folder.ts'
import { findHeader, openHeader } from './seed-key.ts'
import type { MarkRecord } from './seed-state.ts'

/** See SeedFolders.openReader. */
export async function openSeedReader({ folder, passphrase }: SeedPlace, id: SeedId): Promise<SeedReader> {
  const home = await findHome(folder, id)
  const header = present(await findHeader(home), 'a seed is found by its first file')
  const key = await openHeader(header, passphrase)
  const manifest = await openManifest(home, key, header)
  if (manifest === null) throw incomplete(home)
  let tags = createHash('sha256')
  return {
    manifest,
    contents(signal) {
      tags = createHash('sha256')
      return contentsOf({ home, key, manifest, tags }, signal)
    },
    proof: () => tags.copy().digest('base64'),
    close: async () => {},
  }
}

type OpenedSeed = {
  readonly home: string
  readonly key: Buffer
  readonly manifest: ManifestRecord
  /** Over those of all frames so far. */
  readonly tags: Hash
}

async function* contentsOf(
  { home, key, manifest, tags }: OpenedSeed,
  signal: AbortSignal,
): AsyncGenerator<SeedContent | 'mark'> {
  try {
    let frames = 0
    let keys: readonly DiskKey[] = []
    const sizes = new Map(manifest.disks.map((disk) => [disk.key, disk.bytes]))
    for await (const found of readFrames(home, await listParts(home))) {
      signal.throwIfAborted()
      if ('whole' in found) {
        if (!found.whole) throw damaged(`${partName(found.part)}, from byte ${found.position} on`)
        continue
      }
      const { header, part, position } = found
      const content = await openFrame(key, header, await found.payload())
      if (content === null) throw damaged(`${partName(part)}, at byte ${position}`)
      frames += 1
      tags.update(tagOf(header.raw))
      const { kind, disk, offset, bytes } = header
      if (kind === 'mark') {
        ;({ keys } = JSON.parse(content.toString('utf8')) as MarkRecord)
        yield 'mark'
      } else {
        const key = present(keys[disk], 'a frame names a disk of the mark before it')
        // Of a disk that has left, or shrunk, before the end.
        const room = (sizes.get(key) ?? 0) - offset
        if (room <= 0) continue
        const data = kind === 'zero' ? null : content.subarray(0, room)
        yield { disk: key, offset, bytes: Math.min(bytes, room), data }
      }
    }
    refuseOthers(manifest, { frames, tags: tags.copy().digest('base64') })
  } catch (error) {
    throw toFailure(home, error)
  }
}
