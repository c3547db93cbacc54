import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { ProtectionId, ReplicaId } from '@understudy/domain/protection/protection'
import type { SeedId } from '@understudy/domain/seeds/seed'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { sampleSite } from '@understudy/simulator/sample-rows'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { composeSeeds } from './compose-seeds.ts'

const identity = {
  id: 'seed-1' as SeedId,
  protectionId: 'web' as ProtectionId,
  replicaId: 'replica-1' as ReplicaId,
  machineName: 'web',
}
let top: string
beforeEach(async () => {
  top = await mkdtemp(path.join(tmpdir(), 'us-seeds-'))
  await Promise.all(
    ['home/lab', 'replicas/web', 'disk'].map((each) => mkdir(path.join(top, each), { recursive: true })),
  )
})
afterEach(() => rm(top, { recursive: true }))

async function begin(folder: string, acceptsServerDisk: boolean): Promise<void> {
  const { sites } = memoryStores()
  await sites.create(sampleSite({ settings: { replicaFolder: path.join(top, 'replicas') } }), {})
  const seeds = composeSeeds({ home: path.join(top, 'home'), sites })
  const place = { folder: path.resolve(top, folder), passphrase: 'correct horse' }
  const writer = await seeds.openWriter(place, identity, { fingerprint: null, acceptsServerDisk })
  await writer.close()
}

test('a seed is begun on a disk of the server only where that is accepted', async () => {
  await expect(begin('disk', false)).rejects.toMatchObject({ code: 'seed/server-disk' })
  await expect(begin('disk', true).catch(({ code }) => code)).resolves.toSatisfy(
    // Where less than the reserve is free here, that is what comes next.
    (code) => code === undefined || code === 'seed/disk-full',
  )
})

test.each(['home', 'home/lab', 'replicas', 'replicas/web', '/'])(
  'a seed never comes into %s, which is for something else',
  async (folder) => {
    await expect(begin(folder, true)).rejects.toMatchObject({ code: 'seed/folder-taken' })
  },
)
