// A storage account that carries less than the interval asks for, through Microsoft's client, the store and the mover: what becomes of
// five seconds, or here of one, is told with its reason, and told as over once the account carries it again.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { present } from '@understudy/base/invariant'
import type { Site, SiteId } from '@understudy/domain/sites/site'
import { accountRate } from '@understudy/drivers/azure/emulator/account-rate'
import { EMULATOR_ACCOUNT, EMULATOR_KEY } from '@understudy/drivers/azure/emulator/start-azurite'
import { type Emulator, startEmulator } from '@understudy/drivers/azure/emulator/start-emulator'
import { noReceivers } from '@understudy/drivers/physical/wire-lab'
import { defaultEngineConfig } from '@understudy/engine/engine-parts'
import { createMover } from '@understudy/engine/replication/mover'
import { replicasAt } from '@understudy/engine/sites/platform-of'
import { fakeWorld } from '@understudy/simulator/fake-platform'
import { memoryAccessStores } from '@understudy/simulator/memory-access-stores'
import { readAll } from '@understudy/simulator/memory-disk'
import { durableLog, memoryDurable } from '@understudy/simulator/memory-durable'
import { memoryLive } from '@understudy/simulator/memory-live'
import { memoryPrinter } from '@understudy/simulator/memory-printer'
import { memorySeedFolders } from '@understudy/simulator/memory-seed-folders'
import { memorySteps } from '@understudy/simulator/memory-steps'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { samplePolicy, sampleProtection, sampleSite } from '@understudy/simulator/sample-rows'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAgentLines } from './agents/agent-lines.ts'
import { agentLineOf } from './agents/agent-servers.ts'
import { composePlatforms } from './compose-platforms.ts'

let home: string
let emulator: Emulator

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'us-azure-throttling-'))
  emulator = await startEmulator()
})
afterAll(async () => {
  await emulator.stop()
  await rm(home, { recursive: true, force: true })
})

async function newWorld() {
  const clock = virtualClock()
  const stores = memoryStores()
  const composed = composePlatforms({
    sites: stores.sites,
    machines: stores.machines,
    agents: agentLineOf(createAgentLines(), { stores: memoryAccessStores(), clock, silentSeconds: 60 }),
    receivers: noReceivers,
    home,
    clock,
    sleep: clock.sleep,
    secretKey: Buffer.alloc(32),
  })
  const source = fakeWorld(clock).addSite('a')
  const machine = await source.addMachine({ name: 'web', disks: [2 ** 20], writeEveryMilliseconds: 0 })
  const azure = sampleSite({
    id: 'azure' as SiteId,
    name: 'West Europe',
    platform: 'azure',
    settings: {
      account: EMULATOR_ACCOUNT,
      container: 'throttled',
      endpoint: `http://127.0.0.1:${emulator.proxy.port}/${EMULATOR_ACCOUNT}`,
      makeContainer: true,
    },
  })
  const secrets = { accountKey: EMULATOR_KEY }
  await (await composed.preview(azure, secrets)).checkConnection()
  await stores.sites.create(sampleSite({ id: source.id, name: 'Home' }), {})
  await stores.sites.create(azure, secrets)
  await stores.machines.replaceInventory(source.id, await source.source.inventory(), clock.now())
  const platforms = {
    ...composed,
    of: (site: Site) => (site.id === source.id ? Promise.resolve(source.platform) : composed.of(site)),
  }
  return { clock, stores, platforms, source, machine, azure }
}

test('an account that throttles makes the interval what it carries, and says so as long as it lasts', async () => {
  const { clock, stores, platforms, source, machine, azure } = await newWorld()
  const policy = samplePolicy({
    intervalSeconds: 1,
    lagTargetSeconds: 3600,
    applicationConsistentEverySeconds: 0,
  })
  await stores.policies.save(policy)
  const [row] = await stores.machines.list(source.id)
  const protection = sampleProtection(
    {
      machineId: present(row, 'the inventory has the machine').id,
      sourceSiteId: source.id,
      sourceRef: machine.ref,
      targetSiteId: azure.id,
      policyId: policy.id,
    },
    { state: 'seeding', excludedDisks: [] },
  )
  await stores.protections.create(protection)
  const replicas = replicasAt(await platforms.of(azure))
  const { id, replicaId } = protection
  await replicas.createReplica({ id: replicaId, machineName: 'web', compress: false, encrypt: false })
  let ids = 0
  const mover = createMover(
    {
      stores,
      durable: memoryDurable({ log: durableLog(), clock }),
      platforms,
      steps: memorySteps(clock),
      seeds: memorySeedFolders(),
      printer: memoryPrinter(),
      live: memoryLive(),
      clock,
      sleep: clock.sleep,
      newId: () => {
        ids += 1
        return `id-${ids}`
      },
      // An account this busy fails a cycle now and then, too.
      config: { ...defaultEngineConfig, moverId: 'm', retryDelaysSeconds: [1] },
      log: () => {},
    },
    { onLook: async () => {} },
  )
  mover.start()
  const pace = async () => (await stores.protections.summary(id)).pace ?? null
  const openAlerts = async () => (await stores.alerts.list({ open: true }, { limit: 10, cursor: null })).rows
  /** The clock of the engine goes with the clock on the wall, for the requests do. */
  const until = async (isSo: () => Promise<boolean>): Promise<void> => {
    let at = performance.now()
    while (!(await isSo())) {
      await pause(50)
      const now = performance.now()
      await clock.advance(Math.round(now - at))
      at = now
    }
  }
  try {
    await until(async () => (await stores.protections.summary(id)).pointCount >= 3)
    expect(await pace()).toBeNull()

    emulator.proxy.fault = accountRate(1)
    await until(async () => (await pace()) !== null)
    expect(await pace()).toMatchObject({
      wantedSeconds: 1,
      cause: 'throttled',
      why: 'the storage account asks for fewer requests (West Europe)',
      remedy: expect.stringContaining('several storage accounts'),
    })
    expect((await pace())?.carriedSeconds).toBeGreaterThan(2)
    expect(replicas.strain?.().times).toBeGreaterThan(0)
    const alert = (await openAlerts()).find(({ code }) => code === 'protection/interval')
    expect(alert?.message).toContain('wanted every 1 s and come every')

    emulator.proxy.fault = null
    await until(async () => (await pace()) === null)
    expect(await openAlerts()).toEqual([])
    const replica = await replicas.openReplica(replicaId, null)
    const newest = present(replica.points().at(-1), 'there are points')
    const opened = await replica.openPoint(newest.id)
    const [disk] = machine.readDisks()
    expect(
      (await readAll(present(opened.disks[0], 'one disk').reader)).equals(
        await readAll(present(disk, 'one disk')),
      ),
    ).toBe(true)
    await opened.close()
    await replica.close()
  } finally {
    emulator.proxy.fault = null
    await mover.stop()
    await platforms.close()
  }
}, 300_000)
