// A server with an agent as a source, with real processes: an agent over a simulated server, a product, and a line between them that is cut and
// changes bits, while both sides are killed. The oracle: the newest point against the server's disks at its instant, all of their bytes.
import { createHmac } from 'node:crypto'
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { present } from '@understudy/base/invariant'
import type { Agent, AgentInvitation } from '@understudy/contract/agent'
import type { Machine } from '@understudy/contract/machine'
import type { RecoveryPoint } from '@understudy/contract/recovery-point'
import type { Site } from '@understudy/contract/site'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { SiteId } from '@understudy/domain/sites/site'
import { openSimulatedPlatform } from '@understudy/drivers/simulated/platform'
import { openJournalStore } from '@understudy/journal/journal-store'
import { type FarLine, openFarLine } from '@understudy/simulator/far-line'
import { freePort } from '@understudy/simulator/free-port'
import { loadSecretKey } from '@understudy/store/secret-key'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openAgent, type TestAgent } from './lab-tests/agent-process.ts'
import { type LabProduct, openLabProduct, until } from './lab-tests/lab-product.ts'

const MiB = 2 ** 20
const disk = { diskBytes: 96 * MiB, usedBytes: 64 * MiB, churnBytesPerSecond: 256 * 1024, seed: 7 }
const slowly = 900_000
const intervalSeconds = 15
/** The clock of the server is years behind. Nothing may come of it. */
const clockOffMilliseconds = -3 * 365 * 86_400_000

let product: LabProduct
let server: TestAgent
let line: FarLine
let harbour: Site
let inland: Site
const copies: string[] = []

beforeAll(async () => {
  process.env.UNDERSTUDY_AGENT_PORT = String(await freePort())
  product = await openLabProduct({ lab: false })
  await product.signUp()
  line = await openFarLine({}, { roundTrip: 20, width: null })
  server = await openAgent('db-1', { simulated: disk, clockOffMilliseconds })
  harbour = await product.ask('POST', '/sites', { name: 'Harbour', platform: 'physical' })
  inland = await product.ask('POST', '/sites', {
    name: 'Inland',
    platform: 'simulated',
    settings: { machines: 0, bootSeconds: 1 },
    secrets: {},
  })
}, 300_000)
afterAll(async () => {
  await server?.close()
  await line?.close()
  await product?.close()
  for (const copy of copies) await rm(copy, { recursive: true, force: true })
}, 120_000)

const machines = (): Promise<readonly Machine[]> => product.items(`/machines?siteId=${harbour.id}`)
const newest = async (id: string): Promise<RecoveryPoint | null> => (await product.points(id))[0] ?? null
const newPoint = (id: string): Promise<RecoveryPoint> => {
  const since = Date.now()
  return until('a newer recovery point', 300, async () => {
    const point = await newest(id)
    return point && Date.parse(point.instant) > since ? point : null
  })
}

/** The instant by the clock of the server itself, which is told over a line and therefore a little later. */
async function instantThere(told: string): Promise<number> {
  const instants = (await readFile(join(server.home, 'instants'), 'utf8')).trim().split('\n').map(Number)
  const before = instants.filter((instant) => instant <= Date.parse(told) + 1)
  const instant = Math.max(...before)
  expect(Date.parse(told) - instant, 'milliseconds from the instant to what is told of it').toBeLessThan(5000)
  return instant
}

/** What the server's disk was at that instant, from a copy of its folder. */
async function originalAt(told: string): Promise<Buffer> {
  const instant = await instantThere(told)
  const folder = await mkdtemp(join(tmpdir(), 'us-simulated-'))
  copies.push(folder)
  await cp(join(server.home, 'simulated'), folder, { recursive: true })
  const platform = openSimulatedPlatform(
    { id: 'server' as SiteId, settings: { machines: 1, ...disk } },
    {},
    { folder, clock: { now: () => instant }, sleep: async () => {} },
  )
  return platform.control.readDisk('sim-0001' as MachineRef, 'disk0' as DiskKey)
}

/** Of a server that does not run. */
async function replicaAt(pointId: string): Promise<Buffer> {
  const store = openJournalStore({
    folder: join(product.home, 'replicas', inland.id),
    clock: { now: () => Date.now() },
    key: (id) => createHmac('sha256', loadSecretKey(product.home)).update(`replica ${id}`).digest(),
  })
  const replica = await store.openReplica(present((await store.list())[0], 'there is a replica'), null)
  const point = present(
    replica.points().find(({ id }) => id === pointId),
    'the point is there',
  )
  const opened = await replica.openPoint(point.id)
  const { reader, bytes } = present(opened.disks[0], 'it has a disk')
  const content = await reader.read(0, bytes)
  await opened.close()
  await replica.close()
  return content
}

