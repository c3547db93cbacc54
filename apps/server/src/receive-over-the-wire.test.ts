// A server that comes home: a real receiver as a process, with files as its disks, and the control plane's end of the line to it. The oracle: the whole disk.
import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { KiB, MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { MappedExtent } from '@understudy/block/device'
import type { Agent } from '@understudy/domain/agents/agent'
import type { RunId } from '@understudy/domain/failover/failover'
import type { ChosenDisk } from '@understudy/domain/failover/receiver'
import type { DiskKey, Machine } from '@understudy/domain/machines/machine'
import type { PolicyId } from '@understudy/domain/protection/policy'
import { openPhysicalPlatform } from '@understudy/drivers/physical/platform'
import type { RestoreDisk } from '@understudy/engine/ports/target-platform'
import { type FarLine, openFarLine } from '@understudy/simulator/far-line'
import { memoryAccessStores } from '@understudy/simulator/memory-access-stores'
import { memoryLive } from '@understudy/simulator/memory-live'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { sampleDiscoveredMachine, sampleProtection, sampleSite } from '@understudy/simulator/sample-rows'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createAgentKeeper } from './agents/agent-keeper.ts'
import { createAgentLines } from './agents/agent-lines.ts'
import { agentLineOf } from './agents/agent-servers.ts'
import { createReceivers } from './agents/receivers.ts'
import { createWriteLines } from './agents/write-lines.ts'
import { openAgent, type TestAgent } from './lab-tests/agent-process.ts'
import { until } from './lab-tests/lab-product.ts'

const slowly = 300_000
const BOOT = 24 * MiB
const DATA = 5 * MiB + 4096
const never = new AbortController().signal
const random = seededRandom(5)

let folder: string
let home: Awaited<ReturnType<typeof openHome>>
let line: FarLine
let receiver: TestAgent
const started: TestAgent[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'us-home-'))
  line = await openFarLine({}, { roundTrip: 10, width: null })
  home = await openHome()
})
afterEach(async () => {
  for (const each of started.splice(0)) await each.close()
  await home.keeper.stop()
  await line.close()
  await rm(folder, { recursive: true, force: true })
})

/** A site of servers with one server that runs as its replica elsewhere. */
async function openHome() {
  const clock = { now: () => Date.now() }
  const stores = { ...memoryStores(), ...memoryAccessStores() }
  const [site, away] = [sampleSite({ platform: 'physical' }), sampleSite()]
  await stores.sites.create(site, {})
  await stores.sites.create(away, {})
  const parts = {
    stores,
    live: memoryLive(),
    clock,
    newId: randomUUID,
    log: pino({ enabled: false }),
    version: '1',
    config: {
      home: folder,
      host: '127.0.0.1',
      publicUrl: null,
      agentHost: null,
      agentPort: 0,
      agentUrl: null,
      agentSilentSeconds: 60,
    },
  }
  const [lines, writes] = [createAgentLines(), createWriteLines()]
  const keeper = createAgentKeeper(parts, lines, writes)
  const receivers = createReceivers({ ...parts, lines, writes })
  const platform = openPhysicalPlatform(site, {
    line: agentLineOf(lines, { stores, clock, silentSeconds: 60 }),
    lastSeen: (siteId) => stores.machines.list(siteId),
    clock,
    receivers: receivers.line,
    sleep: (milliseconds) => wait(milliseconds / 20),
  })
  const found = sampleDiscoveredMachine({ name: 'db-1' })
  const disk = present(found.hardware.disks[0], 'a disk')
  const disks = [
    { ...disk, key: 'boot' as DiskKey, bytes: BOOT },
    { ...disk, key: 'data' as DiskKey, bytes: DATA, boot: false },
  ]
  const server = { ...found, hardware: { ...found.hardware, disks } }
  await stores.machines.replaceInventory(site.id, [server], clock.now())
  const machine = present(await stores.machines.findByRef(site.id, server.ref), 'the machine')
  const protection = sampleProtection(
    {
      machineId: machine.id,
      sourceRef: machine.ref,
      sourceSiteId: site.id,
      targetSiteId: away.id,
      policyId: randomUUID() as PolicyId,
    },
    { state: 'failedOver' },
  )
  await stores.protections.create(protection)
  return {
    stores,
    site,
    keeper,
    receivers,
    machine,
    protection,
    originals: platform.originals,
    source: platform.source,
  }
}

/** A computer in a rescue system whose disks hold what they hold. */
async function startReceiver(disks: readonly number[], name = 'rescue'): Promise<Agent> {
  const paths: string[] = []
  for (const [index, bytes] of disks.entries()) {
    const path = join(folder, `${name}-${index}`)
    await writeFile(path, random.bytes(MiB))
    await truncate(path, bytes)
    paths.push(path)
  }
  receiver = await openAgent(name, { receives: paths })
  started.push(receiver)
  const { command } = await home.keeper.invite({ siteId: home.site.id, roles: ['receiver'], by: 'ada' })
  expect(command).toContain('understudy-agent receive ')
  receiver.receive(command, ['--proxy', `http://${line.host}:${line.port}`])
  return await connected(name)
}

