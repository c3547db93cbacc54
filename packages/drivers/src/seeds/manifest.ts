// The last file of a seed: one frame that says what all others are. Without it nothing of the seed counts.
import { createHash } from 'node:crypto'
import path from 'node:path'
import type { SeedIdentity } from '@understudy/domain/seeds/seed'
import type { SeedManifest } from '@understudy/engine/ports/seed-folders'
import { damaged } from './failures.ts'
import { FRAME_HEADER_BYTES, LARGEST_CONTENT_BYTES, openFrame, readHeader, tagOf } from './frame.ts'
import { readFrames } from './read-frames.ts'
import { listParts, MANIFEST_FILE, partName, readIfThere } from './seed-folder.ts'

export type ManifestRecord = SeedManifest & {
  /** How many there are. Their numbers are part of what each of them proves. */
  readonly frames: number
  /** SHA-256 over their tags in order, base64: a frame that was cut off and written anew proves itself under its number, too. */
  readonly tags: string
}

/** Null: there is none. */
export async function openManifest(
  home: string,
  key: Buffer,
  identity: SeedIdentity,
): Promise<ManifestRecord | null> {
  const file = await readIfThere(path.join(home, MANIFEST_FILE), FRAME_HEADER_BYTES + LARGEST_CONTENT_BYTES)
  if (file === null) return null
  const header = readHeader(file, 0)
  const content =
    header?.kind === 'manifest' ? await openFrame(key, header, file.subarray(FRAME_HEADER_BYTES)) : null
  if (content === null) throw damaged(`${MANIFEST_FILE} is not what was written`)
  const record = JSON.parse(content.toString('utf8')) as ManifestRecord
  if (record.id !== identity.id || record.protectionId !== identity.protectionId)
    throw damaged(`${MANIFEST_FILE} is of another seed`)
  return record
}

/** Holds the headers of all frames against the manifest, and changes nothing. Their content proves itself when it is read. */
export async function checkComplete(home: string, manifest: ManifestRecord): Promise<void> {
  const tags = createHash('sha256')
  const found = { frames: 0, bytes: 0 }
  for await (const piece of readFrames(home, await listParts(home)))
    if ('whole' in piece) {
      if (!piece.whole) throw damaged(`${partName(piece.part)}, from byte ${piece.position} on`)
      found.bytes += piece.position
    } else {
      found.frames += 1
      tags.update(tagOf(piece.header.raw))
    }
  if (found.bytes !== manifest.storedBytes)
    throw damaged(`${found.bytes} of its ${manifest.storedBytes} bytes are here`)
  refuseOthers(manifest, { frames: found.frames, tags: tags.digest('base64') })
}

/** Refuses frames that are not those of the manifest. */
export function refuseOthers(
  manifest: ManifestRecord,
  { frames, tags }: Pick<ManifestRecord, 'frames' | 'tags'>,
): void {
  if (frames !== manifest.frames) throw damaged(`${frames} of its ${manifest.frames} pieces are here`)
  if (tags !== manifest.tags) throw damaged('some of its pieces are of an earlier attempt at the export')
}