test(
  'a site of servers keeps nothing, runs nothing, and shows a server when its agent is there',
  async () => {
    expect(harbour).toMatchObject({
      canBeSource: true,
      canKeepReplicas: false,
      canBeTarget: false,
      whyNoTarget: null,
    })
    expect(await machines()).toEqual([])
    const { command } = await product.ask<AgentInvitation>('POST', `/sites/${harbour.id}/agent-invitations`, {
      roles: ['protected-server'],
    })
    expect(await server.enrol(command, ['--proxy', `http://${line.host}:${line.port}`])).toMatchObject({
      code: 0,
    })
    server.run()
    const [machine] = await until('the server is a machine', 120, async () => {
      const found = await machines()
      return found.length === 1 && found[0]?.power === 'running' ? found : null
    })
    expect(machine).toMatchObject({ name: 'db-1', present: true })
    const [agent] = await product.items<Agent>(`/agents?siteId=${harbour.id}`)
    expect(agent?.clockSkewSeconds).toBeLessThan(clockOffMilliseconds / 1000 + 600)
    const refused = await product.call('POST', '/protections', {
      machineId: machine?.id,
      targetSiteId: harbour.id,
      policyId: (await product.items<{ id: string }>('/policies'))[0]?.id,
      adapters: [],
    })
    expect(refused.status).toBeGreaterThanOrEqual(400)
  },
  slowly,
)

test(
  'its replica is what it was, through cuts, changed bits, and kills of both sides in the first copy and after it',
  async () => {
    const [machine] = await machines()
    const policy = await product.ask<{ id: string }>('POST', '/policies', {
      name: 'often',
      intervalSeconds,
      lagTargetSeconds: 3600,
      applicationConsistentEverySeconds: 0,
      retention: [{ everySeconds: 0, forSeconds: 3600 }],
      compress: true,
      encrypt: false,
      priority: 5,
      rateLimitBytesPerSecond: 0,
      commitTimeoutSeconds: 0,
      uncommittedAction: 'commit',
    })
    const { protectionId } = await product.ask<{ protectionId: string }>('POST', '/protections', {
      machineId: machine?.id,
      targetSiteId: inland.id,
      policyId: policy.id,
      adapters: [],
    })
    const carried = (bytes: number): Promise<true> => {
      const from = line.carriedBytes()
      return until('data flows', 300, async () => (line.carriedBytes() - from > bytes ? true : null))
    }
    // In the middle of the first copy: bits that change, cuts, and the end of each side.
    await carried(2 * MiB)
    line.spoil(2)
    await carried(2 * MiB)
    line.cut()
    await carried(2 * MiB)
    await server.kill()
    server.run()
    await carried(4 * MiB)
    await product.kill()
    await product.start()
    await carried(2 * MiB)
    expect(line.leftToSpoil()).toBe(0)
    await until('it is protected', 600, async () =>
      (await product.protection(protectionId)).state === 'protected' ? true : null,
    )
    // Changes, with a cut in each of them.
    for (let cycle = 0; cycle < 2; cycle += 1) {
      const next = newPoint(protectionId)
      await carried(200_000)
      line.cut()
      await next
    }
    // Nothing in between: what is carried is what was written since, and not the disk.
    await newPoint(protectionId)
    const before = line.carriedBytes()
    const { id, instant } = await newPoint(protectionId)
    expect((await product.protection(protectionId)).lastCycle).toMatchObject({ kind: 'delta' })
    expect(line.carriedBytes() - before, 'bytes of a delta').toBeLessThan(disk.usedBytes / 2)
    await product.kill()
    await server.kill()
    const [copy, original] = [await replicaAt(id), await originalAt(instant)]
    expect(copy.length).toBe(original.length)
    const wrong = copy.equals(original) ? null : copy.findIndex((byte, at) => byte !== original[at])
    expect(wrong, 'first wrong byte').toBeNull()
  },
  slowly,
)

test(
  'a server whose agent is gone stays a machine that nobody says runs',
  async () => {
    await product.start()
    const [agent] = await product.items<Agent>(`/agents?siteId=${harbour.id}`)
    expect(agent?.name).toBe('db-1')
    await product.ask('POST', `/sites/${harbour.id}/refresh`).catch(() => {})
    const [machine] = await until('its power is not known', 120, async () => {
      const found = await machines()
      return found[0]?.power === 'unknown' ? found : null
    })
    expect(machine).toMatchObject({ name: 'db-1', present: true })
  },
  slowly,
)
