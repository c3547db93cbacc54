import type { SeedFolders } from '@understudy/engine/ports/seed-folders'
import { toFailure } from './failures.ts'
import { openSeedReader } from './seed-reader.ts'
import { type SeedRules, usualRules } from './seed-rules.ts'
import { openSeedWriter } from './seed-writer.ts'

type Rules = Pick<SeedRules, 'serverFolders' | 'takenFolders'> & Partial<SeedRules>

export const openSeedFolders = (chosen: Rules): SeedFolders => {
  const rules = { ...usualRules, ...chosen }
  return {
    openWriter: (place, identity, start) =>
      inWords(place.folder, () => openSeedWriter({ place, identity, start }, rules)),
    openReader: (place, id) => inWords(place.folder, () => openSeedReader(place, id)),
  }
}

async function inWords<Result>(folder: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw toFailure(folder, error)
  }
}
