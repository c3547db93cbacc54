// Where first copies on disks may lie: on none that the server itself needs.
import { openSeedFolders } from '@understudy/drivers/seeds/open-seed-folders'
import type { SeedFolders } from '@understudy/engine/ports/seed-folders'
import { chosenReplicaFolder, type PlatformParts } from './compose-platforms.ts'

export const composeSeeds = ({ home, sites }: Pick<PlatformParts, 'home' | 'sites'>): SeedFolders =>
  openSeedFolders({
    serverFolders: ['/', home],
    takenFolders: async () => [
      home,
      ...(await sites.list()).flatMap((site) => chosenReplicaFolder(site) ?? []),
    ],
  })
