// A server that is protected by the agent that runs on it, with real processes: file systems that somebody writes to all the time, the agent, the
// product. The oracle: the devices as another program copied them while they were held still.
import { createHmac } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { present } from '@understudy/base/invariant'
import type { AgentInvitation } from '@understudy/contract/agent'
import type { Machine } from '@understudy/contract/machine'
import type { Site } from '@understudy/contract/site'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import { makeTestDisk, requireLinuxSource, type TestDisk } from '@understudy/drivers/linux/test-disk'
import { openJournalStore } from '@understudy/journal/journal-store'
import { freePort } from '@understudy/simulator/free-port'
import { loadSecretKey } from '@understudy/store/secret-key'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openAgent, type TestAgent } from './lab-tests/agent-process.ts'
import { type LabProduct, openLabProduct, until } from './lab-tests/lab-product.ts'

const MiB = 2 ** 20
const slowly = 900_000

let product: LabProduct
let agent: TestAgent
let disks: TestDisk[] = []
let inland: Site

beforeAll(async () => {
  await requireLinuxSource()
  disks = [await makeTestDisk('ext4', 96 * MiB), await makeTestDisk('xfs', 320 * MiB)]
  process.env.UNDERSTUDY_AGENT_PORT = String(await freePort())
  product = await openLabProduct({ lab: false })
  await product.signUp()
  agent = await openAgent('db-1', { devices: disks.map(({ path }) => path) })
}, slowly)
afterAll(async () => {
  await agent?.close()
  await product?.close()
  for (const disk of disks) await disk.remove()
}, 300_000)

/** The newest points as the journal has them, of a product that does not run: all disks, one behind the other. */
async function newestContents(count: number): Promise<Buffer[]> {
  const store = openJournalStore({
    folder: join(product.home, 'replicas', inland.id),
    clock: { now: () => Date.now() },
    key: (id) => createHmac('sha256', loadSecretKey(product.home)).update(`replica ${id}`).digest(),
  })
  const replica = await store.openReplica(present((await store.list())[0], 'there is a replica'), null)
  const read = async (id: PointId): Promise<Buffer> => {
    const opened = await replica.openPoint(id)
    const parts = await Promise.all(opened.disks.map(({ reader, bytes }) => reader.read(0, bytes)))
    await opened.close()
    return Buffer.concat(parts)
  }
  const contents: Buffer[] = []
  for (const { id } of replica.points().slice(-count)) contents.push(await read(id))
  await replica.close()
  return contents
}

async function heldContents(): Promise<Buffer[]> {
  const folder = join(agent.home, 'oracle')
  const holds = (await readdir(folder)).filter((name) => !name.endsWith('.new')).sort()
  const read = (hold: string) =>
    Promise.all(disks.map((_, index) => readFile(join(folder, hold, String(index)))))
  const contents: Buffer[] = []
  for (const hold of holds) contents.push(Buffer.concat(await read(hold)))
  return contents
}

test(
  'its points are the server at one instant each, while it writes, and after its agent was killed',
  async () => {
    const harbour: Site = await product.ask('POST', '/sites', { name: 'Harbour', platform: 'physical' })
    inland = await product.ask('POST', '/sites', {
      name: 'Inland',
      platform: 'simulated',
      settings: { machines: 0, bootSeconds: 1 },
      secrets: {},
    })
    const { command } = await product.ask<AgentInvitation>('POST', `/sites/${harbour.id}/agent-invitations`, {
      roles: ['protected-server'],
    })
    expect(await agent.enrol(command)).toMatchObject({ code: 0 })
    agent.run()
    const machine = await until('the server is a machine', 120, async () => {
      const [found] = await product.items<Machine>(`/machines?siteId=${harbour.id}`)
      return found?.power === 'running' ? found : null
    })
    const policy = await product.ask<{ id: string }>('POST', '/policies', {
      name: 'often',
      intervalSeconds: 15,
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
    for (const disk of disks) disk.startWriter()
    const { protectionId } = await product.ask<{ protectionId: string }>('POST', '/protections', {
      machineId: machine.id,
      targetSiteId: inland.id,
      policyId: policy.id,
      adapters: [],
    })
    const points = (wanted: number): Promise<true> =>
      until(`${wanted} points`, 600, async () =>
        (await product.points(protectionId)).length >= wanted ? true : null,
      )
    await points(3)
    await agent.kill()
    agent.run()
    await points(5)
    await product.kill()
    await agent.kill()
    for (const disk of disks) await disk.stopWriter()
    const held = await heldContents()
    const contents = await newestContents(2)
    expect(contents).toHaveLength(2)
    const matches = contents.map((content) => held.findIndex((other) => other.equals(content)))
    expect(
      matches.every((at) => at >= 0),
      `points equal holds ${matches.join(', ')} of ${held.length}`,
    ).toBe(true)
    expect(new Set(matches).size, 'each is of an instant of its own').toBe(2)
  },
  slowly,
)