const connected = (name: string): Promise<Agent> =>
  until(`the receiver ${name} is connected`, 60, async () => {
    const all = await home.receivers.list(null)
    return all.find((each) => each.agent.name === name && each.described !== null)?.agent ?? null
  })

const choose = async (agent: Agent, machine: Machine = home.machine): Promise<ChosenDisk[]> => {
  const all = await home.receivers.list(null)
  const described = present(all.find((each) => each.agent.id === agent.id)?.described, 'it is described')
  return machine.hardware.disks.map(({ key }, index) => {
    const { path, bytes, serial } = present(described.disks[index], 'a disk')
    return { key, path, bytes, serial }
  })
}

const assign = async (agent: Agent) =>
  home.receivers.assign(agent, { machine: home.machine, disks: await choose(agent), by: 'ada' })

/** With holes, zeros in between, and an end that fills no piece. */
function content(bytes: number): Buffer {
  const made = Buffer.alloc(bytes)
  for (let at = 0; at + 64 * KiB < bytes; at += 64 * KiB)
    if (random.chance(0.5)) random.bytes(64 * KiB - random.below(4096)).copy(made, at)
  made.fill(0, bytes >> 2, bytes >> 1)
  random.bytes(512).copy(made, bytes - 512)
  return made
}

const toRestore = (key: string, made: Buffer, differs: RestoreDisk['differs'] = null): RestoreDisk => ({
  key: key as DiskKey,
  bytes: made.length,
  differs,
  reader: {
    bytes: made.length,
    read: async (offset, bytes) => Buffer.from(made.subarray(offset, offset + bytes)),
    async *map() {
      const hole = made.length >> 2
      yield { offset: 0, bytes: hole, kind: 'data' }
      yield { offset: hole, bytes: (made.length >> 1) - hole, kind: 'zero' }
      yield { offset: made.length >> 1, bytes: made.length - (made.length >> 1), kind: 'data' }
    },
    close: async () => {},
  },
})

const restore = (disks: readonly RestoreDisk[], onProgress: () => void = () => {}, signal = never) =>
  home.originals.restoreInto(
    home.machine.ref,
    disks,
    { runId: 'run' as RunId, fingerprints: [], overwriteModified: true, onProgress },
    signal,
  )

async function expectOnDisk(index: number, made: Buffer, name = 'rescue'): Promise<void> {
  const found = (await readFile(join(folder, `${name}-${index}`))).subarray(0, made.length)
  const wrong = found.equals(made) ? null : found.findIndex((byte, at) => byte !== made[at])
  expect(wrong, 'first wrong byte').toBeNull()
}

async function* listed(...extents: MappedExtent[]): AsyncGenerator<MappedExtent> {
  yield* extents
}

test(
  'disks become what was failed over to, then only what differs is carried, and an interrupted restore is compared whole',
  async () => {
    const agent = await startReceiver([BOOT + MiB, DATA])
    const { ref } = home.machine
    const [boot, data] = [content(BOOT), content(DATA)]
    const disks = [toRestore('boot', boot), toRestore('data', data)]
    expect(await home.originals.obstacle(ref, disks)).toMatchObject({ code: 'receiver/none-assigned' })
    await expect(restore(disks)).rejects.toMatchObject({ code: 'receiver/none-assigned' })
    await assign(agent)
    expect(await home.originals.obstacle(ref, disks)).toBeNull()
    expect(await home.source.powerState(ref)).toBe('off')
    expect((await restore(disks)).writtenBytes).toBeGreaterThan(BOOT / 4)
    await expectOnDisk(0, boot)
    await expectOnDisk(1, data)
    // Compared again: nothing is to be written, and nothing but digests is carried.
    const before = line.carriedBackBytes()
    random.bytes(4096).copy(boot, 3 * MiB)
    const tail = listed({ offset: 3 * MiB, bytes: 4096, kind: 'data' })
    expect(await restore([toRestore('boot', boot, tail), toRestore('data', data, listed())])).toEqual({
      writtenBytes: 4096,
    })
    await expectOnDisk(0, boot)
    expect(line.carriedBackBytes() - before).toBeLessThan(200 * KiB)
    // What differs is not believed where it was begun and not ended.
    const stop = new AbortController()
    random.bytes(MiB).copy(boot, 2 * MiB)
    const [halfway] = [toRestore('boot', boot)]
    await expect(
      restore([present(halfway, 'a disk')], () => stop.abort(new Error('stopped')), stop.signal),
    ).rejects.toThrow()
    random.bytes(MiB).copy(boot, 20 * MiB)
    await restore([toRestore('boot', boot, listed()), toRestore('data', data, listed())])
    await expectOnDisk(0, boot)
    await expectOnDisk(1, data)
  },
  slowly,
)
