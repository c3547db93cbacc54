// A whole server with hardware of its own, protected by the agent that runs inside it as a service, and its replica on virtio. Oracles: the server's disk
// as somebody outside of it has copied it while its agent held it still, records that each hold the digest of the one before, and e2fsck.
import { execFile } from 'node:child_process'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { present } from '@understudy/base/invariant'
import { isZero } from '@understudy/block/zero-detection'
import type { AgentInvitation } from '@understudy/contract/agent'
import type { BootCheck } from '@understudy/contract/boot-check'
import type { Machine } from '@understudy/contract/machine'
import type { Run } from '@understudy/contract/protection'
import type { Site } from '@understudy/contract/site'
import {
  serverAdapterName,
  serverProbePort,
  serverRootOffset,
} from '@understudy/drivers/kvm/lab/server-image'
import { freePort } from '@understudy/simulator/free-port'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type LabProduct, openLabProduct, until } from './lab-tests/lab-product.ts'
import { digestOf, inside, type OldIron, openOldIron, prepareCache, statusOf } from './lab-tests/old-iron.ts'

const run = promisify(execFile)
const slowly = 900_000

let product: LabProduct
let server: OldIron
let inland: Site
let id: string

beforeAll(async () => {
  const base = await prepareCache()
  const port = await freePort()
  process.env.UNDERSTUDY_AGENT_PORT = String(port)
  // The computer of the test, as the server sees it.
  process.env.UNDERSTUDY_AGENT_URL = `https://10.0.2.2:${port}`
  product = await openLabProduct({ lab: false })
  await product.signUp()
  server = await openOldIron(join(product.home, 'iron'), base)
}, 1_800_000)
afterAll(async () => {
  if (process.env.UNDERSTUDY_TEST_TALKS)
    console.log((await server?.serial())?.slice(-3000), product?.printed().slice(-3000))
  await server?.close()
  await product?.close()
}, 300_000)

async function registerSites(): Promise<{ readonly harbour: Site }> {
  const harbour: Site = await product.ask('POST', '/sites', { name: 'Harbour', platform: 'physical' })
  const folder = join(product.lab, 'site-b')
  for (const name of ['machines', 'replicas']) await mkdir(join(folder, name), { recursive: true })
  const probePorts = [serverProbePort]
  inland = await product.ask('POST', '/sites', {
    name: 'Inland',
    platform: 'kvm',
    settings: {
      adapter: 'qmp',
      hosts: [{ name: 'host', address: { kind: 'local' }, machinesFolder: join(folder, 'machines') }],
      accelerator: 'tcg',
      bootDeadlineSeconds: 60,
      networks: [
        { id: 'prod', name: 'Production', kind: 'user', isolated: false, probePorts },
        { id: 'isolated', name: 'Isolated', kind: 'user', isolated: true, probePorts },
      ],
      replicaFolder: join(folder, 'replicas'),
    },
    secrets: {},
  })
  return { harbour }
}

const bootCheck = (method: 'GET' | 'POST'): Promise<BootCheck> =>
  product.ask(method, `/protections/${id}/boot-check`)
const outcomeOf = ({ judged }: BootCheck, code: string) =>
  judged?.findings.find((finding) => finding.code === code)?.outcome

/** The newest point as a file, past the server. */
async function exportPoint(pointId: string): Promise<string> {
  const file = join(product.home, `${pointId}.raw`)
  await product.withPoint('b', pointId, async ({ disks }) => {
    const [disk, ...others] = disks
    expect(others).toEqual([])
    const { reader, bytes } = present(disk, 'the server has a disk')
    const handle = await open(file, 'w')
    await handle.truncate(bytes)
    for (let at = 0; at < bytes; at += 2 ** 20) {
      const piece = await reader.read(at, Math.min(2 ** 20, bytes - at))
      if (!isZero(piece)) await handle.write(piece, 0, piece.length, at)
    }
    await handle.close()
  })
  return file
}

/** It is the server at one of the instants at which it stood still, and its file system needs no repair. */
async function expectSound(pointId: string): Promise<void> {
  const file = await exportPoint(pointId)
  const digest = await digestOf(file)
  const held = await Promise.all(server.holds().map((hold) => digestOf(hold.file)))
  expect(held, 'the point is the disk as it was while the server was held still').toContain(digest)
  await run('e2fsck', ['-f', '-n', `${file}?offset=${serverRootOffset}`])
  await rm(file)
}

const addressOf = ({ addresses }: Pick<Run, 'addresses'>): string =>
  present(addresses[0], 'it has an address')
const lap = (what: string): void => {
  if (process.env.UNDERSTUDY_TEST_TALKS) console.log(`${new Date().toISOString()} ${what}`)
}

