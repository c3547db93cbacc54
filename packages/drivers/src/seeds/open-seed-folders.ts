import type { SeedFolders } from '@understudy/engine/ports/seed-folders'
import { toFailure } from './failures.ts'
import { openSeedReader } from './seed-reader.ts'
import { openSeedWriter, type WriterLimits } from './seed-writer.ts'

export const openSeedFolders = (limits?: WriterLimits): SeedFolders => ({
  openWriter: (place, identity) => inWords(place.folder, () => openSeedWriter(place, identity, limits)),
  openReader: (place, id) => inWords(place.folder, () => openSeedReader(place, id)),
})

async function inWords<Result>(folder: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw toFailure(folder, error)
  }
}
