// The product's own cycle from a simulated machine into a site in Azure, opened as the server opens it, against the emulator: whole disks
// are compared for every point, and the emulator is restarted and killed on the way, which makes it forget the last seconds.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Outage } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import type { Site, SiteId } from '@understudy/domain/sites/site'
import { EMULATOR_ACCOUNT, EMULATOR_KEY } from '@understudy/drivers/azure/emulator/start-azurite'
import { type Emulator, startEmulator } from '@understudy/drivers/azure/emulator/start-emulator'
import { noReceivers } from '@understudy/drivers/physical/wire-lab'
import type { Replica } from '@understudy/engine/ports/replica-store'
import { runCycle } from '@understudy/engine/replication/run-cycle'
import { replicasAt } from '@understudy/engine/sites/platform-of'
import { fakeWorld } from '@understudy/simulator/fake-platform'
import { memoryAccessStores } from '@understudy/simulator/memory-access-stores'
import { readAll } from '@understudy/simulator/memory-disk'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { sampleSite } from '@understudy/simulator/sample-rows'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAgentLines } from './agents/agent-lines.ts'
import { agentLineOf } from './agents/agent-servers.ts'
import { composePlatforms } from './compose-platforms.ts'

let home: string
let emulator: Emulator
let platforms: ReturnType<typeof composePlatforms>
let site: Site
const clock = virtualClock()
const stores = memoryStores()

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'us-azure-site-'))
  emulator = await startEmulator()
  platforms = composePlatforms({
    sites: stores.sites,
    machines: stores.machines,
    agents: agentLineOf(createAgentLines(), { stores: memoryAccessStores(), clock, silentSeconds: 60 }),
    receivers: noReceivers,
    home,
    clock,
    sleep: clock.sleep,
    secretKey: Buffer.alloc(32),
  })
  site = sampleSite({
    id: 'azure' as SiteId,
    platform: 'azure',
    settings: {
      account: EMULATOR_ACCOUNT,
      container: 'replicas',
      endpoint: `http://127.0.0.1:${emulator.proxy.port}/${EMULATOR_ACCOUNT}`,
      makeContainer: true,
    },
  })
  const secrets = { accountKey: EMULATOR_KEY }
  await (await platforms.preview(site, secrets)).checkConnection()
  await stores.sites.create(site, secrets)
})
afterAll(async () => {
  await platforms.close()
  await emulator.stop()
  await rm(home, { recursive: true, force: true })
})

const config = { requestBytes: 65_536, requestsInFlight: 4, firstCopyKeepBytes: 2 ** 24 }
const id = 'r' as ReplicaId

async function newMachine() {
  const source = fakeWorld(clock).addSite('a')
  // Silent: every byte that differs was put there by the test.
  const machine = await source.addMachine({
    name: 'web',
    disks: [2 ** 20, 2 ** 19],
    writeEveryMilliseconds: 0,
  })
  const random = seededRandom(7)
  const keys = [...machine.disks.keys()]
  return {
    async writeSome(): Promise<void> {
      for (let count = 0; count < 6; count += 1) {
        const key = present(keys[count % 2], 'two disks')
        const grain = random.below(100) * 4096
        if (count === 5) await machine.disks.get(key)?.zero(grain, 8192)
        else await machine.write(key, grain, random.bytes(4096))
      }
    },
    content: async () => Buffer.concat(await Promise.all(machine.readDisks().map(readAll))),
    cycleInto: (replica: Replica) =>
      runCycle({
        source: source.source,
        replica,
        ref: machine.ref,
        trackingId: 'us-1',
        excludedDisks: [],
        resyncReason: null,
        consistency: 'crash',
        limits: [],
        config,
        time: clock,
        signal: new AbortController().signal,
        onPlan: async () => {},
        onProgress: () => {},
      }),
  }
}

async function contentOf(replica: Replica, point: PointId): Promise<Buffer> {
  const opened = await replica.openPoint(point)
  try {
    return Buffer.concat(await Promise.all(opened.disks.map(({ reader }) => readAll(reader))))
  } finally {
    await opened.close()
  }
}

test('what a site in Azure is offered by the product: replicas, and nothing that it cannot do', async () => {
  const platform = await platforms.of(site)
  expect(platform.source).toBeUndefined()
  expect(platform.target).toBeUndefined()
  expect(platform.withoutTarget).toContain('managed disk')
  expect(replicasAt(platform).encrypts).toBe(false)
  expect(await replicasAt(platform).freeBytes()).toBeNull()
})

test('every point of a machine equals its disks at that instant, whatever the storage forgets, and a deleted replica leaves nothing', async () => {
  const replicas = replicasAt(await platforms.of(site))
  const machine = await newMachine()
  await replicas.createReplica({ id, machineName: 'web', compress: false, encrypt: false })
  const sealed = new Map<PointId, Buffer>()
  const kinds: string[] = []
  let epoch = 1
  let replica = await replicas.openReplica(id, epoch)

  /** As the mover does: what went back in time is opened anew, and the cycle goes on from what is there. */
  const cycle = async (): Promise<void> => {
    await machine.writeSome()
    const content = await machine.content()
    for (let turn = 0; turn < 3; turn += 1) {
      try {
        const { point, summary } = await machine.cycleInto(replica)
        sealed.set(point.id, content)
        kinds.push(summary.kind)
        return
      } catch (error) {
        if (!(error instanceof Outage)) throw error
        await replica.close()
        epoch += 1
        replica = await replicas.openReplica(id, epoch)
      }
    }
    throw new Error('The cycle does not come about')
  }
  const checkAll = async (): Promise<void> => {
    const there = replica.points()
    expect(there.length).toBeGreaterThan(0)
    for (const { id: point } of there)
      expect(
        (await contentOf(replica, point)).equals(present(sealed.get(point), 'it was sealed')),
        point,
      ).toBe(true)
  }

  for (let round = 0; round < 3; round += 1) await cycle()
  await emulator.restart('in peace')
  for (let round = 0; round < 2; round += 1) await cycle()
  await checkAll()
  // Nothing since the restart is on its disk yet, or a part of it.
  await emulator.restart('killed')
  await cycle()
  await cycle()
  await checkAll()
  expect(kinds[0]).toBe('seed')
  expect(kinds.at(-1)).toBe('delta')
  expect((await replica.scrub({ bytesPerSecond: 0 })).damage).toEqual([])
  await replica.close()

  await replicas.deleteReplica(id)
  const { endpoint, container } = site.settings as { endpoint: string; container: string }
  const left: string[] = []
  const signIn = { kind: 'key', account: EMULATOR_ACCOUNT, key: EMULATOR_KEY } as const
  for await (const blob of emulator
    .client({ endpoint, container, signIn })
    .listBlobsFlat({ includeSnapshots: true }))
    left.push(blob.name)
  expect(left).toEqual([])
}, 180_000)
