// A server that comes home: a real receiver as a process, with files as its disks, and the control plane's end of the line to it. The oracle: the whole disk.
import { createHash, randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { KiB, MiB } from '@understudy/base/bytes'
import { Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { MappedExtent } from '@understudy/block/device'
import type { Agent } from '@understudy/domain/agents/agent'
import type { RunId } from '@understudy/domain/failover/failover'
import type { ChosenDisk } from '@understudy/domain/failover/receiver'
import type { DiskKey, Machine, MachineRef } from '@understudy/domain/machines/machine'
import type { PolicyId } from '@understudy/domain/protection/policy'
import { openPhysicalPlatform } from '@understudy/drivers/physical/platform'
import type { RestoreDisk } from '@understudy/engine/ports/target-platform'
import { type FarLine, openFarLine } from '@understudy/simulator/far-line'
import { freePort } from '@understudy/simulator/free-port'
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

type Kept = Awaited<ReturnType<typeof makeServer>> & { readonly port: number }

async function makeServer() {
  const stores = { ...memoryStores(), ...memoryAccessStores() }
  const [site, away] = [sampleSite({ platform: 'physical' }), sampleSite()]
  await stores.sites.create(site, {})
  await stores.sites.create(away, {})
  // As the agent of the server tells it: see identifyServer.
  const ref = createHash('sha256').update('understudy server db-1').digest('hex') as MachineRef
  const found = sampleDiscoveredMachine({ ref, name: 'db-1' })
  const disk = present(found.hardware.disks[0], 'a disk')
  const disks = [
    { ...disk, key: 'boot' as DiskKey, bytes: BOOT },
    { ...disk, key: 'data' as DiskKey, bytes: DATA, boot: false },
  ]
  const server = { ...found, hardware: { ...found.hardware, disks } }
  await stores.machines.replaceInventory(site.id, [server], Date.now())
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
  return { stores, machine }
}

/** A site of servers with one server that runs as its replica elsewhere. */
async function openHome(before: Kept | null = null) {
  const clock = { now: () => Date.now() }
  const { stores, machine } = before ?? (await makeServer())
  const site = present(await stores.sites.find(machine.siteId), 'its site')
  const port = before?.port ?? (await freePort())
  const parts = {
    stores,
    live: memoryLive(),
    clock,
    newId: randomUUID,
    log: pino({ enabled: false }),
    version: '0.1.0',
    programFolder: join(folder, 'programs'),
    config: {
      home: folder,
      host: '127.0.0.1',
      publicUrl: null,
      agentHost: null,
      agentPort: port,
      agentUrl: null,
      agentSilentSeconds: 60,
    },
  }
  const [lines, writes] = [createAgentLines(), createWriteLines()]
  const keeper = createAgentKeeper(parts, lines, writes)
  const receivers = createReceivers({ ...parts, lines, writes })
  const agentLine = agentLineOf(lines, { stores, clock, silentSeconds: 60 })
  const platform = openPhysicalPlatform(site, {
    line: agentLine,
    lastSeen: (siteId) => stores.machines.list(siteId),
    clock,
    receivers: receivers.line,
    sleep: (milliseconds) => wait(milliseconds / 20),
  })
  keeper.start()
  return {
    stores,
    site,
    keeper,
    lines,
    agentLine,
    receivers,
    machine,
    port,
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
  const { command } = await home.keeper.invite({
    siteId: home.site.id,
    roles: ['receiver'],
    proxy: null,
    by: 'ada',
  })
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

test(
  'the disks are right in spite of cuts and of receivers that are killed in the middle',
  async () => {
    const agent = await startReceiver([BOOT, DATA])
    await assign(agent)
    line.setConditions({ roundTrip: 10, width: 60 })
    const [boot, data] = [content(BOOT), content(DATA)]
    const restored = restore([toRestore('boot', boot), toRestore('data', data)])
    restored.catch(() => {})
    const carried = async (bytes: number): Promise<void> => {
      const from = line.carriedBackBytes()
      await until('something is carried', 60, async () => line.carriedBackBytes() - from > bytes || null)
    }
    await carried(MiB)
    line.cut()
    await carried(MiB)
    line.cutOne()
    await carried(MiB)
    await receiver.kill()
    // With nothing but what it has kept.
    receiver.receive(null)
    line.setConditions({ roundTrip: 10, width: null })
    await restored
    await expectOnDisk(0, boot)
    await expectOnDisk(1, data)
  },
  slowly,
)

test(
  'what was assigned anew takes no writes of before, and a receiver that was taken back is not written',
  async () => {
    const agent = await startReceiver([BOOT, DATA])
    const first = await assign(agent)
    const disks = [toRestore('boot', content(BOOT)), toRestore('data', content(DATA))]
    await restore(disks)
    await expect(assign(agent)).rejects.toMatchObject({ code: 'receiver/server-taken' })
    const before = present(
      await home.receivers.line.standInOf(home.site.id, home.machine.ref),
      'it stands in',
    )
    await home.receivers.takeBack(agent, 'ada')
    await expect(restore(disks)).rejects.toMatchObject({ code: 'receiver/none-assigned' })
    await expect(home.receivers.line.note(first.id, 'written')).rejects.toMatchObject({
      code: 'receiver/assigned-anew',
    })
    // The receiver itself goes by what it had last: a server process that has not heard of it writes nothing either.
    await assign(agent)
    await restore(disks)
    const piece = { assignment: before.id, disk: 'boot' as DiskKey, offset: 0, content: Buffer.alloc(512, 1) }
    await expect(home.receivers.line.write(before, piece)).rejects.toMatchObject({
      code: 'receiver/assigned-anew',
    })
    const begin = {
      assignment: before.id,
      epoch: before.epoch,
      disks: before.disks.map((disk) => ({ ...disk })),
    }
    await expect(home.lines.ask(agent.id, 'begin-receiving', begin)).rejects.toMatchObject({
      code: 'receiver/assigned-anew',
    })
  },
  slowly,
)

test(
  'disks that are too small, in use or others by now, servers that run, and agents that are none are refused',
  async () => {
    const agent = await startReceiver([BOOT - 512, DATA])
    const all = await choose(agent)
    const [boot, data] = [present(all[0], 'boot'), present(all[1], 'data')]
    const attempt = (disks: readonly ChosenDisk[]) =>
      home.receivers.assign(agent, { machine: home.machine, disks, by: 'ada' })
    await expect(attempt([boot, data])).rejects.toMatchObject({
      code: 'receiver/disk-too-small',
      message: expect.stringContaining('rescue-0'),
    })
    await expect(attempt([{ ...data, serial: 'other' }])).rejects.toMatchObject({
      code: 'receiver/disk-changed',
    })
    await attempt([data])
    const { ref } = home.machine
    // Its boot disk has no place.
    expect(await home.originals.obstacle(ref, [{ key: boot.key, bytes: BOOT }])).toMatchObject({
      code: 'receiver/disk-missing',
    })
    // It has grown since.
    expect(await home.originals.obstacle(ref, [{ key: data.key, bytes: DATA + 512 }])).toMatchObject({
      code: 'receiver/disk-too-small',
    })
    await receiver.kill()
    await until(
      'it has gone',
      60,
      async () =>
        (await home.originals.obstacle(ref, [{ key: data.key, bytes: DATA }]))?.code === 'receiver/away' ||
        null,
    )
    expect(await home.source.powerState(ref).catch(({ code }) => code)).toBe('machine/not-found')
    await home.receivers.takeBack(agent, 'ada')
    const [protection] = await home.stores.protections.list()
    const { id } = present(protection, 'it is protected')
    await home.stores.protections.moveState(id, 'failedOver', 'rollingBack', null)
    await home.stores.protections.moveState(id, 'rollingBack', 'protected', null)
    await expect(attempt([data])).rejects.toMatchObject({ code: 'receiver/not-failed-over' })
  },
  slowly,
)

test(
  'a server starts from its disks, is home when its own agent comes from the new hardware, and the receiver is let go for good',
  async () => {
    const own = await enrolServer()
    // It was known by other hardware, which a person would have to accept.
    const [known] = await home.stores.agents.list()
    await home.stores.agents.setHardware(present(known, 'its agent').id, {
      model: 'R740',
      firmwareId: 'old',
      serials: ['old'],
      disks: ['old'],
    })
    const agent = await startReceiver([BOOT, DATA])
    const { ref } = home.machine
    await assign(agent)
    await expect(home.originals.startTracked(ref, 'us-1')).rejects.toMatchObject({
      code: 'receiver/not-written',
    })
    await restore([toRestore('boot', content(BOOT)), toRestore('data', content(DATA))])
    const starting = home.originals.startTracked(ref, 'us-1')
    starting.catch(() => {})
    expect(await receiver.ended()).toBe(0)
    const written = await choosePaths()
    expect(JSON.parse(await readFile(join(receiver.home, 'finished'), 'utf8'))).toEqual(written)
    expect(await home.stores.receivers.list()).toMatchObject([{ state: 'restarting' }])
    // Its own agent, as it lies on the disks that were written.
    own.run()
    expect(await starting).toEqual({ checkpoint: null })
    expect(await home.stores.receivers.list()).toEqual([])
    expect(await home.stores.agents.find(agent.id)).toMatchObject({ revokedBy: 'understudy' })
    // Repeated by a process that has not heard of it.
    expect(await home.originals.startTracked(ref, 'us-1')).toEqual({ checkpoint: null })
    expect(await home.originals.probe(ref)).toMatchObject({ answered: true })
    receiver.receive(null)
    expect(await receiver.ended()).toBe(78)
    expect(receiver.printed()).toContain('agent/revoked')
  },
  slowly,
)

const choosePaths = async () =>
  [BOOT, DATA].map((bytes, index) => ({ path: join(folder, `rescue-${index}`), bytes }))

/** The agent of the server itself, which the machine of the site is called by. */
async function enrolServer(): Promise<TestAgent> {
  const own = await openAgent('db-1', { simulated: { machines: 1, diskBytes: MiB, usedBytes: MiB } })
  started.push(own)
  const { command } = await home.keeper.invite({
    siteId: home.site.id,
    roles: ['protected-server'],
    proxy: null,
    by: 'ada',
  })
  expect(await own.enrol(command)).toMatchObject({ code: 0 })
  return own
}

test(
  'a control plane that is killed in the middle compares the whole, and goes on with the same receiver',
  async () => {
    const agent = await startReceiver([BOOT, DATA])
    await assign(agent)
    line.setConditions({ roundTrip: 10, width: 60 })
    const [boot, data] = [content(BOOT), content(DATA)]
    const disks = [toRestore('boot', boot), toRestore('data', data)]
    const restored = restore(disks)
    restored.catch(() => {})
    await until('something is carried', 60, async () => line.carriedBackBytes() > 3 * MiB || null)
    const { port } = home
    await home.keeper.stop()
    await expect(restored).rejects.toMatchObject({ code: 'agent/server-stops' })
    // What it knew is in the database; its port is the same.
    home = await openHome({ stores: home.stores, port, machine: home.machine })
    line.setConditions({ roundTrip: 10, width: null })
    await connected('rescue')
    await expect(home.originals.startTracked(home.machine.ref, 'us-1')).rejects.toMatchObject({
      code: 'receiver/not-written',
    })
    await restore([toRestore('boot', boot, listed()), toRestore('data', data, listed())])
    await expectOnDisk(0, boot)
    await expectOnDisk(1, data)
  },
  slowly,
)

test(
  'a token makes what it is for, and nothing else',
  async () => {
    const token = async (role: 'receiver' | 'protected-server') =>
      (await home.keeper.invite({ siteId: home.site.id, roles: [role], proxy: null, by: 'ada' })).command
    const other = await openAgent('other', { receives: [] })
    started.push(other)
    const asServer = (await token('receiver')).replace(' receive ', ' enrol ')
    expect(await other.enrol(asServer)).toMatchObject({
      code: 1,
      printed: expect.stringContaining('agent/other-role'),
    })
    other.receive(await token('protected-server'))
    expect(await other.ended()).toBe(1)
    expect(other.printed()).toContain('agent/other-role')
    expect(await other.enrol(await token('protected-server'))).toMatchObject({ code: 0 })
    other.receive(await token('receiver'))
    expect(await other.ended()).toBe(1)
    expect(other.printed()).toContain('agent/enrolled-already')
    await expect(
      home.keeper.invite({
        siteId: home.site.id,
        roles: ['protected-server', 'receiver'],
        proxy: null,
        by: 'ada',
      }),
    ).rejects.toMatchObject({ code: 'agent/roles-apart' })
    // The agent of a server answers nothing that is for receivers, and is no receiver of the site.
    other.run()
    const agent = await until('it is connected', 60, async () => {
      const [server] = await home.agentLine.servers(home.site.id)
      return server?.connected ? server : null
    })
    await expect(home.lines.ask(agent.agentId, 'describe-receiver', {})).rejects.toBeInstanceOf(Refusal)
    expect(await home.receivers.list(null)).toEqual([])
  },
  slowly,
)
