// The last file of a seed: one frame that says what all others are. Without it nothing of the seed counts.
import path from 'node:path'
import type { SeedIdentity } from '@understudy/domain/seeds/seed'
import type { SeedManifest } from '@understudy/engine/ports/seed-folders'
import { damaged } from './failures.ts'
import { FRAME_HEADER_BYTES, openFrame, readHeader } from './frame.ts'
import { MANIFEST_FILE, readIfThere } from './seed-folder.ts'

/** `frames`: how many there are. Their numbers are part of what each of them proves. */
export type ManifestRecord = SeedManifest & { readonly frames: number }

/** Null: there is none. */
export async function openManifest(
  home: string,
  key: Buffer,
  identity: SeedIdentity,
): Promise<ManifestRecord | null> {
  const file = await readIfThere(path.join(home, MANIFEST_FILE))
  if (file === null) return null
  const header = readHeader(file, 0)
  const content =
    header?.kind === 'manifest' ? openFrame(key, header, file.subarray(FRAME_HEADER_BYTES)) : null
  if (content === null) throw damaged(`${MANIFEST_FILE} is not what was written`)
  const record = JSON.parse(content.toString('utf8')) as ManifestRecord
  if (record.id !== identity.id || record.protectionId !== identity.protectionId)
    throw damaged(`${MANIFEST_FILE} is of another seed`)
  return record
}