test(
  'a server on AHCI is protected by the agent inside, and enrols with the command of the console',
  async () => {
    const { harbour } = await registerSites()
    const { command } = await product.ask<AgentInvitation>('POST', `/sites/${harbour.id}/agent-invitations`, {
      roles: ['protected-server'],
    })
    await server.install(command)
    server.start()
    const machine = await until('the server is a machine', 300, async () => {
      const [found] = await product.items<Machine>(`/machines?siteId=${harbour.id}`)
      return found?.power === 'running' ? found : null
    })
    lap('it is a machine')
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
    // QEMU forwards the page to this address alone; the server itself asks for its own.
    const testAddress = {
      method: 'static',
      prefix: '10.0.2.15/24',
      gateway: '10.0.2.2',
      nameServers: ['10.0.2.99'],
    }
    const networks = { failoverNetworkId: 'prod', testNetworkId: 'isolated' }
    const adapters = [{ adapterKey: serverAdapterName, ...networks, testAddress }]
    const protect = { machineId: machine.id, targetSiteId: inland.id, policyId: policy.id, adapters }
    id = (await product.ask<{ protectionId: string }>('POST', '/protections', protect)).protectionId
    await until('the first point', 600, async () => ((await product.points(id)).length > 0 ? true : null))
    lap('first point')
  },
  slowly,
)

test(
  'as it was installed it would find no disk there; prepared by an explicit choice it would',
  async () => {
    const before = await bootCheck('POST')
    expect(before.preparation).toEqual({ underWay: false, done: null })
    expect(outcomeOf(before, 'boot/disk-drivers')).toBe('blocker')
    const began = await product.ask<BootCheck>('POST', `/protections/${id}/boot-preparation`)
    expect(began.preparation?.underWay).toBe(true)
    const after = await until('it is prepared', 600, async () => {
      const check = await bootCheck('GET')
      if (check.trouble) throw new Error(JSON.stringify(check.trouble))
      return check.preparation?.underWay === false && check.preparation.done ? check : null
    })
    expect(after.preparation?.done?.changes.join(' ')).toContain('/boot/initrd.img-')
    expect(outcomeOf(after, 'boot/disk-drivers')).toBe('passed')
    lap('prepared')
  },
  slowly,
)

test(
  'its replica boots on virtio, with its data and its network, while replication goes on',
  async () => {
    const point = await product.nextPoint(id, 300)
    await expectSound(point.id)
    lap('point is sound')
    const source = await statusOf(server.address, 60)
    await product.finish('POST', `/protections/${id}/test-failover`, {
      point: { kind: 'point', id: point.id },
    })
    const up = present((await product.protection(id)).test, 'the test is up')
    const replica = await statusOf(addressOf(up), 300)
    lap('replica answers')
    expect(replica.found.ok, 'every record follows from the one before').toBe(true)
    expect(replica.found.newest).toBeGreaterThan(0)
    expect(replica.found.newest).toBeLessThanOrEqual(source.newest)
    expect(replica.boot).not.toBe(source.boot)
    // The adapter has another name there, so what was written for the old one does not fit.
    expect(replica.adapters).toHaveLength(1)
    expect(replica.adapters[0]).not.toContain(serverAdapterName)
    const there = (script: string): Promise<string> => inside(addressOf(up), script)
    expect(await there('ls /sys/block')).toContain('vda')
    expect(await there('ip -4 address show scope global')).toMatch(/inet 10\.0\.2\.15\/24 (?!.*dynamic)/)
    expect(await there('ip route')).toContain('default via 10.0.2.2')
    expect(await there('cat /etc/resolv.conf')).toBe('nameserver 10.0.2.99\n')
    expect(await inside(server.address, 'ip -4 address show scope global; ls /etc/systemd/network')).toMatch(
      /dynamic[\s\S]*10-lan\.network\n$/,
    )
    expect((await product.nextPoint(id, 300)).cycle).toBe('delta')
    await product.finish('POST', `/protections/${id}/clean-up-test`)
    expect((await statusOf(server.address, 60)).newest).toBeGreaterThan(source.newest)
  },
  slowly,
)

test(
  'after its agent was killed, and lost for good, the newest point fails over',
  async () => {
    await inside(server.address, 'systemctl kill -s KILL understudy-agent')
    const point = await product.nextPoint(id, 600)
    await expectSound(point.id)
    lap('point after the kill is sound')
    await server.end()
    await product.finish('POST', `/protections/${id}/failover`, { kind: 'unplanned', acceptUnfenced: true })
    const failover = present((await product.protection(id)).failover, 'a failover is up')
    const replica = await statusOf(addressOf(failover), 300)
    expect(replica.found.ok).toBe(true)
    expect(replica.found.newest).toBeGreaterThan(0)
    await product.finish('POST', `/protections/${id}/commit`)
    expect((await product.protection(id)).state).toBe('committed')
    expect(await inside(addressOf(failover), 'ip -4 address show scope global')).toContain('dynamic')
    lap('committed')
  },
  slowly,
)
