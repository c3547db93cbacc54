// A server that burnt down comes home to another computer, with real processes: an agent, a product, and a receiver in a rescue system. The oracle: the
// disk of the new computer against the last point, all of its bytes.
import { createHmac } from 'node:crypto'
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { present } from '@understudy/base/invariant'
import type { Agent, AgentInvitation } from '@understudy/contract/agent'
import type { Machine } from '@understudy/contract/machine'
import type { Run } from '@understudy/contract/protection'
import type { Receiver } from '@understudy/contract/receiver'
import type { Site } from '@understudy/contract/site'
import { openJournalStore } from '@understudy/journal/journal-store'
import { freePort } from '@understudy/simulator/free-port'
import { loadSecretKey } from '@understudy/store/secret-key'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openAgent, type TestAgent } from './lab-tests/agent-process.ts'
import { type LabProduct, openLabProduct, until } from './lab-tests/lab-product.ts'

const MiB = 2 ** 20
const disk = { diskBytes: 48 * MiB, usedBytes: 24 * MiB, churnBytesPerSecond: 64 * 1024, seed: 11 }
const slowly = 600_000

let product: LabProduct
let server: TestAgent
let rescue: TestAgent
let folder: string

beforeAll(async () => {
  process.env.UNDERSTUDY_AGENT_PORT = String(await freePort())
  product = await openLabProduct({ lab: false })
  await product.signUp()
  server = await openAgent('db-1', { simulated: disk })
  folder = await mkdtemp(join(tmpdir(), 'us-home-'))
  // The disk of another computer: bigger, and with something on it.
  await writeFile(join(folder, 'disk'), Buffer.alloc(4 * MiB, 0xa5))
  await truncate(join(folder, 'disk'), 64 * MiB)
  rescue = await openAgent('new-iron', { receives: [join(folder, 'disk')] })
}, 300_000)
afterAll(async () => {
  await server?.close()
  await rescue?.close()
  await product?.close()
  if (folder) await rm(folder, { recursive: true, force: true })
}, 120_000)

async function invite(site: Site, role: 'protected-server' | 'receiver'): Promise<string> {
  const invited = await product.ask<AgentInvitation>('POST', `/sites/${site.id}/agent-invitations`, {
    roles: [role],
  })
  return invited.command
}

async function protect(harbour: Site, inland: Site): Promise<string> {
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
  const { protectionId } = await product.ask<{ protectionId: string }>('POST', '/protections', {
    machineId: machine.id,
    targetSiteId: inland.id,
    policyId: policy.id,
    adapters: [],
  })
  await until('it is protected', 300, async () =>
    (await product.protection(protectionId)).state === 'protected' ? true : null,
  )
  return protectionId
}

async function assign(harbour: Site): Promise<Receiver> {
  const receiver = await until('the receiver is connected', 60, async () => {
    const [found] = await product.items<Receiver>(`/receivers?siteId=${harbour.id}`)
    return found?.disks ? found : null
  })
  const [offered] = await product.items<{
    machineId: string
    name: string
    disks: { key: string; proposed: string | null }[]
  }>(`/agents/${receiver.agentId}/servers`)
  const { machineId, name, disks } = present(offered, 'the server may come home')
  const there = present(receiver.disks?.[0], 'it has a disk')
  await product.ask('POST', `/agents/${receiver.agentId}/assign`, {
    machineId,
    confirm: name,
    disks: disks.map(({ key, proposed }) => {
      expect(proposed).toBe(there.path)
      return { key, path: there.path, bytes: there.bytes, serial: there.serial }
    }),
  })
  return receiver
}

/** What the disk was at the point, from the replica that was kept for the way home. */
async function contentAt(site: Site, pointId: string): Promise<Buffer> {
  const store = openJournalStore({
    folder: join(product.home, 'replicas', site.id),
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
  'a server that failed over comes home to another computer, byte for byte, and is replicated again',
  async () => {
    const harbour: Site = await product.ask('POST', '/sites', { name: 'Harbour', platform: 'physical' })
    const inland: Site = await product.ask('POST', '/sites', {
      name: 'Inland',
      platform: 'simulated',
      settings: { machines: 0, bootSeconds: 1, churnBytesPerSecond: 64 * 1024 },
      secrets: {},
    })
    expect(await server.enrol(await invite(harbour, 'protected-server'))).toMatchObject({ code: 0 })
    server.run()
    const id = await protect(harbour, inland)
    const act = (action: string, body: object = {}) =>
      product.finish('POST', `/protections/${id}/${action}`, body)
    await server.kill()
    await act('failover', { kind: 'unplanned', acceptUnfenced: true })
    await act('commit')
    await act('reprotect', { powerOffOriginal: false })
    expect(await product.protection(id)).toMatchObject({
      state: 'protected',
      direction: 'reverse',
      target: { name: 'Harbour' },
    })

    const early = await product.ask<{ jobId: string }>('POST', `/protections/${id}/fail-back`, {})
    expect(await product.waitForJob(early.jobId)).toMatchObject({
      state: 'failed',
      failure: { code: 'receiver/none-assigned' },
    })
    rescue.receive(await invite(harbour, 'receiver'))
    const receiver = await assign(harbour)
    const { jobId } = await product.ask<{ jobId: string }>('POST', `/protections/${id}/fail-back`, {})
    // The computer restarts from what was written; then the server's own agent, which came along on the disk, dials out again.
    await until('the computer restarts', 240, async () => {
      const job = await product.waitForJob(jobId, ['running', 'failed', 'succeeded', 'cancelled'])
      expect(job.state, JSON.stringify(job.failure)).toBe('running')
      return (await readFile(join(rescue.home, 'restarted'), 'utf8').catch(() => null)) && true
    })
    server.run()
    expect(await product.waitForJob(jobId)).toMatchObject({ state: 'succeeded' })
    expect(await product.protection(id)).toMatchObject({ state: 'failedOver' })
    const [run] = await product.items<Run>(`/protections/${id}/runs`)
    const { pointId } = present(run, 'the fail-back has a run')
    const wanted = await contentAt(harbour, pointId)
    const found = (await readFile(join(folder, 'disk'))).subarray(0, wanted.length)
    const wrong = found.equals(wanted) ? null : found.findIndex((byte, at) => byte !== wanted[at])
    expect(wrong, 'first wrong byte').toBeNull()
    expect(await product.items<Receiver>(`/receivers?siteId=${harbour.id}`)).toEqual([])
    expect(await product.ask<Agent>('GET', `/agents/${receiver.agentId}`)).toMatchObject({ state: 'revoked' })

    await act('commit')
    await act('reprotect', { powerOffOriginal: true })
    expect(await product.protection(id)).toMatchObject({ state: 'protected', direction: 'forward' })
  },
  slowly,
)
