import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { Site, SiteId } from '@understudy/domain/sites/site'
import { noReceivers } from '@understudy/drivers/physical/wire-lab'
import { replicasAt } from '@understudy/engine/sites/platform-of'
import { memoryAccessStores } from '@understudy/simulator/memory-access-stores'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { sampleSite } from '@understudy/simulator/sample-rows'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createAgentLines } from './agents/agent-lines.ts'
import { agentLineOf } from './agents/agent-servers.ts'
import { composePlatforms } from './compose-platforms.ts'

let home: string
let site: Site
let stores: ReturnType<typeof memoryStores>
let now: number
let platforms: ReturnType<typeof composePlatforms>
const id = 'r1' as ReplicaId

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'us-platforms-'))
  stores = memoryStores()
  now = Date.now()
  const replicaFolder = path.join(home, 'mount')
  site = sampleSite({
    id: 's1' as SiteId,
    platform: 'simulated',
    settings: { machines: 0, diskBytes: 16 * 2 ** 20, seed: 1, replicaFolder },
  })
  await stores.sites.create(site, {})
  platforms = composePlatforms({
    sites: stores.sites,
    machines: stores.machines,
    agents: agentLineOf(createAgentLines(), {
      stores: memoryAccessStores(),
      clock: { now: () => now },
      silentSeconds: 60,
    }),
    receivers: noReceivers,
    home,
    clock: { now: () => now },
    sleep: async () => {},
    secretKey: Buffer.alloc(32),
  })
})
afterEach(async () => {
  await platforms.close()
  await rm(home, { recursive: true, force: true })
})

test('a replica folder that is not mounted is an outage, and nothing is made in its place', async () => {
  await (await platforms.preview(site, {})).close()
  const replicas = replicasAt(await platforms.of(site))
  await replicas.createReplica({ id, machineName: 'web', compress: false, encrypt: false })
  await platforms.forget(site.id)

  const folder = path.join(home, 'mount')
  await rename(folder, `${folder}.away`)
  await expect(platforms.of(site)).rejects.toMatchObject({ name: 'Outage', code: 'replica/folder-missing' })
  await rename(`${folder}.away`, folder)
  expect(await replicasAt(await platforms.of(site)).exists(id)).toBe(true)
})

test('a folder where the file system takes none is refused, and does not keep the server busy', async () => {
  const settings = { ...site.settings, replicaFolder: '/proc/understudy/replicas' }
  await expect(platforms.preview({ ...site, settings }, {})).rejects.toMatchObject({
    code: 'replica/folder-not-writable',
  })
})

test('a folder that cannot be written is refused when the site is tried, with what to do', async () => {
  await writeFile(path.join(home, 'file'), '')
  const settings = { ...site.settings, replicaFolder: path.join(home, 'file', 'replicas') }
  await expect(platforms.preview({ ...site, settings }, {})).rejects.toMatchObject({
    name: 'Refusal',
    code: 'replica/folder-not-writable',
  })
})

describe('secrets that another server process has renewed', () => {
  const renew = () => stores.sites.update(site.id, {}, { privateKey: 'new' })
  beforeEach(async () => {
    await (await platforms.preview(site, {})).close()
  })

  test('open the platform anew within seconds, once', async () => {
    const before = await platforms.of(site)
    await renew()
    now += 5000
    const after = await platforms.of(site)
    expect(after).not.toBe(before)
    now += 5000
    expect(await platforms.of(site)).toBe(after)
  })

  test('are noticed although the clock was set back', async () => {
    const before = await platforms.of(site)
    await renew()
    now -= 3_600_000
    expect(await platforms.of(site)).not.toBe(before)
  })

  test('are looked for in vain while the database is away, which closes nothing', async () => {
    const before = await platforms.of(site)
    vi.spyOn(stores.sites, 'secrets').mockRejectedValue(new Error('The database is away'))
    now += 5000
    expect(await platforms.of(site)).toBe(before)
  })
})
